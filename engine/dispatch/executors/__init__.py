"""Starts workers and other jobs, each executor in its own way; the supervisor and the trials know `base` alone.

A new executor is a module here with a class that fits `base.Executor`, its name in `engine/catalog/executors.py`,
and a line in `registry.py`.
"""
