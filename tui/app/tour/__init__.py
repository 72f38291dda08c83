"""The tour: a finished study that comes along, and somebody who explains the screens on it."""
