"""Groups the settings of a protocol for people: which stand together, and which are shown at first."""

from __future__ import annotations

from engine.protocol.sections import SECTIONS

_SECTIONS = {
    "Study": ("protocol",),
    "Your own program": ("command",),
    "Data": ("data",),
    "Model": ("model", "trust"),
    "Training": ("train", "lowlevel", "bit"),
    "Seeds": ("seeds",),
    "Dispatch: where and how it is trained": ("dispatch", "slurm"),
    "Measures": ("metrics", "evaluate"),
    "Comparison": ("compare",),
}

GROUPS: dict[str, tuple[str, ...]] = {
    title: tuple(f"{section}.{name}" for section in sections for name in SECTIONS[section])
    for title, sections in _SECTIONS.items()
}
"""Title → the keys of its settings."""

REQUIRED = frozenset(
    {
        "protocol.name", "protocol.replicas", "command.run", "command.files", "data.preset", "model.preset",
        "train.epochs", "train.batch_size", "train.lr", "train.warmup_epochs",
    }
)  # fmt: skip
"""Keys that are shown whether they are set or not: what somebody who begins has to decide."""

TEXT_KEYS = frozenset({"train.bptt", "train.activation_reg", "train.slowness_reg", "train.select", "evaluate.streams"})
"""Keys that act on text models alone."""

COMMAND_KEYS = frozenset(GROUPS["Your own program"])
"""Keys that act on a program of one's own alone."""

_REPLACED = (*(key for title in ("Data", "Model", "Training") for key in GROUPS[title]), *SECTIONS["evaluate"])
TRAINING_KEYS = frozenset(key if "." in key else f"evaluate.{key}" for key in _REPLACED)
"""Keys that such a program replaces."""

_ALONE = frozenset(sections[0] for sections in _SECTIONS.values())


def shorten_key(key: str) -> str:
    """Return a key as it is called inside its group: with its section where that is not the group's first."""
    section, _, name = key.partition(".")
    return name if section in _ALONE else key
