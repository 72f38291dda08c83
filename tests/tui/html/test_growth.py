"""The growth of moved bits on the page about a study."""

from __future__ import annotations

from tests.helpers.growth import make_arms
from tests.helpers.page_data import make_data
from tests.helpers.pages import Element, read
from tui.html.study_page import make_study_page


def find_section(page: Element, title: str) -> list[Element]:
    return [one for one in page.find_all("section") if one.attributes.get("aria-labelledby") == title]


def test_growth_is_drawn_tabulated_and_said() -> None:
    arms = make_arms()
    (section,) = find_section(read(make_study_page(make_data(arms))), "growth")
    rows = [[cell.text for cell in row.children if isinstance(cell, Element)] for row in section.find_all("tr")]
    assert rows[1] == ["1 ulp", "1e-08", "0.01", "3.25", "5", "95", "3/3"]
    assert len(rows) == len(arms)
    assert len(list(section.find_all("g", marked="series"))) == 3
    assert any("hardly depends on how far" in one.text for one in section.find_all("li"))
    assert find_section(read(make_study_page(make_data(arms[:1]))), "growth") == []
