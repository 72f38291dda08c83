"""The builder's questions: a setting's value, an arm's own settings, onsets, ensembles, crossed sources.

What is a word out of a list is chosen from it, anything else is typed and refused with what is allowed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from rich.text import Text
from textual.app import App

from engine.catalog.sources import SOURCES
from engine.protocol.arm_keys import ARM, ARM_OVERRIDES
from engine.protocol.checks import MAX_REPLICAS, arm_name, is_table, whole
from engine.protocol.faults import printable
from tui.app.choices import MODEL_HEAD, list_choices
from tui.app.document import Document
from tui.app.screens.choosing import Choose
from tui.app.screens.dialogs import Prompt
from tui.app.setting_groups import TEXT_KEYS
from tui.app.setting_values import (
    allowed_of,
    check_of,
    default_of,
    find_value_fault,
    format_value,
    meaning_of,
    read_value,
    remedy_of,
)
from tui.text.format import UNICODE, shorten

DEFAULT, TYPED, NONE = "the default", "typed by hand", "taken out"
"""Keys of lines that stand for no value of a list; none of them is a word of a protocol."""

Take = Callable[[Any], None]
"""Takes the value that was given; None takes the setting out."""

PAIRS = tuple(itertools.combinations(SOURCES, 2))


def ask_value(
    app: App[None],
    key: str,
    value: Any,
    take: Take,
    *,
    title: str = "",
    otherwise: str = "",
    left: Callable[[], None] = lambda: None,
) -> None:
    """Ask for a setting's value: choose it where it is a word out of a list, else type it.

    Args:
        app: Shows the question.
        key: The setting.
        value: Its value; None where it is not set.
        take: Takes the answer; it is not called where there is none.
        title: What is asked; the key where that says it.
        otherwise: What holds where it is not set; the default where that does.
        left: Is called where the question is left without an answer.
    """
    rows = list_choices(key)
    if not rows:
        _type_value(app, key, value, take, title=title, otherwise=otherwise, left=left)
        return
    choices: list[tuple[str, str | Text]] = list(rows)
    if key == "model.preset":
        choices.append((TYPED, "torchvision:NAME  any classifier of torchvision: type its name"))
    unset = otherwise or format_value(default_of(key)) or "none"
    choices.insert(0, (DEFAULT, Text(f"leave it out: {unset}", style="dim")))

    def chosen(name: str | None) -> None:
        if name == TYPED:
            _type_value(app, key, value, take, title=title, otherwise=otherwise, left=left)
        elif name is None:
            left()
        else:
            take(None if name == DEFAULT else read_value(check_of(key), name))

    known = format_value(value) if value is not None else DEFAULT
    head = f"{meaning_of(key)}\n{MODEL_HEAD}" if key == "model.preset" else meaning_of(key)
    app.push_screen(Choose(title or key, choices, chosen=known, head=head), chosen)


def _type_value(
    app: App[None], key: str, value: Any, take: Take, *, title: str, otherwise: str, left: Callable[[], None]
) -> None:
    unset = otherwise or format_value(default_of(key))
    hint = f"{meaning_of(key)}\n{allowed_of(key)}; {remedy_of(key)}"
    hint += f"\nempty: {unset}" if unset else ""
    check = check_of(key)

    def typed(text: str | None) -> None:
        if text is None:
            left()
        else:
            take(read_value(check, text))

    prompt = Prompt(title or key, format_value(value), hint=hint, check=lambda text: find_value_fault(check, text))
    app.push_screen(prompt, typed)


def ask_own(app: App[None], document: Document, number: int, section: str, changed: Callable[[], None]) -> None:
    """Ask which settings of a section hold in one arm alone, one after another, until Esc.

    Args:
        app: Shows the questions.
        document: The protocol, which is changed.
        number: The arm.
        section: The section.
        changed: Is called after each change.
    """

    def ask(at: str | None) -> None:
        keys = [f"{section}.{name}" for name in ARM_OVERRIDES[section]]
        shown = [key for key in keys if key not in TEXT_KEYS or document.reads_text]
        rows = [(key, _describe_own(document, number, key)) for key in shown]
        name = printable(document.names[number])
        title = f"[{section}] of {name} alone"
        head = f"{'':21}{'its own':16}{'else':16}what it does"
        app.push_screen(Choose(title, rows, chosen=at, head=head), chosen)

    def chosen(key: str | None) -> None:
        if key is None:
            return

        def take(value: Any) -> None:
            document.set_own(number, key, value)
            changed()
            ask(key)

        others = f"{_find_common(document, key)}, as in other arms"
        title = f"{key} of {printable(document.names[number])} alone"
        value = document.get_own(number, key)
        ask_value(app, key, value, take, title=title, otherwise=others, left=lambda: ask(key))

    ask(None)


def _find_common(document: Document, key: str) -> str:
    value = document.get(key)
    return format_value(default_of(key) if value is None else value) or "none"


def _describe_own(document: Document, number: int, key: str) -> Text:
    own = document.get_own(number, key)
    row = Text(f"{key.partition('.')[2]:20} ", no_wrap=True)
    row.append(
        f"{shorten(printable(format_value(own)) or UNICODE.missing, 15):16}", "bold" if own is not None else "dim"
    )
    row.append(f"{shorten(printable(_find_common(document, key)), 15):16}", "dim" if own is not None else "")
    return row.append(meaning_of(key), "dim")


def ask_name(app: App[None], document: Document, number: int, changed: Callable[[], None]) -> None:
    """Ask what an arm is called; the name then stays, whatever varies in it."""

    def rename(text: str | None) -> None:
        if text:
            document.rename(number, text)
            changed()

    def check(text: str) -> str | None:
        if text in [name for other, name in enumerate(document.names) if other != number]:
            return "another arm has this name: give each its own"
        return arm_name.find_problem(text)

    hint = "a name that you give stays, whatever varies in the arm"
    app.push_screen(Prompt("Name of the arm", document.names[number], hint=hint, check=check), rename)


def ask_arm_key(app: App[None], document: Document, number: int, key: str, changed: Callable[[], None]) -> None:
    """Ask for a number or a list that an arm says for itself: its replicas, or its onsets."""
    said = ARM[key]
    check = said.check

    def read(text: str) -> str:
        listed = "," in text and not text.strip().startswith("[")
        return f"[{text.strip().rstrip(',')}]" if listed else text

    def take(text: str | None) -> None:
        if text is not None:
            document.set_arm(number, key, read_value(check, read(text)))
            changed()

    otherwise = _find_common(document, "protocol.replicas") if key == "replicas" else "none"
    hint = f"{said.meaning}\n{said.check.allowed}\nempty: {otherwise}"
    title = f"{key.capitalize()} of {printable(document.names[number])}"
    value = format_value(document.arms[number].get(key))
    app.push_screen(Prompt(title, value, hint=hint, check=lambda text: find_value_fault(check, read(text))), take)


def ask_ensemble(app: App[None], document: Document, number: int, changed: Callable[[], None]) -> None:
    """Ask of which arm's runs an arm makes ensembles, then of how many."""
    arm = document.arms[number]
    members = arm.get("ensemble")
    now: Mapping[str, Any] = members if is_table(members) else {}
    names = [
        str(other.get("name", ""))
        for place, other in enumerate(document.arms)
        if place != number and "ensemble" not in other
    ]
    rows: list[tuple[str, str | Text]] = [(name, printable(name)) for name in names]
    if now:
        rows.insert(0, (NONE, Text("no ensemble: an arm that is trained", style="dim")))

    def chosen(of: str | None) -> None:
        if of is None:
            return
        if of == NONE:
            document.set_arm(number, "ensemble", None)
            changed()
            return
        size = whole(1, MAX_REPLICAS)

        def take(text: str | None) -> None:
            if text:
                document.set_arm(number, "ensemble", {"of": of, "size": read_value(size, text)})
                changed()

        def check(text: str) -> str | None:
            return find_value_fault(size, text) if text.strip() else f"must be {size.allowed}"

        hint = "The predictions of so many runs are averaged; no run is in two ensembles, and none is trained for it."
        prompt = Prompt(f"Runs of {printable(of)} in an ensemble", str(now.get("size", 2)), hint=hint, check=check)
        app.push_screen(prompt, take)

    title = f"{printable(document.names[number])}: ensembles of which arm's runs?"
    head = "What it varies and sets for itself is left out: its runs are the other arm's."
    app.push_screen(Choose(title, rows, chosen=now.get("of"), head=head), chosen)


def ask_crossed(app: App[None], document: Document, number: int, changed: Callable[[], None]) -> None:
    """Ask which two sources an arm crosses, then for how many seeds of each."""
    crossed = document.arms[number].get("crossed")
    now: dict[str, Any] = dict(crossed) if is_table(crossed) else {}
    rows: list[tuple[str, str | Text]] = [
        (f"{one} {other}", f"{one + ' x ' + other:24} {SOURCES[one].meaning}; {SOURCES[other].meaning}")
        for one, other in PAIRS
    ]
    if now:
        rows.insert(0, (NONE, Text("not crossed: sources that vary together", style="dim")))

    def chosen(pair: str | None) -> None:
        if pair is None:
            return
        if pair == NONE:
            document.set_arm(number, "crossed", None)
            changed()
            return
        one, other = pair.split()

        def read(text: str) -> Any:
            counts = text.replace("x", " ").replace(",", " ").split()
            return dict(zip((one, other), map(int, counts), strict=True)) if len(counts) == 2 else None

        def check(text: str) -> str | None:
            try:
                value = read(text)
            except ValueError:
                value = None
            return "type two numbers, such as 10 10" if value is None else ARM["crossed"].check.find_problem(value)

        def take(text: str | None) -> None:
            if text is not None:
                document.set_arm(number, "crossed", read(text))
                changed()

        def remark(text: str) -> str:
            value = read(text)
            return f"{value[one]} x {value[other]} = {value[one] * value[other]} runs, one for each pair of seeds"

        shown = f"{now.get(one, 10)} {now.get(other, 10)}"
        app.push_screen(Prompt(f"Seeds of {one}, seeds of {other}", shown, check=check, remark=remark), take)

    title = f"{printable(document.names[number])}: which two sources are crossed?"
    head = "Every pair of their seeds is trained, which tells how much of the spread is each one's."
    app.push_screen(Choose(title, rows, chosen=" ".join(now) or None, head=head), chosen)
