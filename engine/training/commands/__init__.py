"""Runs of a user's own program: started, followed, ended, and what it leaves taken into the study."""
