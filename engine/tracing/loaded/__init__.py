"""Holds what Python finds on the path of a program that is watched; the folder has nothing else in it."""
