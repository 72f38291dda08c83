"""Reads tables of text."""

from collections.abc import Sequence
from pathlib import Path

from pyarrow import Table

class ConvertOptions:
    def __init__(self, *, strings_can_be_null: bool, null_values: Sequence[str]) -> None: ...

def read_csv(input_file: Path, *, convert_options: ConvertOptions) -> Table: ...
