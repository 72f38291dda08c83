"""The page about a study: sound HTML that fetches nothing whatever a study is called, with the figures of the study."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import matplotlib.image
import msgspec
import numpy as np
import pytest

from engine.study.measured import MeasuredStudy, read_measured
from engine.study.metrics_record import StudyMeasures
from engine.study.paths import StudyPaths
from engine.study.similarity_record import ArmSimilarity, LayerPairs
from tests.helpers.measures import make_curves, make_measures, make_spread
from tests.helpers.page_data import make_data
from tests.helpers.pages import Element, read
from tui import cli
from tui.commands.output import print_page
from tui.commands.page_data import gather_page
from tui.html.comparison_page import ComparedPair, ComparisonData, make_comparison_page
from tui.html.content import StudyData
from tui.html.curves import MOST_POINTS, thin
from tui.html.layers import encode_heat
from tui.html.sentences import SECTIONS, make_sentences
from tui.html.study_page import make_study_page
from tui.text.answers.listing import MOST_ARMS, TOO_MANY, list_answers
from tui.text.answers.sentences import Found, Page
from tui.text.tables import make_notes

KEPT = Path(__file__).parents[2] / "study" / "kept"

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7 * 7 }} &amp; ]]> \u202e\x1b[31m"

KNOWN = {
    "html", "head", "meta", "title", "style", "body", "header", "nav", "a", "button", "main", "h1", "h2", "h3", "h4",
    "p", "dl", "div", "dt", "dd", "section", "ul", "li", "span", "i", "table", "caption", "thead", "tbody", "tr", "th",
    "td", "figure", "figcaption", "svg", "desc", "g", "line", "path", "circle", "polygon", "rect", "text", "img",
    "details", "summary", "pre", "code", "footer", "script", "b", "br",
}  # fmt: skip


@pytest.fixture
def kept() -> StudyData:
    paths = StudyPaths(KEPT)
    return gather_page(paths, read_measured(paths))


def rename(data: StudyData, name: str) -> StudyData:
    """Call the study, its arms, layers, devices and everything else by one name."""
    names = {arm.name: f"{number} {name}" for number, arm in enumerate(data.arms)}
    arms = tuple(
        msgspec.structs.replace(arm, name=names[arm.name], reasons={"x": name}, unisolated=name) for arm in data.arms
    )
    curves = tuple(msgspec.structs.replace(one, name=names[one.name]) for one in data.measured.curves)
    layers = tuple(
        msgspec.structs.replace(
            one, name=names[one.name], layers=tuple(msgspec.structs.replace(layer, name=name) for layer in one.layers)
        )
        for one in data.similarity
    )
    made = msgspec.structs.replace(data.plan.provenance, versions={name: name}, git_commit=name, machine=name)
    planned = tuple(
        msgspec.structs.replace(arm, name=names[arm.name], empty=dict.fromkeys(arm.vary, name))
        for arm in data.plan.arms
    )
    origin = msgspec.structs.replace(data.plan.protocol, file=f"/x/{name}", overrides=(name,))
    plan = msgspec.structs.replace(data.plan, study=name, arms=planned, provenance=made, protocol=origin)
    trained = tuple(replace(one, device=name, versions=name) for one in data.runs.trained_with)
    return replace(
        data,
        plan=plan,
        measured=MeasuredStudy(StudyMeasures(study=name, arms=arms), curves),
        similarity=layers,
        runs=replace(data.runs, trained_with=trained, first=name, last=name),
        protocol=name,
        question=name,
        damage=(name,),
    )


@pytest.mark.parametrize("name", ["kept", HOSTILE])
def test_page_is_sound_and_fetches_nothing(kept: StudyData, name: str) -> None:
    text = make_study_page(rename(kept, name))
    page = read(text)
    elements = list(page.find_all())
    assert {one.name for one in elements} <= KNOWN
    ids = [identity for one in elements if (identity := one.attributes.get("id"))]
    assert len(ids) == len(set(ids))
    for one in elements:
        assert not [key for key in one.attributes if key.startswith("on") or key == "style"]
        source = one.attributes.get("src") or one.attributes.get("href") or "#"
        assert source.startswith(("#", "data:image/png;base64,"))
        for key in ("aria-labelledby", "data-for"):
            assert one.attributes.get(key, ids[0]) in ids
        if source.startswith("#") and one.name == "a":
            assert source[1:] in ids
    style, script = (next(page.find_all(kind)).text for kind in ("style", "script"))
    assert not re.search(r"url\(|@import|https?:|//[a-z]", style)
    assert not re.search(r"fetch\(|XMLHttp|https?:|eval\(|innerHTML", script)


def test_policy_lets_run_exactly_what_the_page_came_with(kept: StudyData) -> None:
    page = read(make_study_page(kept))
    [policy] = [
        one.attributes["content"] or ""
        for one in page.find_all("meta")
        if one.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        [element] = page.find_all(kind)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_hostile_names_are_text(kept: StudyData) -> None:
    text = make_study_page(rename(kept, HOSTILE))
    page = read(text)
    assert [one.text.count("alert(1)") for one in page.find_all("script")] == [0]
    assert not [one for one in page.find_all("img") if one.attributes.get("src") == "x"]
    shown = HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b")
    assert next(page.find_all("h1")).text == shown
    heads = [one.text for one in page.find_all("th") if one.attributes.get("scope") == "row"]
    assert any(head.endswith(f"0 {shown}") for head in heads)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "49" not in next(page.find_all("h1")).text, "a name is no template"


def test_people_who_hear_or_type_can_use_it(kept: StudyData) -> None:
    page = read(make_study_page(kept))
    assert next(page.find_all("html")).attributes["lang"] == "en"
    assert all(one.attributes.get("scope") for one in page.find_all("th"))
    pictures = list(page.find_all("svg", marked="picture"))
    assert len(pictures) >= 10
    for one in pictures:
        assert one.attributes["role"] == "img"
        assert next(one.find_all("title")).text
        assert next(one.find_all("desc")).text
    assert all(one.attributes.get("alt") for one in page.find_all("img"))
    for table in page.find_all("table", marked="sorted"):
        [head] = table.find_all("thead")
        for cell in head.find_all("th"):
            assert cell.attributes["aria-sort"] == "none"
            assert [one.attributes["type"] for one in cell.find_all("button")] == ["button"], "reached by the keyboard"
    scrolled = list(page.find_all("div", marked="scroll"))
    assert all(one.attributes["tabindex"] == "0" and one.attributes["role"] == "region" for one in scrolled)


def test_same_study_gives_the_same_bytes(kept: StudyData) -> None:
    paths = StudyPaths(KEPT)
    assert make_study_page(kept) == make_study_page(gather_page(paths, read_measured(paths)))


def test_table_is_sorted_by_the_values_themselves() -> None:
    """The script sorts by data-value: it holds every value in full, and published rows stay with their arm."""
    data = make_data(
        [
            make_measures(name="Control", vary=[], n=3, disagreement=0.0),
            make_measures(name="Random Bit Change", vary=["bit"], n=3, disagreement=2.8765432101),
        ],
        reference="table1",
    )
    page = read(make_study_page(data))
    table = next(page.find_all("table", marked="sorted"))
    heads = [next(one.find_all("button")).text for one in next(table.find_all("thead")).find_all("th")]
    place = heads.index("disagreement")
    groups = list(table.find_all("tbody"))
    assert len(groups) == 2
    values = []
    for group in groups:
        rows = list(group.find_all("tr"))
        cells = [[*row.find_all("th"), *row.find_all("td")] for row in rows]
        assert {len(row) for row in cells} == {len(heads)}
        values.append(cells[0][place].attributes["data-value"])
    assert values == ["0.0", "2.8765432101"]
    kinds = [row.classes for row in groups[1].find_all("tr")]
    assert kinds[0] == []
    assert ["published"] in kinds[1:]


def test_values_lie_where_their_axis_has_them() -> None:
    values = [1.0, 2.0, 4.0]
    arms = [
        make_measures(name=f"a{n}", n=5, disagreement=value, disagreement_ci=[value - 0.5, value + 0.75])
        for n, value in enumerate(values)
    ]
    page = read(make_study_page(make_data(arms)))
    [picture] = [one for one in page.find_all("svg") if next(one.find_all("title")).text == "disagreement, %"]
    lows, highs = [], []
    for row in picture.find_all("g", marked="row"):
        whisker = next(one for one in row.find_all("line") if one.attributes["y1"] == one.attributes["y2"])
        lows.append(float(whisker.attributes["x1"] or 0))
        highs.append(float(whisker.attributes["x2"] or 0))
    slope, start = np.polyfit([*values, *values], [*lows, *highs], 1)
    per_percent = (lows[2] - lows[0]) / 3
    assert (highs[1] - lows[1]) / per_percent == pytest.approx(1.25, abs=0.02)
    assert slope > 0
    assert start > 0
    ticks = {float(one.text): float(one.attributes["x"] or 0) for one in picture.find_all("text", marked="tick")}
    assert ticks[2.0] - ticks[0.0] == pytest.approx(2 * per_percent, abs=0.2), "the axis says the same"
    assert ticks[2.0] == pytest.approx(lows[1] + 0.5 * per_percent, abs=0.2)


def test_heat_map_is_a_picture_of_its_numbers() -> None:
    square = [[1.0, 0.25, 0.0], [0.25, 1.0, 0.5], [0.0, 0.5, 1.0]]
    content = base64.b64decode(encode_heat(square).removeprefix("data:image/png;base64,"))
    shown = matplotlib.image.imread(io.BytesIO(content))[:, :, 0]
    assert shown.shape == (3, 3)
    # Red goes from 247 at 0 down to 8 at 1.
    np.testing.assert_allclose(shown * 255, 247 - np.array(square) * 239, atol=239 / 63)


def test_pairs_are_drawn_where_layers_were_compared(kept: StudyData) -> None:
    page = read(make_study_page(kept))
    maps = list(page.find_all("figure", marked="heat"))
    assert len(maps) == sum(len(arm.layers) for arm in kept.similarity if len(arm.layers[0].runs) > 1)
    first = kept.similarity[1]
    pairs = [first.layers[0].cka[i][j] for i in range(3) for j in range(i)]
    assert f"{min(pairs):.2f} to {max(pairs):.2f}" in "".join(one.text for one in maps)


def test_examples_show_who_says_what() -> None:
    figures = [{"label": label, "examples": 40, "accuracy": 90.0 - label, "sd": 1.5} for label in range(3)]
    votes = [{"index": 17, "label": 4, "shares": [(9, 0.5), (4, 0.25), (1, 0.25)]}]
    disputes = {"classes": 10, "worst": figures[1:], "unsteady": figures[:2], "examples": votes}
    page = read(make_study_page(make_data([make_measures(name="Init", n=4, disputed=9.0, disputes=disputes)])))
    [said] = page.find_all("details", marked="examples")
    rows = [[cell.text for cell in row.children if isinstance(cell, Element)] for row in said.find_all("tr")]
    assert rows[1:4] == [["2", "40", "88.0", "1.5"], ["1", "40", "89.0", "1.5"], ["0", "40", "90.0", "1.5"]]
    assert rows[5:] == [["17", "4", "9: 50%, 4: 25%, 1: 25%"]]
    assert [one.text for one in said.find_all("b")] == ["4: 25%"], "the true class"


def test_every_kind_of_evidence_has_its_section() -> None:
    assert set(SECTIONS) == set(get_args(Page)), "a sentence whose evidence has none ends the page"


def test_answers_come_first_name_arms_in_their_colours_and_lead_to_evidence(kept: StudyData) -> None:
    page = read(make_study_page(kept))
    said = next(page.find_all("ul", marked="answers"))
    shown = [next(one.find_all("span", marked="said")).text for one in said.find_all("li")]
    found = Found(kept.arms, kept.recipes, {}, kept.plan.reference, len(kept.plan.order))
    assert [re.sub(r"[●▲■◆▼]", "", one) for one in shown] == [answer.text for answer in list_answers(found)]
    assert [one.classes for one in said.find_all("li", marked="first")] == [["finding", "first"]], "one stands out"
    names = {one.text[1:]: next(one.find_all("i")).classes for one in said.find_all("span", marked="arm")}
    assert names
    assert all(classes == [f"c{kept.numbers[name]}"] for name, classes in names.items())
    ids = [one.attributes.get("id") for one in page.find_all()]
    links = [one.attributes["href"] or "" for one in said.find_all("a")]
    assert len(links) == len(shown)
    assert all(link[1:] in ids for link in links)


def forge(content: Any, value: float) -> Any:
    """Return JSON with every number that has a fraction replaced."""
    if isinstance(content, dict):
        return {key: forge(part, value) for key, part in content.items()}
    if isinstance(content, list):
        return [forge(part, value) for part in content]
    return value if isinstance(content, float) else content


@pytest.mark.parametrize("value", [1.5e308, -1.5e308, 5e-324, -0.5])
def test_forged_figures_end_no_page(tmp_path: Path, value: float) -> None:
    paths = StudyPaths(tmp_path / "kept")
    shutil.copytree(KEPT, paths.folder)
    for path in (paths.metrics, paths.curves, paths.cka):
        path.write_text(json.dumps(forge(json.loads(path.read_text()), value)))
    data = gather_page(paths, read_measured(paths))
    text = make_study_page(data)
    read(text)
    assert not re.search(r'="[^"]*\b(nan|inf)\b[^"]*"', text)
    pair = ComparedPair(data.arms[1], data.arms[2], "of another test set")
    read(make_comparison_page(ComparisonData(data, data, (pair,))))


def test_notes_are_those_of_the_text_report(kept: StudyData) -> None:
    data = replace(kept, damage=("run abc: predictions.npy is missing", "3 replicas with identical weights"))
    page = read(make_study_page(data))
    said = [one.text for one in page.find_all("li")]
    notes = make_notes(data.arms, {arm.name: arm.empty for arm in data.plan.arms})
    assert notes
    assert {*notes, data.damage[0]} <= set(said)
    assert data.damage[1] not in said, "what a note says already"


@pytest.mark.slow
def test_large_study_has_all_figures_and_says_what_is_not_drawn() -> None:
    epochs = 300
    spread = make_spread([1 / (1 + epoch) for epoch in range(epochs)])
    arms = [make_measures(name=f"arm {n}", n=50, disagreement=1.0 + n, disagreement_ci=[n, n + 2]) for n in range(100)]
    curves = tuple(make_curves(arm.name, accuracy=spread, test_cross_entropy=spread) for arm in arms)
    runs = tuple(map(str, range(200)))
    square = tuple(tuple(1.0 if i == j else 0.5 for j in runs) for i in runs)
    layers = tuple(LayerPairs(name=f"layer {n}", runs=runs, cka=square) for n in range(30))
    pairs = tuple(ArmSimilarity(name=a.name, runs=runs, wanted=9, examples=9, layers=layers) for a in arms[:20])
    text = make_study_page(replace(make_data(arms, curves=curves), similarity=pairs))
    page = read(text)
    assert len(text.encode()) < 2_000_000
    assert len(list(next(page.find_all("table", marked="sorted")).find_all("tbody"))) == 100
    said = [one.text for one in page.find_all("li")]
    for left in ("60 of 100 arms", "8 of 20 arms", "22 of 30 layers", "136 of 200 replicas"):
        assert f"{left} are left out of the pictures." in said


def test_many_arms_are_not_compared_two_by_two() -> None:
    figures = {"n": 3, "accuracy_sd": 1.0, "accuracy_sd_ci": [0.5, 2.0]}
    arms = [make_measures(name=f"arm {number}", **figures) for number in range(MOST_ARMS + 1)]
    assert [one.parts for one in make_sentences(make_data(arms))] == [((TOO_MANY, None),)]
    assert len(make_sentences(make_data(arms[:20]))) > 1


def test_thinned_lines_keep_their_ends() -> None:
    assert thin(5) == [0, 1, 2, 3, 4]
    places = thin(100_000)
    assert len(places) == MOST_POINTS
    assert (places[0], places[-1]) == (0, 99_999)


def test_study_without_a_finished_run_is_a_page_too() -> None:
    reasons = {"accuracy_mean": "no replica has finished"}
    page = read(make_study_page(make_data([make_measures(name="Init", planned=3, reasons=reasons)])))
    assert "Init: no replica has finished" in [one.text for one in page.find_all("li")]
    assert not list(page.find_all("svg", marked="picture"))


GROUNDS = {"light": r":root \{([^}]*)\}", "dark": r':root\[data-theme="dark"\] \{([^}]*)\}'}


def measure_contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2.2 defines it."""
    parts = []
    for colour in (one, other):
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        parts.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(parts) + 0.05) / (min(parts) + 0.05)


@pytest.mark.parametrize("ground", GROUNDS)
def test_text_and_marks_can_be_read_on_either_ground(kept: StudyData, ground: str) -> None:
    style = next(read(make_study_page(kept)).find_all("style")).text
    found = re.search(GROUNDS[ground], style)
    assert found is not None
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", found[1].lower()))
    assert len([name for name in colours if name.startswith("arm")]) == 8
    for name in ("ink", "soft", "accent", "warn"):
        for behind in ("ground", "panel", "head"):
            assert measure_contrast(colours[name], colours[behind]) >= 4.5, (name, behind)
    assert measure_contrast(colours["warn"], colours["warn-ground"]) >= 4.5
    for number in range(8):
        assert measure_contrast(colours[f"arm{number}"], colours["ground"]) >= 3, number


def test_every_column_is_explained(kept: StudyData) -> None:
    page = read(make_study_page(kept))
    tables, said = list(page.find_all("table", marked="sorted")), list(page.find_all("details", marked="explained"))
    assert len(tables) == len(said) >= 2
    for table, explained in zip(tables, said, strict=True):
        heads = [next(one.find_all("button")).text for one in next(table.find_all("thead")).find_all("th")][2:]
        assert [one.text.rpartition(",")[0] for one in explained.find_all("dt")] == heads
        assert all("Source: " in one.text for one in explained.find_all("dd"))


def test_page_is_utf8_whatever_the_terminal_is(kept: StudyData, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii", errors="backslashreplace"))
    print_page(make_study_page(kept))
    assert written.getvalue().decode() == make_study_page(kept)


def test_report_prints_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave_as_they_are(paths: StudyPaths) -> None:
        """Take the measures that were kept: bringing them up to date starts a process."""

    monkeypatch.setattr("tui.commands.reporting.refresh_metrics", leave_as_they_are)
    shutil.copytree(KEPT, tmp_path / "kept")
    assert cli.main(["report", str(tmp_path / "kept"), "--format", "html"]) == 0
    page = read(capsys.readouterr().out)
    assert next(page.find_all("h1")).text == "kept"
    facts = {
        next(one.find_all("dt")).text: next(one.find_all("dd")).text
        for one in page.find_all("div")
        if list(one.find_all("dt"))
    }
    assert facts["runs"] == "13 of 13 done"
    assert facts["trained on"] == "CPU"
    assert "torch 2.13.0+cpu" in facts["with"]
    assert "nondet-tui --batch" in "".join(one.text for one in page.find_all("code"))
    assert "A study of format 1" in "".join(one.text for one in page.find_all("pre")), "the protocol itself"
