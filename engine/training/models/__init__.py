"""The networks: definitions of the presets, and how a recipe's network is built."""
