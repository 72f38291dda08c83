"""Proposes a [command] for a command line as somebody types it: what looks like a seed becomes a source's placeholder.

Nothing is run here. The text of the program's --help, where somebody has asked for it, adds the arguments that the
command line does not name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.catalog.placeholders import CHECKPOINT, EVERYTHING, find_placeholders, name_source, write_placeholder
from engine.catalog.sources import SOURCES

OPTION = re.compile(r"(--?[A-Za-z][\w.-]*)(?:=(.*))?", re.DOTALL)
HYDRA = re.compile(r"\+{0,2}([A-Za-z_][\w.]*)=(.*)", re.DOTALL)
"""An override such as training.seed=1, as Hydra and OmegaConf take it."""

OFFERED = re.compile(r"(?<![\w-])(--[A-Za-z][\w-]*)(?:[ =]([A-Z][A-Z_]*|<\w+>|\{[^}]*\}|\[?\w+\]?))?")
"""An option in a text of help, with what stands for its value where it takes one."""

PLAIN_WORD = re.compile(r"[\w{}.,:=@%+/-]+")

PYTHON = re.compile(r"(?:.*/)?python(?:\d+(?:\.\d+)*)?")

KNOWN = {
    "init": ("init", "model", "weight", "weights", "param", "params"),
    "shuffle": ("data", "shuffle", "order", "sampler", "loader", "dataloader", "batch"),
    "augment": ("aug", "augment", "augmentation", "transform"),
    "stochastic": ("dropout", "noise", "stochastic", "mask"),
}
"""Source → what stands before or behind "seed" in the name of an argument that decides it."""

WHOLE = ("", "random", "rng", "manual", "global", "torch", "numpy", "np", "base", "run", "training", "train", "trainer")
"""What stands there in the name of a seed for everything."""

SEED_NAMES = ("random_state", "rng", "rng_state")
"""Names of seeds for everything that do not hold the word."""

OUTPUTS = re.compile(
    r"(out|output|save|log|logging|result|results|run|ckpt|checkpoint)s?_?(dir|directory|folder|path)?"
)
NOT_OUTPUTS = ("log", "run", "save", "ckpt", "checkpoint", "checkpoint_path", "ckpt_path", "save_path")
EPOCHS = re.compile(r"(num_?|n_?|max_?)?(train_?)?epochs?")
RESUMES = re.compile(r"resume(_from)?(_checkpoint|_ckpt|_path)?")


@dataclass(frozen=True)
class Proposal:
    """Holds what is proposed for a command line; every part of it can be changed."""

    run: tuple[str, ...]
    """The words, with placeholders."""
    found: dict[str, str] = field(default_factory=dict[str, str])
    """Source → the argument that decides it."""
    python: str | None = None
    """The interpreter that the words named."""
    files: tuple[str, ...] = ()
    epochs: int | None = None
    resume: tuple[str, ...] = ()
    out: str | None = None
    """The argument that names the folder of results."""

    @property
    def titles(self) -> dict[str, str]:
        """Return what [sources] calls sources of its own."""
        own = {name: argument for name, argument in self.found.items() if name not in SOURCES and name != EVERYTHING}
        return {name: f"What {argument} decides" for name, argument in own.items()}


def split_words(text: str) -> list[str]:
    """Return the words of a command line as a shell would split them; no shell is started.

    Raises:
        ValueError: If a quotation does not end.
    """
    return shlex.split(text)


def join_words(words: Iterable[str]) -> str:
    """Return words as a command line to read, and to split again: placeholders stand as they are."""
    return " ".join(word if PLAIN_WORD.fullmatch(word) else shlex.quote(word) for word in words)


def propose(words: Sequence[str], *, folder: Path, offered: str = "") -> Proposal:
    """Propose a [command] for the words that start a training.

    Args:
        words: The command line, which may hold placeholders already.
        folder: Where it is started.
        offered: What the program says on --help; empty where it was not asked.
    """
    head, python = _find_python(words)
    named = _read_arguments(head)
    extra = [name for name in list_offered(offered) if name not in {argument for argument, _ in named}]
    seeds = _name_sources([*(argument for argument, _ in named), *extra])
    run, out, epochs = list(head), None, None
    for argument, (place, value) in named:
        if argument in seeds:
            _put(run, place, argument, write_placeholder(seeds[argument]))
        elif _is_output(argument):
            out = argument
            _put(run, place, argument, "{out}")
        elif EPOCHS.fullmatch(_simplify(argument)) and value.isdecimal():
            epochs = int(value)
    for argument in extra:
        if argument in seeds:
            run += [argument, write_placeholder(seeds[argument])]
    if out is None and (argument := next(filter(_is_output, extra), None)) is not None:
        out = argument
        run += [argument, "{out}"]
    resume = next((name for name in extra if RESUMES.fullmatch(_simplify(name))), None)
    placed = [source for word in find_placeholders(run) if (source := name_source(word)) is not None]
    return Proposal(
        run=tuple(run),
        found={source: argument for argument, source in seeds.items()}
        | {s: "" for s in placed if s not in seeds.values()},
        python=python,
        files=tuple(dict.fromkeys(word for word in head if _is_file(word, folder))),
        epochs=epochs,
        resume=() if resume is None else (resume, f"{{{CHECKPOINT}}}"),
        out=out,
    )


def list_offered(text: str) -> list[str]:
    """Return the options with a value that a text of help offers, each once, in order.

    Where the text has several spellings of one, such as --data-seed and --data_seed, the first stands for all.
    """
    found: dict[str, str] = {}
    for match in OFFERED.finditer(text):
        if match[2] is not None:
            found.setdefault(_simplify(match[1]), match[1])
    return list(found.values())


def ask_for_help(words: Sequence[str]) -> list[str]:
    """Return the words that ask a program for its arguments: it and its script, without what is trained."""
    script = next((n for n, word in enumerate(words) if word.endswith(".py")), None)
    if script is not None:
        return [*words[: script + 1], "--help"]
    module = next((n for n, word in enumerate(words) if word == "-m"), None)
    return [*words[: 1 if module is None else module + 2], "--help"]


def _find_python(words: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the words with {python} for their interpreter, and that."""
    if words and PYTHON.fullmatch(words[0]):
        return ["{python}", *words[1:]], words[0]
    return list(words), None


def _read_arguments(words: Sequence[str]) -> list[tuple[str, tuple[int, str]]]:
    """Return each argument with the place of its value among the words, and the value; those without one are left."""
    found: list[tuple[str, tuple[int, str]]] = []
    for place, word in enumerate(words[1:], start=1):
        option, override = OPTION.fullmatch(word), HYDRA.fullmatch(word)
        if option is not None and option[2] is not None:
            found.append((option[1], (place, option[2])))
        elif option is not None and place + 1 < len(words) and not words[place + 1].startswith("--"):
            found.append((option[1], (place + 1, words[place + 1])))
        elif override is not None:
            found.append((override[1], (place, override[2])))
    return found


def _put(run: list[str], place: int, argument: str, value: str) -> None:
    """Write an argument's value at its place, behind its name where that stands in the same word."""
    head, equals, _ = run[place].partition("=")
    run[place] = f"{head}={value}" if equals and head.lstrip("+") == argument else value


def _simplify(argument: str) -> str:
    """Return an argument's name as it is compared: the last part, in small letters, words apart by _."""
    return argument.lstrip("-").rpartition(".")[2].lower().replace("-", "_")


def _name_sources(arguments: Iterable[str]) -> dict[str, str]:
    """Return the arguments that look like seeds, with the source that each decides: each source once."""
    named: dict[str, str] = {}
    whole: list[str] = []
    for argument in dict.fromkeys(arguments):
        about = _read_seed(argument)
        if about is None:
            continue
        if about in WHOLE:
            whole.append(argument)
            continue
        source = next((name for name, words in KNOWN.items() if about in words), about)
        if source not in named.values():
            named[argument] = source
    if whole:
        # Beside a seed for the order, one for everything else decides initial weights, and most often dropout too.
        named = {whole[0]: EVERYTHING if not named or "init" in named.values() else "init"} | named
    return named


def _read_seed(argument: str) -> str | None:
    """Return what a seed's name says beside "seed"; None where the argument is none."""
    name = _simplify(argument)
    if name in SEED_NAMES:
        return ""
    if "seed" not in (parts := name.split("_")) and not name.endswith("seed"):
        return None
    if "seed" in parts:
        return "_".join(part for part in parts if part != "seed")
    return name.removesuffix("seed")


def _is_output(argument: str) -> bool:
    name = _simplify(argument)
    return OUTPUTS.fullmatch(name) is not None and name not in NOT_OUTPUTS


def _is_file(word: str, folder: Path) -> bool:
    try:
        return (
            "{" not in word and not Path(word).is_absolute() and Path(word).suffix != "" and (folder / word).is_file()
        )
    except (OSError, ValueError):
        return False
