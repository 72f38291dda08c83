"""Reads an HTML page as a browser's parser would, and tells what is wrong with its elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "input", "link"}


@dataclass
class Element:
    """One element."""

    name: str
    attributes: dict[str, str | None]
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def classes(self) -> list[str]:
        """Its classes."""
        return (self.attributes.get("class") or "").split()

    def find_all(self, name: str | None = None, *, marked: str | None = None) -> Iterator[Element]:
        """Yield the elements below of a name and of a class, in the page's order."""
        for child in self.children:
            if isinstance(child, Element):
                if name in (None, child.name) and (marked is None or marked in child.classes):
                    yield child
                yield from child.find_all(name, marked=marked)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.faults += [f"<{tag}> has {name} twice" for name in set(names) if names.count(name) > 1]
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1].name != tag:
            self.faults.append(f"</{tag}> ends <{self.open[-1].name}>")
        if len(self.open) > 1:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read_page(text: str) -> tuple[Element, list[str]]:
    """Return a page's elements, and the faults of their nesting."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.root, [*reader.faults, *(f"<{one.name}> is not ended" for one in reader.open[1:])]


def read(text: str) -> Element:
    """Return a page that has no faults as its elements."""
    root, faults = read_page(text)
    assert faults == []
    return root
