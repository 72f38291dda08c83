"""Means that several test modules share: studies, screens, processes, a pretended GPU, checks of the source."""
