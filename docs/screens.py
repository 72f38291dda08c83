"""Writes the pictures of the screens anew, from the study of the tour: `python docs/screens.py [FOLDER]`.

Those that README shows go into docs/screens, and all of them into the folder, build/screens where none is named. Every
picture is an SVG that asks nothing of the network: the viewer's own monospaced font draws it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.screens import settle
from tui.app.app import NondetApp
from tui.app.pictures import draw_picture
from tui.app.settings import Locations, Settings
from tui.app.terminal import Terminal
from tui.app.tour.packing import unpack_study

SHOWN = Path(__file__).parent / "screens"
FOLDER = Path(__file__).parents[1] / "build" / "screens"


@dataclass(frozen=True)
class Picture:
    """Says how to come to a screen from home, and in which look it is taken."""

    keys: tuple[str, ...] = ()
    size: tuple[int, int] = (120, 36)
    theme: str = "dark"


PICTURES = {
    "home": Picture(),
    "builder": Picture(("slash", *"quickstart", "enter", "down", "down", "enter")),
    "monitor": Picture(("enter",)),
    "answer": Picture(("t",)),
    "table": Picture(("t", "2")),
    "intervals": Picture(("t", "3")),
    "time": Picture(("t", "4")),
    "pairs": Picture(("t", "6")),
    "examples": Picture(("t", "7")),
    "light": Picture(("t", "2"), theme="light"),
}
"""By the name of the file."""

IN_README = ("monitor", "answer", "light")


async def take(picture: Picture, store: Path, own: Path) -> str:
    """Show a screen without a terminal, and return it as SVG."""
    app = NondetApp(
        store=str(store),
        locations=Locations(own / "config.toml", own / "recent", own / "copies"),
        settings=Settings(refresh_s=0.2, theme=picture.theme),
        terminal=Terminal(glyphs="braille", remote=True, tmux=False, few_colours=False),
    )
    async with app.run_test(size=picture.size) as pilot:
        await settle(pilot)
        for key in picture.keys:
            await pilot.press(key)
            await settle(pilot)
        await asyncio.sleep(2.0)  # measures come from a process
        await settle(pilot)
        return draw_picture(app)


def main(arguments: list[str]) -> int:
    """Write every picture."""
    folder = Path(arguments[0]) if arguments else FOLDER
    with tempfile.TemporaryDirectory() as name:
        store, own = Path(name) / "studies", Path(name) / "own"
        store.mkdir()
        own.mkdir()
        unpack_study(store)
        for title, picture in PICTURES.items():
            drawn = asyncio.run(take(picture, store, own))
            for place in (folder, SHOWN) if title in IN_README else (folder,):
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{title}.svg").write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
