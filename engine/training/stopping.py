"""The end of a training that was asked for."""


class Stopped(Exception):
    """Raised out of a training whose end was asked for."""
