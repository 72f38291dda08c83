"""The protocol file: its schema, its faults, its frozen form."""
