"""Finds out what a protocol leaves to the machine: whether it runs, how fast, in which packs and slots."""
