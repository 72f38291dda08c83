"""Defines the checks of a protocol's keys: each judges a TOML value and says in words what it allows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

from engine.catalog import presets
from engine.catalog.published import list_tables
from engine.catalog.sources import SOURCES
from engine.recipe import MAX_EPOCHS, MAX_PACK, MAX_REPLICAS

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TARGET_PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
MODULE_PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
WORD_PATTERN = re.compile(r"[A-Za-z0-9_.,:/=+*()@-]{0,200}")
DURATION_PATTERN = re.compile(r"(\d{1,6}|\d{1,6}:\d\d(:\d\d)?|\d{1,4}-\d{1,2}(:\d\d){0,2})?")
MEMORY_PATTERN = re.compile(r"(\d{1,9}[KMGT]?)?")
OPTION_PATTERN = re.compile(r"(--[a-z][a-z0-9-]*|-[A-Za-z])(=?[^\s\"'\\#]*)")
OWN_OPTIONS = ("job-name", "output", "error", "array", "ntasks", "nodes", "wrap", "parsable", "chdir", "wait", "input")
"""What the program says to sbatch itself."""
OWN_LETTERS = "JoeanNDWi"
DEVICE_PATTERN = re.compile(r"cuda:\d{1,3}")
MAX_SEED = 2**31 - 1
MAX_ARM_NAME = 80
MAX_SLOTS = 256
MAX_SIDE_BY_SIDE = 64
MAX_ARMS = 1000
"""Of one study, every onset counted."""
MAX_ONSETS = 1000
MAX_MODULES = 100
MAX_ARGUMENTS = 100
MAX_ARGUMENT_TEXT = 4000
"""Arguments are part of every run's recipe, so that they are written and digested as often as there are runs."""
MAX_LINES = 100
MAX_NAME = 200
"""Characters of a module's name, with the function's."""
MAX_RUNS = 50_000
"""Of one study: planning takes a quarter of a millisecond for each, and every one is a folder."""
MAX_WHOLE = 2**63 - 1
"""TOML promises no whole number beyond 64 bits, and nor does the JSON of a recipe."""


def no_names() -> tuple[str, ...]:
    """Return no name, for checks of values that are not chosen from a list."""
    return ()


@dataclass(frozen=True)
class Check:
    """A test of a TOML value, with a description of the values that pass it."""

    accepts: Callable[[Any], bool]
    """Tells whether a TOML value is allowed."""
    describe: Callable[[], str]
    """Says what is allowed, in words that follow "must be"."""
    list_names: Callable[[], tuple[str, ...]] = no_names
    """Lists the allowed names; none where the value is no name out of a list."""

    @property
    def allowed(self) -> str:
        """The allowed values in words, such as "a whole number from 1 to 10"."""
        return self.describe()

    @property
    def names(self) -> tuple[str, ...]:
        """The allowed names; empty where the value is no name out of a list."""
        return self.list_names()

    def find_problem(self, value: Any) -> str | None:
        """Return what is wrong with a value, or None where it is allowed."""
        return None if self.accepts(value) else f"must be {self.allowed}"

    def is_unknown_name(self, value: Any) -> bool:
        """Tell whether the value is a word that is none of the allowed names, perhaps a mistyped one."""
        return isinstance(value, str) and bool(self.names) and not self.accepts(value)


def allow(allowed: str, accepts: Callable[[Any], bool]) -> Check:
    """Make a check from a judgement and its words."""
    return Check(accepts, lambda: allowed)


def whole(low: int, high: int) -> Check:
    """Allow a whole number within limits, both included."""
    return allow(f"a whole number from {low} to {high}", lambda value: is_whole(value) and low <= value <= high)


def number(low: float, high: float, *, above: bool = False, below: bool = False) -> Check:
    """Allow a finite number within limits; `above` and `below` leave the limit itself out."""

    def accepts(value: Any) -> bool:
        inside = is_number(value) and low <= value <= high
        return inside and not (above and value == low) and not (below and value == high)

    bounds = f"{'above' if above else 'at least'} {low:g} and {'below' if below else 'at most'} {high:g}"
    return allow(f"a number {bounds}", accepts)


def choice(names: Iterable[str]) -> Check:
    """Allow one of some names."""
    valid = tuple(names)
    return Check(
        lambda value: isinstance(value, str) and value in valid,
        lambda: f"one of {', '.join(valid)}",
        lambda: valid,
    )


def text(limit: int) -> Check:
    """Allow printable text up to a length."""

    def accepts(value: Any) -> bool:
        return isinstance(value, str) and len(value) <= limit and all(c.isprintable() or c in "\n\t" for c in value)

    return allow(f"text of at most {limit} printable characters", accepts)


def automatic(count: Check) -> Check:
    """Allow the word auto, or what the check of a count allows."""
    return allow(f'"auto" or {count.allowed}', lambda value: value == "auto" or count.accepts(value))


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number; true and false are none, and nor is a whole one beyond 64 bits."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number of at most 64 bits; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_WHOLE


def is_table(value: Any) -> TypeGuard[dict[str, Any]]:
    """Tell whether a value is a table of TOML, whose keys are text."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Tell whether a value is a list of TOML."""
    return isinstance(value, list)


def differ(values: list[Any]) -> bool:
    """Tell whether no value is listed twice."""
    return len(set(values)) == len(values)


def _is_folder_name(value: Any) -> bool:
    return isinstance(value, str) and bool(NAME_PATTERN.fullmatch(value)) and not value.endswith(".")


def _is_arm_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= MAX_ARM_NAME and value.isprintable()


def _are_modules(value: Any) -> bool:
    named = is_list(value) and len(value) <= MAX_MODULES and all(isinstance(name, str) for name in value)
    return named and differ(value) and all(len(name) <= MAX_NAME and MODULE_PATTERN.fullmatch(name) for name in value)


def _is_source_list(value: Any) -> bool:
    return is_list(value) and all(isinstance(v, str) and v in SOURCES for v in value) and differ(value)


def _are_devices(value: Any) -> bool:
    if value in ("auto", "cpu", "cuda"):
        return True
    listed = is_list(value) and bool(value) and all(isinstance(v, str) for v in value)
    return listed and differ(value) and all(DEVICE_PATTERN.fullmatch(v) for v in value)


def _are_lines(value: Any) -> bool:
    listed = is_list(value) and len(value) <= MAX_LINES and all(isinstance(line, str) for line in value)
    return listed and all(len(line) <= MAX_ARGUMENT_TEXT and line.isprintable() for line in value)


def _are_options(value: Any) -> bool:
    return _are_lines(value) and all(_is_option(option) for option in value)


def _is_option(option: str) -> bool:
    found = OPTION_PATTERN.fullmatch(option)
    if found is None or len(option) > MAX_NAME:
        return False
    name = found[1].lstrip("-")
    return name not in OWN_OPTIONS and not (len(name) == 1 and name in OWN_LETTERS)


def _are_arguments(value: Any) -> bool:
    return is_table(value) and len(value) <= MAX_ARGUMENTS and all(map(_is_argument, value, value.values()))


def _is_argument(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_ARGUMENT_TEXT and name.isidentifier()
    return name.isidentifier() and (isinstance(value, bool) or is_number(value))


def _is_target(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME and bool(TARGET_PATTERN.fullmatch(value))


def _is_square(value: Any) -> bool:
    return is_whole(value) and 1 <= value <= 10_000 and math.isqrt(value) ** 2 == value


def _is_onset(value: Any) -> bool:
    listed = value if is_list(value) else [value]
    return (
        0 < len(listed) <= MAX_ONSETS
        and all(is_whole(epoch) and 0 <= epoch <= MAX_EPOCHS for epoch in listed)
        and differ(listed)
    )


def _is_ensemble(value: Any) -> bool:
    keys = is_table(value) and set(value) == {"of", "size"} and isinstance(value["of"], str)
    return keys and is_whole(value["size"]) and 1 <= value["size"] <= MAX_REPLICAS


def _is_crossed(value: Any) -> bool:
    named = is_table(value) and len(value) == 2 and all(name in SOURCES for name in value)
    counted = named and all(is_whole(levels) and 2 <= levels <= MAX_REPLICAS for levels in value.values())
    return counted and math.prod(value.values()) <= MAX_REPLICAS


def _is_model_preset(value: Any) -> bool:
    known = isinstance(value, str) and (value in presets.MODELS or value in presets.LANGUAGE_MODELS)
    return known or (isinstance(value, str) and bool(presets.TORCHVISION_PATTERN.fullmatch(value)))


DATA_NAMES = (*presets.DATA, *presets.LANGUAGE)
MODEL_NAMES = (*presets.MODELS, *presets.LANGUAGE_MODELS, f"{presets.TORCHVISION_PREFIX}NAME")

flag = allow("true or false", lambda value: isinstance(value, bool))
folder_name = allow("1 to 64 of the characters A-Z a-z 0-9 . _ - and start with a letter or digit", _is_folder_name)
arm_name = allow(f"one line of 1 to {MAX_ARM_NAME} printable characters", _is_arm_name)
target = allow(f'"module:function", of at most {MAX_NAME} characters', _is_target)
modules = allow(
    f'a list of at most {MAX_MODULES} different names of modules such as ["mypkg", "timm.models"]', _are_modules
)
source_list = allow(f"a list of different sources out of {', '.join(SOURCES)}; empty for a control", _is_source_list)
devices = allow('"auto", "cpu", "cuda" or a list of different CUDA devices such as ["cuda:0", "cuda:1"]', _are_devices)
word = allow(
    "a word of at most 200 letters, digits and . _ , : / = + * ( ) @ -",
    lambda value: isinstance(value, str) and bool(WORD_PATTERN.fullmatch(value)),
)
duration = allow(
    'a time as Slurm writes it: "90" minutes, "HH:MM:SS" or "DAYS-HH:MM:SS"',
    lambda value: isinstance(value, str) and bool(DURATION_PATTERN.fullmatch(value)),
)
memory = allow(
    'a size such as "16G" or "4000M"', lambda value: isinstance(value, str) and bool(MEMORY_PATTERN.fullmatch(value))
)
lines = allow(f"a list of at most {MAX_LINES} lines", _are_lines)
options = allow(
    'a list of options such as "--constraint=h100", each one word, none of '
    + ", ".join(f"--{name}" for name in OWN_OPTIONS),
    _are_options,
)
slots = automatic(whole(1, MAX_SLOTS))
side_by_side = automatic(whole(1, MAX_SIDE_BY_SIDE))
pack = automatic(whole(1, MAX_PACK))
arguments = allow(
    f"a table of at most {MAX_ARGUMENTS} plain values (text, numbers, true, false) under Python names", _are_arguments
)
# The tables are read from a file when the first value is checked, not when the program starts.
reference = Check(
    lambda value: isinstance(value, str) and value in list_tables(),
    lambda: f"one of {', '.join(list_tables())}",
    list_tables,
)
square = allow("a square number from 1 to 10000", _is_square)
onset = allow(f"a whole number from 0, or up to {MAX_ONSETS} different ones in a list", _is_onset)
ensemble = allow("{ of = an arm's name, size = members }", _is_ensemble)
crossed = allow(
    f"two of {', '.join(SOURCES)}, each with 2 or more seeds, at most {MAX_REPLICAS} pairs",
    _is_crossed,
)
data_preset = choice(DATA_NAMES)
# Whether torchvision knows a name is found out where it can be imported.
model_preset = Check(_is_model_preset, lambda: f"one of {', '.join(MODEL_NAMES)}", lambda: MODEL_NAMES)
