"""Groups the settings of a protocol for people: which stand together, and which are shown at first."""

from __future__ import annotations

from engine.protocol.sections import SECTIONS

_SECTIONS = {
    "Study": ("protocol",),
    "Data": ("data",),
    "Model": ("model", "trust"),
    "Training": ("train", "lowlevel", "bit"),
    "Seeds": ("seeds",),
    "Dispatch: where and how it is trained": ("dispatch",),
    "Measures": ("metrics", "evaluate"),
}

GROUPS: dict[str, tuple[str, ...]] = {
    title: tuple(f"{section}.{name}" for section in sections for name in SECTIONS[section])
    for title, sections in _SECTIONS.items()
}
"""Title → the keys of its settings."""

REQUIRED = frozenset(
    {
        "protocol.name", "protocol.replicas", "data.preset", "model.preset", "train.epochs", "train.batch_size",
        "train.lr", "train.warmup_epochs",
    }
)  # fmt: skip
"""Keys that are shown whether they are set or not: what somebody who begins has to decide."""

TEXT_KEYS = frozenset({"train.bptt", "train.activation_reg", "train.slowness_reg", "train.select", "evaluate.streams"})
"""Keys that act on text models alone."""

_ALONE = frozenset(sections[0] for sections in _SECTIONS.values())


def shorten_key(key: str) -> str:
    """Return a key as it is called inside its group: with its section where that is not the group's first."""
    section, _, name = key.partition(".")
    return name if section in _ALONE else key
