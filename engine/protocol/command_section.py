"""The section [command]: the user's own training program, in place of [data], [model] and [train]."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from engine.protocol.checks import allow, choice, is_list, is_table, number, text, whole
from engine.protocol.keys import key
from engine.recipe import MAX_EPOCHS

KINDS = ("logits", "probabilities", "classes", "scores")
"""What a program leaves; scores are numbers by name alone, without predictions."""

MAX_WORDS, MAX_WORD = 200, 4000
MAX_PATTERNS = 200
MAX_VARIABLES = 100
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SOURCE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
MAX_TITLE = 80


def is_word(value: Any) -> bool:
    """Tell whether a value is a word of a command line: text without control characters but tabs and line ends."""
    return isinstance(value, str) and len(value) <= MAX_WORD and all(c.isprintable() or c in "\n\t" for c in value)


def _are_words(value: Any) -> bool:
    return is_list(value) and len(value) <= MAX_WORDS and all(map(is_word, value))


def _is_command(value: Any) -> bool:
    return _are_words(value) and bool(value) and bool(value[0].strip())


def _are_patterns(value: Any) -> bool:
    listed = is_list(value) and len(value) <= MAX_PATTERNS
    return listed and all(is_word(one) and one.strip() and not PurePosixPath(one).is_absolute() for one in value)


def _are_variables(value: Any) -> bool:
    listed = is_table(value) and len(value) <= MAX_VARIABLES
    return listed and all(VARIABLE.fullmatch(name) and is_word(word) for name, word in value.items())


def _is_inside(value: Any) -> bool:
    if not is_word(value) or not value.strip():
        return False
    path = PurePosixPath(value)
    return not path.is_absolute() and ".." not in path.parts and len(value) <= 200


@dataclass(frozen=True, kw_only=True)
class Command:
    """[command]: your own training program, instead of [data], [model] and [train]."""

    run: list[str] | None = key(  # noqa: RUF009 - a field, as dataclasses.field gives one
        allow(f"a list of 1 to {MAX_WORDS} words, the program first", _is_command),
        None,
        'e.g. run = ["{python}", "train.py", "--seed", "{seed.init}", "--out", "{out}"]',
        "Gives the program and its words, with placeholders; no shell reads them.",
    )
    folder: str = key(
        text(1000),
        ".",
        "a relative one is seen from the protocol file",
        "Names the folder that the program is started in.",
    )
    files: list[str] = key(  # noqa: RUF009 - a field, as dataclasses.field gives one
        allow(f"a list of at most {MAX_PATTERNS} relative names or patterns such as src/**/*.py", _are_patterns),
        [],
        'e.g. files = ["train.py", "src/**/*.py"]; edit one, and its runs are new ones',
        "Lists the program's files, seen from its folder; their digest is part of a run's identity.",
    )
    environment: dict[str, str] = key(  # noqa: RUF009 - a field, as dataclasses.field gives one
        allow(f"a table of at most {MAX_VARIABLES} variables whose values are text", _are_variables),
        {},
        'e.g. environment = { OMP_NUM_THREADS = "4" }; values may hold placeholders',
        "Sets environment variables of the program.",
    )
    python: str | None = key(
        text(1000),
        None,
        "your environment's, e.g. \"../venv/bin/python\"; this program's own where it is left out",
        "Names the interpreter that {python} stands for; a relative one is seen from the protocol file.",
    )
    predictions: str = key(
        allow("the name of a file in {out}", _is_inside),
        "predictions.npy",
        "(N, C), or (N,) of classes",
        "Names the file in {out} that holds the predictions on the test examples.",
    )
    kind: str = key(
        choice(KINDS),
        "logits",
        "scores: no predictions, only numbers by name in {out}/result.json",
        "Says what the predictions are.",
    )
    labels: str = key(
        allow("the name of a file in {out}", _is_inside),
        "labels.npy",
        "(N,), equal in all runs",
        "Names the file in {out} that holds the test examples' true classes.",
    )
    epochs: int = key(whole(1, MAX_EPOCHS), 1, "for progress only", "Says how many epochs the program trains for.")
    resume: list[str] = key(  # noqa: RUF009 - a field, as dataclasses.field gives one
        allow(f"a list of at most {MAX_WORDS} words", _are_words),
        [],
        'e.g. resume = ["--resume", "{checkpoint}"], where {out}/checkpoint is what your program goes on from',
        "Lists words that are added where a run that was cut goes on from a checkpoint. The self-test kills a run and "
        "lets it go on: only where that is the same to the bit, others do; else they start from their beginning.",
    )
    timeout_s: float = key(
        number(0, 1e9), 0.0, "seconds; 0 is no limit", "Ends a run that takes longer, with all that it started."
    )
