"""Parquet files with the content of CSV files: same columns, numbers as numbers, what is empty as null."""

from __future__ import annotations

from pathlib import Path

from pyarrow import csv
from pyarrow import parquet as pq

from engine.study.files import OUT, explain_write_errors
from engine.study.opening import is_regular


def convert_tables(folder: Path) -> list[Path]:
    """Write a Parquet file beside every CSV file of a folder; returns what was written."""
    written: list[Path] = []
    for source in filter(is_regular, sorted(folder.glob("*.csv"))):
        target = source.with_suffix(".parquet")
        options = csv.ConvertOptions(strings_can_be_null=False, null_values=[""])
        table = csv.read_csv(source, convert_options=options)
        with explain_write_errors(target, place=OUT):
            pq.write_table(table, target)
        written.append(target)
    return written
