"""Training and judging of one kind of network, one epoch at a time: images, text, alone or stacked."""
