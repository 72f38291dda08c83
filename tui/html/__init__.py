"""Draws a study, or two arms beside each other, as one HTML page that needs no other file and no network."""
