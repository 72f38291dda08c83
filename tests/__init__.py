"""Tests of the program: each folder mirrors one of its rooms."""
