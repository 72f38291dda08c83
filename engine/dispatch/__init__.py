"""Brings a study's runs to its devices: writes the folder, supervises, starts workers, arbitrates their claims.

Nothing here imports torch or numpy. NVML's bindings are imported when somebody asks for GPUs.
"""
