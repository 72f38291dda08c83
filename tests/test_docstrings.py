"""The gate of docstrings: each begins as its kind asks, so that its first word says what is done or what there is."""

from __future__ import annotations

from tests.helpers.docstrings import find_offenders
from tests.helpers.source import read_modules


def test_docstrings_begin_with_a_verb_or_a_name() -> None:
    offenders = find_offenders(read_modules("engine", "tui"))
    assert not offenders, "reword these docstrings, or list the verb in tests/helpers/docstrings.py:\n" + "\n".join(
        offenders
    )
