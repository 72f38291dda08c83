"""A pretended CUDA device, and what is checked on it; `python -m tests.helpers.pretended_gpu GROUP` does the checks."""
