"""Lists the keys of a screen for its help, in the groups that the screen names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

OTHERS = "Moving, and everywhere"
"""What is titled so stands behind the groups of a screen."""

Groups = Mapping[str, Sequence[str]]
"""Title → names of actions, without their arguments."""


def list_keys(keys: Iterable[tuple[str, str, str]], groups: Groups) -> list[tuple[str, str]]:
    """Return pairs of keys and what they do, each once; a title has no key before it.

    Args:
        keys: Of each binding its key, its action and what it does.
        groups: The groups of the screen; without any there are no titles.
    """
    rows: dict[str, tuple[str, list[str]]] = {}
    for key, action, what in keys:
        rows.setdefault(what, (action.partition("(")[0].rpartition(".")[2], []))[1].append(key)
    # A row such as "+ -" speaks for the keys that it names: the row of the second one alone says nothing more.
    named = {name for _, names in rows.values() for shown in names if " " in shown for name in shown.split()}
    rows = {what: (action, names) for what, (action, names) in rows.items() if not named.issuperset(names)}
    listed: list[tuple[str, str]] = []
    grouped = {action: title for title, actions in groups.items() for action in actions}
    for title in (*groups, OTHERS):
        part = [
            (" ".join(dict.fromkeys(names)), what)
            for what, (action, names) in rows.items()
            if grouped.get(action, OTHERS) == title
        ]
        listed += [("", title), *part] if part and groups else part
    return listed
