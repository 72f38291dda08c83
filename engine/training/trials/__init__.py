"""Tries a recipe out before a study is written: facts, step times, pack sizes, slots."""
