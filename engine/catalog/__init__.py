"""Facts that several parts of the program need, each stated once: sources, presets, published figures."""
