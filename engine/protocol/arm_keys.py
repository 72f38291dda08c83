"""The keys of an [[arm]] table, which of them an arm has to have, and the sections that it may override."""

from __future__ import annotations

from engine.protocol import checks
from engine.protocol.checks import whole
from engine.protocol.faults import Fault, show_value
from engine.protocol.keys import Key
from engine.protocol.sections import SECTIONS
from engine.protocol.tables import Table

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


def check_presence(prefix: str, table: Table, replaced: tuple[str, ...], faults: list[Fault]) -> None:
    """Report what an arm that trains lacks, and what it sets beside crossed, which replaces it.

    Args:
        prefix: Of the arm's keys in faults.
        table: The arm as it is written.
        replaced: The keys that have no meaning beside crossed.
        faults: Gets one for each such key.
    """
    crossed = "crossed" in table
    for key in replaced if crossed else ():
        if key in table:
            remedy = "leave it out: crossed says what varies, and how often"
            faults.append(Fault(f"{prefix}{key}", "has no meaning beside crossed", remedy, show_value(table[key])))
    for key in ("name",) if crossed else ("name", "vary"):
        if key not in table:
            faults.append(Fault(f"{prefix}{key}", "is missing", ARM[key].remedy))
