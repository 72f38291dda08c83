"""The study folder: names of its files, writing them safely, reading them tolerantly."""
