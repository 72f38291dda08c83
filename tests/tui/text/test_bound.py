"""What stays on one line where sentences are wrapped."""

from __future__ import annotations

import pytest
from rich.text import Text

from tui.app.screens.start_lines import PLAIN
from tui.app.sentences import wrap_sentence
from tui.app.widgets.lines import wrap_lines
from tui.text.bound import bind, release

SAID = "one and other differ by +0.44 [+0.02 +0.86] % points, 9 % of all, margin ± 0.2; [ ] 95 % of the rest"


@pytest.mark.parametrize("width", range(20, 90))
def test_no_line_ends_inside_of_an_interval_and_no_word_is_lost(width: int) -> None:
    for rows in (
        [line.text.plain for line in wrap_lines(SAID, width)],
        [text.plain for text in wrap_sentence(Text(SAID, "bold"), PLAIN, width)],
    ):
        assert " ".join(row.strip() for row in rows) == SAID
        for kept in ("[+0.02 +0.86]", "9 % of", "± 0.2", "95 %"):
            assert any(kept.removesuffix(" of") in row for row in rows), (kept, rows)
        assert max(map(len, rows)) <= width


def test_colours_of_a_sentence_stay_on_their_words() -> None:
    text = Text.assemble("x ", ("arm", "red"), " at 3 % [1 2]")
    [row, *_] = wrap_sentence(text, PLAIN, 40)
    assert [(row.plain[span.start : span.end], span.style) for span in row.spans] == [("arm", "red")]


def test_text_without_figures_is_left_alone() -> None:
    for text in ("a [b c] % d", "[ ] %", "", "1 2 3"):
        assert bind(text) == text
    assert release(bind(SAID)) == SAID
