"""The commands without a screen of their own: batch, check, ls, status, cancel, report."""
