"""The keys of an [[arm]] table, and the sections that an arm may override."""

from __future__ import annotations

from engine.protocol import checks
from engine.protocol.checks import whole
from engine.protocol.keys import Key
from engine.protocol.sections import SECTIONS

ARM: dict[str, Key] = {
    "name": Key(checks.arm_name, None, "the row's title in the table", "Titles the row of the table."),
    "vary": Key(
        checks.source_list,
        None,
        'e.g. vary = ["init"]; vary = [] is a control',
        "Lists the sources that differ between the replicas.",
    ),
    "replicas": Key(
        whole(1, checks.MAX_REPLICAS),
        None,
        "only where this arm differs from protocol.replicas",
        "Sets the number of this arm's replicas; protocol.replicas where it is left out.",
    ),
    "arguments": Key(
        checks.arguments,
        None,
        "of a [command] only, e.g. arguments = { lr = 0.3 } for {arm.lr}",
        "Gives the values of this arm's placeholders {arm.KEY}.",
    ),
    "onset": Key(
        checks.onset,
        0,
        "the last common epoch, or a list of them: one arm per value",
        "Sets the last epoch in which all replicas are still equal; a list makes one arm per value.",
    ),
    "crossed": Key(
        checks.crossed,
        None,
        "e.g. crossed = { init = 10, shuffle = 10 }, instead of vary and replicas",
        "Trains every pair of seeds of two sources, instead of vary and replicas.",
    ),
    "ensemble": Key(
        checks.ensemble,
        None,
        'e.g. ensemble = { of = "All sources", size = 2 }',
        "Averages the logits of groups of another arm's runs; trains nothing.",
    ),
}

ARM_OVERRIDES: dict[str, tuple[str, ...]] = {
    "train": tuple(SECTIONS["train"]),
    "model": tuple(SECTIONS["model"]),
    "data": ("train_size", "augment", "sample", "validation_size"),
    "bit": tuple(SECTIONS["bit"]),
    "evaluate": tuple(SECTIONS["evaluate"]),
}
"""What an arm may set for itself. Not the data set: all arms of a study are tested on the same examples."""
