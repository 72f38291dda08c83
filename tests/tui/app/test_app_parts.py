"""What the app is made of, without a screen: documents, copying, settings, terminals, differences, lists."""

from __future__ import annotations

import base64
import itertools
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.catalog.sources import SOURCES
from engine.errors import NondetError
from engine.protocol.checks import arm_name
from engine.protocol.load import parse_protocol
from engine.study.metrics_record import ArmMeasures
from engine.study.paths import StudyPaths
from engine.study.summary import StudySummary
from tests.helpers.measures import make_measures
from tui.app.clipboard import encode_notice, encode_osc52
from tui.app.document import Document, name_sources
from tui.app.listed_files import (
    GROUP_NOTES,
    GROUPS,
    describe_protocol,
    describe_study,
    find_protocols,
    read_head,
    shipped_folder,
)
from tui.app.setting_values import SETTINGS, check_of, default_of, find_value_fault, format_value, parse_value
from tui.app.settings import Settings, find_locations, note_recent, read_recent, read_settings
from tui.app.terminal import describe_terminal, find_obstacle
from tui.text.compare import compare_arms, format_differences
from tui.text.format import shorten_apart

SHIPPED = sorted((Path(__file__).parents[3] / "protocols").rglob("*.toml"))


def test_document_that_is_not_edited_stays_byte_for_byte() -> None:
    texts = {file: file.read_text() for file in SHIPPED}
    changed = [file for file, text in texts.items() if Document(text, file=str(file)).text() != text]
    assert SHIPPED
    assert changed == []


def test_edits_keep_comments_and_order() -> None:
    text = (
        '# head\n[protocol]\nname = "a"  # why\n\n# data\n[data]\npreset = "digits"\n\n[[arm]]\nname = "x"\nvary = []\n'
    )
    document = Document(text, file="a.toml")
    document.set("protocol.name", "b")
    document.set("train.epochs", 7)
    document.toggle(0, "bit")
    document.toggle(0, "init")
    document.copy_arm(0, "y")
    document.set_arm(1, "replicas", 4)
    assert (
        document.text()
        == (
            '# head\n[protocol]\nname = "b"  # why\n\n# data\n[data]\npreset = "digits"\n\n[train]\nepochs = 7\n'
            '[[arm]]\nname = "x"\nvary = ["init", "bit"]\n\n[[arm]]\nname = "y"\nvary = ["init", "bit"]\nreplicas = 4\n'
        )
        or parse_protocol(document.text() + '\n[model]\npreset = "linear"\n', file="x").arms[1].replicas == 4
    )
    assert "# head" in document.text()
    assert "# why" in document.text()
    document.toggle(0, "bit")
    document.remove_arm(1)
    document.set("train.epochs", None)
    assert document.get("train.epochs") is None
    assert [str(arm["name"]) for arm in document.arms] == ["x"]
    document.remove_arm(0)
    assert document.arms == []
    document.add_arm(document.free_name("Control"))
    assert document.free_name("Control") == "Control 2"
    with pytest.raises(NondetError, match="not valid TOML"):
        Document("[x", file="a.toml")


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("true", True), ("digits", "digits"), ('"a b"', "a b"), ("[0, 5]", [0, 5]), ("", None),
     ("{ init = 3, bit = 4 }", {"init": 3, "bit": 4})],
)  # fmt: skip
def test_typed_values_are_what_toml_says(text: str, value: Any) -> None:
    assert parse_value(text) == value
    if value is not None:
        assert parse_value(format_value(value)) == value


def test_settings_are_checked_while_they_are_typed() -> None:
    defaults = {key: format_value(default_of(key)) for key in SETTINGS if default_of(key)}
    assert all(find_value_fault(check_of(key), typed) is None for key, typed in defaults.items())
    assert "whole number" in (find_value_fault(check_of("train.epochs"), "many") or "")
    assert find_value_fault(check_of("train.epochs"), "") is None


def test_combinations_are_named_as_the_paper_names_them() -> None:
    assert name_sources([]) == "Control"
    assert name_sources(["bit"]) == "Random Bit Change"
    assert name_sources(["shuffle", "augment"]) == "Data shuffling + Data Augmentation"
    assert name_sources(["init", "shuffle", "augment", "lowlevel"]) == "All nondeterminism sources"


def follow(document: Document, number: int, *sources: str) -> list[str]:
    """Names that an arm has one after another while sources are toggled."""
    names = []
    for source in sources:
        document.toggle(number, source)
        names.append(str(document.arms[number]["name"]))
    return names


def write_arms(*arms: tuple[str, list[str]]) -> Document:
    tables = [f'[[arm]]\nname = "{name}"\nvary = {json.dumps(vary)}\n' for name, vary in arms]
    return Document("\n".join(tables), file="a.toml")


def test_arm_is_called_after_its_sources_while_it_was_before() -> None:
    document = write_arms(("Parameter Initialization", ["init"]), ("Control", []))
    assert follow(document, 1, "init", "init") == ["Parameter Initialization 2", "Control"]
    assert follow(document, 1, "init", "shuffle", "bit") == [
        "Parameter Initialization 2",
        "Parameter Initialization + Data shuffling",
        "Parameter Initialization + Data shuffling + Random Bit Change",
    ]
    assert follow(document, 1, "lowlevel", "init", "shuffle", "bit", "lowlevel")[-1] == "Control"


@pytest.mark.parametrize("name", ["Mine", "Controlled", "Control 1", "Control 7", "Data shuffling", "Control, 5 runs"])
def test_name_that_somebody_chose_stays(name: str) -> None:
    document = write_arms((name, []), ("Parameter Initialization", ["init"]))
    assert follow(document, 0, "init", "bit", "init", "bit") == [name] * 4


def test_numbered_names_come_back_when_the_arm_that_had_the_name_is_gone() -> None:
    document = write_arms(("Control", []))
    document.add_arm(document.free_name("Control"))
    document.add_arm(document.free_name("Control"))
    document.remove_arm(0)
    assert [str(arm["name"]) for arm in document.arms] == ["Control 2", "Control 3"]
    assert follow(document, 1, "bit", "bit") == ["Random Bit Change", "Control 3"]
    document.toggle(1, "bit")
    document.set_arm(0, "name", "Control 3")
    assert follow(document, 1, "bit") == ["Control"], "unless another arm has that name by now"


@given(
    st.lists(st.sampled_from(["Control", "Control 2", "Mine", "Parameter Initialization", ""]), min_size=1, max_size=4,
             unique=True),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(list(SOURCES))), max_size=12),
)  # fmt: skip
def test_toggling_forth_and_back_gives_every_name_again(names: list[str], toggles: list[tuple[int, str]]) -> None:
    document = write_arms(*((name or "Control 3", []) for name in names))
    before = document.text()
    for number, source in toggles:
        document.toggle(number % len(names), source)
        shown = [str(arm["name"]) for arm in document.arms]
        assert len(set(shown)) == len(shown), "no two arms are called the same"
        assert len(set(shorten_apart(shown, 12))) == len(shown), "or look the same in a narrow table"
    for number, source in reversed(toggles):
        document.toggle(number % len(names), source)
    assert document.text() == before


def test_every_combination_has_a_name_that_a_protocol_may_have() -> None:
    for size in range(len(SOURCES) + 1):
        for vary in itertools.combinations(SOURCES, size):
            assert arm_name.accepts(f"{name_sources(list(vary))} 99")
    most = [source for source in SOURCES if source != "lowlevel"]
    assert name_sources(most) == "init + shuffle + augment + stochastic + bit + sample"


@given(st.lists(st.text("ab", max_size=20), max_size=9, unique=True), st.integers(6, 16))
def test_texts_that_are_cut_stay_different(texts: list[str], width: int) -> None:
    shown = shorten_apart(texts, width)
    assert all(len(one) <= width for one in shown)
    assert len(set(shown)) == len(texts)
    assert all(one == text for one, text in zip(shown, texts, strict=True) if len(text) <= width)


def test_texts_are_cut_at_their_end_where_that_is_enough() -> None:
    texts = ["Parameter Initialization", "Parameter Initialization 2", "Data shuffling", "Control"]
    assert shorten_apart(texts, 12) == ["Parame…ation", "Parame…ion 2", "Data shuffl…", "Control"]
    assert shorten_apart(["a" * 9 + "x" + "b" * 9, "a" * 9 + "y" + "b" * 9], 7) == ["aaaaa…1", "aaaaa…2"]


@pytest.mark.slow
@given(st.text(max_size=3000))
def test_copied_text_is_what_the_terminal_decodes(text: str) -> None:
    sequence = encode_osc52(text)
    encoded = base64.b64encode(text.encode()).decode()
    assert (sequence is None) == (len(encoded) > 4096)
    if sequence is not None:
        assert base64.b64decode(sequence.removeprefix("\x1b]52;c;").removesuffix("\x07")).decode() == text


def test_notice_is_wrapped_for_tmux_and_cannot_be_escaped_from() -> None:
    assert encode_notice("done\x07\x1b]0;x", tmux=False) == "\x1b]9;done]0;x\x07"
    assert encode_notice("done", tmux=True) == "\x1bPtmux;\x1b\x1b]9;done\x07\x1b\\"


def test_settings_file_is_read_or_refused_with_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert read_settings(path) == Settings()
    path.write_text('theme = "light"\nmouse = false\nrefresh_s = 2\n')
    assert read_settings(path) == Settings(theme="light", mouse=False, refresh_s=2)
    path.write_text('theme = "pink"\nrefresh_s = 0\nmouse = 1\nglyph = "ascii"\n')
    with pytest.raises(NondetError) as caught:
        read_settings(path)
    message = str(caught.value)
    for piece in (str(path), 'theme = "pink"', "refresh_s = 0", "mouse = 1", "did you mean glyphs?"):
        assert piece in message
    path.write_text("theme =")
    with pytest.raises(NondetError, match="cannot be read"):
        read_settings(path)


def test_places_follow_xdg(tmp_path: Path) -> None:
    plain = find_locations({}, Path("/home/me"))
    assert plain.config == Path("/home/me/.config/nondet-tui/config.toml")
    assert plain.recent == Path("/home/me/.local/state/nondet-tui/recent")
    own = find_locations(
        {"XDG_STATE_HOME": "/s", "NONDET_CONFIG": "/c.toml", "XDG_CONFIG_HOME": "relative"}, Path("/h")
    )
    assert (own.config, own.recent) == (Path("/c.toml"), Path("/s/nondet-tui/recent"))
    recent, protocol = tmp_path / "state" / "recent", tmp_path / "a.toml"
    assert read_recent(recent) == []
    protocol.write_text("")
    note_recent(recent, protocol)
    note_recent(recent, tmp_path / "gone.toml")
    note_recent(recent, protocol)
    assert read_recent(recent) == [protocol]


@pytest.mark.parametrize(
    ("environment", "encoding", "interactive", "said"),
    [
        ({"TERM": "xterm"}, "utf-8", False, "needs a terminal"),
        ({"TERM": "dumb"}, "utf-8", True, "TERM=dumb"),
        ({}, "utf-8", True, "TERM=unset"),
        ({"TERM": "xterm"}, "ascii", True, "LC_ALL=C.UTF-8"),
        ({"TERM": "xterm"}, None, True, "encoding is unknown"),
        ({"TERM": "xterm-256color"}, "UTF-8", True, None),
    ],
)
def test_terminals_that_cannot_show_the_app_are_told_what_can_be_done(
    environment: dict[str, str], encoding: str | None, interactive: bool, said: str | None
) -> None:
    obstacle = find_obstacle(environment, encoding, interactive=interactive)
    assert (obstacle is None) == (said is None)
    if said is not None and obstacle is not None:
        assert said in obstacle
        assert "--batch" in obstacle


def test_terminal_without_utf8_shows_the_app_in_ascii_where_that_is_wanted() -> None:
    latin = {"TERM": "xterm", "LC_ALL": "de_DE.ISO-8859-1"}
    assert find_obstacle(latin, "iso8859-1", interactive=True) is None
    assert find_obstacle(latin, "iso8859-1", interactive=True, glyphs="braille") is not None
    assert find_obstacle({"TERM": "xterm"}, "ascii", interactive=True, glyphs="ascii") is None


@pytest.mark.parametrize(
    ("environment", "glyphs"),
    [
        ({}, "braille"),
        ({"LANG": "C"}, "ascii"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "ascii"),  # what Python makes of it
        ({"LC_CTYPE": "C.UTF-8"}, "braille"),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, "ascii"),
        ({"LANG": "POSIX"}, "ascii"),
        ({"LANG": "de_DE"}, "ascii"),
        ({"LANG": "C", "LC_ALL": "C.utf8"}, "braille"),
        ({"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}, "braille"),
        ({"LANG": "de_DE.UTF-8@euro", "LC_ALL": ""}, "braille"),
    ],
)
def test_locale_without_utf8_asks_for_ascii(environment: dict[str, str], glyphs: str) -> None:
    assert describe_terminal({"TERM": "xterm"} | environment).glyphs == glyphs
    assert describe_terminal({"TERM": "xterm"} | environment, "block").glyphs == "block", "the user's word holds"


def test_terminal_is_described_from_its_environment() -> None:
    plain = describe_terminal({"TERM": "xterm-256color"})
    assert (plain.glyphs, plain.remote, plain.tmux, plain.few_colours) == ("braille", False, False, False)
    other = describe_terminal({"TERM": "linux", "SSH_TTY": "/dev/pts/1", "TMUX": "x"})
    assert (other.glyphs, other.remote, other.tmux, other.few_colours) == ("block", True, True, True)
    assert describe_terminal({"TERM": "linux"}, "ascii").glyphs == "ascii"


def entry(**changes: Any) -> ArmMeasures:
    fields = {"n": 20, "accuracy_mean": 97.0, "accuracy_mean_ci": [96.8, 97.2], "accuracy_sd": 0.5,
              "accuracy_sd_error": 0.05, "accuracy_sd_ci": [0.39, 0.75], "disagreement": 3.0,
              "disagreement_ci": [2.8, 3.2]}  # fmt: skip
    return make_measures(**(fields | changes))


def test_differences_have_intervals_and_marks() -> None:
    smaller = entry(accuracy_sd=0.2, accuracy_sd_ci=[0.15, 0.31], disagreement=2.9, disagreement_ci=[2.7, 3.1])
    found = {d.title.partition(",")[0]: d for d in compare_arms(entry(), smaller)}
    spread, disagreement = found["accuracy SD"], found["disagreement"]
    assert "accuracy" not in found, "means are compared replica by replica"
    assert spread.is_ratio
    assert spread.difference == pytest.approx(2.5)
    assert spread.interval is not None
    assert 1 < spread.interval[0] < 2.5 < spread.interval[1]
    assert spread.is_seen
    # Equal variances: t with 38 degrees of freedom instead of 19.
    half = 0.2 * 2**0.5 * float(stats.t.ppf(0.975, 38) / stats.t.ppf(0.975, 19))
    assert disagreement.interval == pytest.approx((0.1 - half, 0.1 + half))
    assert not disagreement.is_seen
    assert found["correlation"].difference is None
    lines = format_differences(compare_arms(entry(), smaller))
    line = next(line for line in lines if "accuracy SD" in line)
    assert line.endswith("*")
    assert "ratio 2.500 [" in line
    assert any("R − 1" in line for line in lines)


def test_arm_without_spread_has_no_ratio() -> None:
    still = entry(accuracy_sd=0.0, accuracy_sd_ci=[0.0, 0.0])
    spread = next(d for d in compare_arms(entry(), still) if d.is_ratio)
    assert (spread.difference, spread.interval, spread.is_seen) == (None, None, False)
    assert format_differences([spread])[1].split()[-6:] == ["0.500", "0", "no", "spread", "in", "one"]


@pytest.mark.parametrize(("known", "chance"), [({}, "2 measures compared at once"), ({"accuracy_sd": None}, "1 ")])
def test_footnote_counts_the_measures_that_were_compared(known: dict[str, Any], chance: str) -> None:
    """Accuracy SD and disagreement have intervals here: 1 − 0.95² = 10 %, and 5 % of one."""
    note = format_differences(compare_arms(entry(**known), entry(**known)))[-1]
    assert chance in note
    assert ("about 5 %" if known else "10 %") in note


def test_protocols_are_found_once_and_faulty_ones_are_listed(tmp_path: Path) -> None:
    (tmp_path / "protocols").mkdir()
    good, bad = tmp_path / "protocols" / "good.toml", tmp_path / "bad.toml"
    good.write_text('[protocol]\nname = "good"\ndescription = "[b]x\x7f"\n')
    bad.write_text("[protocol\n")
    (tmp_path / "other.toml").write_text("[tool]\n")
    found = {p.path.name: p for p in find_protocols(tmp_path, [good]) if p.group == "yours"}
    assert set(found) == {"good.toml", "bad.toml"}
    assert next(iter(found)) == "good.toml", "lately opened ones come first"
    assert "not valid TOML" in describe_protocol(found["bad.toml"], 20).plain
    assert read_head(tmp_path / "gone.toml", "yours") is None
    folder = shipped_folder()
    assert folder is not None
    assert (folder / "quickstart.toml").is_file()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('preset = "digits"', None),
        ('preset = "cifar10"', "cifar10: download"),
        ('preset = "ptb"', "ptb: missing"),
        ('preset = "cifar10"\nroot = "here"', None),
        ('preset = "cifar10"\nroot = "~nosuchuser/x"', None),
        ("preset = 7", None),
    ],
)
def test_list_knows_which_data_are_missing(tmp_path: Path, data: str, said: str | None) -> None:
    (tmp_path / "here" / "cifar-10-batches-py").mkdir(parents=True)
    (tmp_path / "p.toml").write_text(f'[protocol]\nname = "p"\ndescription = "x"\n[data]\n{data}\n')
    entry = read_head(tmp_path / "p.toml", "yours")
    assert entry is not None
    assert entry.lacks == said
    assert ("!" in describe_protocol(entry, 10).plain) is (said is not None)


def test_result_of_a_study_is_listed_with_its_arm_or_not_at_all(tmp_path: Path) -> None:
    summary = StudySummary(paths=StudyPaths(tmp_path / "s"), state="done", done=3, total=3, headline=("All", 0.5, 2.0))
    whole = describe_study(summary, 10, now=0.0).plain
    assert whole.endswith(" SD 0.50  disagree  2.00 %  All")
    assert describe_study(summary, 10, now=0.0, width=len(whole) + 11).plain == whole
    short = describe_study(summary, 10, now=0.0, width=len(whole)).plain
    assert short.endswith("3 runs  SD 0.50  disagree  2.00 %  All"), "the age gives way"
    named = replace(summary, headline=("Parameter Initialization", 0.5, 2.0))
    assert describe_study(named, 10, now=0.0, width=60).plain.endswith("SD 0.50  disagree  2.00 %  Paramete…")
    for width in range(20, 57):
        assert "SD" not in describe_study(named, 10, now=0.0, width=width).plain, "of which arm is not seen"
    other = StudySummary(paths=StudyPaths(tmp_path / "o"), state="done", done=120, total=120, headline=("B", 0.0, 12.1))
    below = describe_study(other, 10, now=90_000.0).plain
    assert [below.index(part) for part in (" runs", "SD", "disagree", "2.10")] == [
        whole.index(part) for part in (" runs", "SD", "disagree", "2.00")
    ], "figures of studies stand below each other"


def test_list_of_protocols_passes_over_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf[protocol]\nname = 'x'\n")
    (tmp_path / "good.toml").write_text("[protocol]\nname = 'good'\n")
    (tmp_path / "link.toml").symlink_to("good.toml")
    listed = [entry.path.name for entry in find_protocols(tmp_path, []) if entry.group == "yours"]
    assert listed == ["good.toml"]


def test_programs_of_ones_own_are_a_group_of_the_list(tmp_path: Path) -> None:
    groups = {found.path.name: found.group for found in find_protocols(tmp_path, [])}
    assert groups["digits-epochs.toml"] == groups["mnist1d-bit.toml"] == "compare"
    assert groups["pytorch.toml"] == groups["scikit-learn.toml"] == "own"
    assert set(groups.values()) <= GROUPS.keys() == GROUP_NOTES.keys()
