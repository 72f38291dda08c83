"""Supervisor, workers' claims, leases and devices (standard library)."""
