"""Types of the calls that the report makes to pyarrow; the package brings none."""

from typing import Any

class Table:
    def to_pylist(self) -> list[dict[str, Any]]: ...
