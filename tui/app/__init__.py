"""The interactive app: a view of study folders and a way to write protocols; it owns no run."""
