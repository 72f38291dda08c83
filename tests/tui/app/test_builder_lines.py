"""What the builder says: marks, columns, settings, explanations and the plan, as pure functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalog.sources import SOURCES
from engine.protocol.faults import Fault
from engine.protocol.load import parse_protocol
from tests.helpers.studies import SMALL
from tui.app.document import Document
from tui.app.estimate import Estimate
from tui.app.preview import preview_plan
from tui.app.screens.builder_explain import describe_effect, explain_setting, explain_source
from tui.app.screens.builder_lines import (
    EMPTY,
    MORE,
    OFF,
    ON,
    Cell,
    arm_lines,
    describe_own,
    find_best,
    find_cell,
    find_empty,
    lay_out_arms,
    meaning_of,
    setting_lines,
)
from tui.app.screens.builder_plan import describe_warnings, fault_lines, plan_lines
from tui.app.screens.judgement import Judgement, judge
from tui.app.setting_groups import COMMAND_KEYS, GROUPS, REQUIRED, TEXT_KEYS
from tui.app.setting_values import SETTINGS
from tui.app.widgets.lines import Line
from tui.text.format import shorten_apart

THEME = "nondet-dark"
TEXT = (
    SMALL
    + """\
[[arm]]
name = "Control"
vary = []
replicas = 2
[[arm]]
name = "Cropped"
vary = ["init", "augment"]
data = { augment = "crop" }
[[arm]]
name = "Plain"
vary = ["init", "augment"]
train = { lr = 0.2 }
[[arm]]
name = "Late"
vary = ["bit"]
onset = [0, 2]
[[arm]]
name = "Pairs"
ensemble = { of = "Cropped", size = 2 }
"""
)


@pytest.fixture
def judgement(tmp_path: Path) -> Judgement:
    return judge(TEXT, str(tmp_path / "small.toml"), tmp_path / "store")


def plain(lines: list[Line]) -> list[str]:
    return [line.text.plain for line in lines]


def show_arms(judgement: Judgement, *, width: int = 120, estimate: Estimate | None = None) -> list[str]:
    return plain(
        arm_lines(
            Document(TEXT, file="a.toml"), judgement.plan, judgement.faults, empty=find_empty(judgement),
            cell=Cell(0, 0), estimate=estimate, width=width, theme=THEME,
        )
    )  # fmt: skip


def test_marks_say_what_varies_what_holds_and_what_would_change_nothing(judgement: Judgement) -> None:
    assert judgement.plan is not None
    rows = show_arms(judgement)
    marks = {name: row[2 + len("Cropped     ") :][:55].split() for name, row in zip("hCPcLE", rows, strict=True)}
    assert marks["h"][: len(SOURCES)] == [source.short for source in SOURCES.values()]
    assert marks["C"][:7] == [f"[{OFF}]", OFF, EMPTY, EMPTY, OFF, OFF, EMPTY], "digits are not augmented"
    assert marks["P"][:7] == [ON, OFF, ON, EMPTY, OFF, OFF, EMPTY], "but an arm may crop them"
    assert marks["c"][:7] == [ON, OFF, EMPTY, EMPTY, OFF, OFF, EMPTY], "what varies and is empty is empty"
    assert [marks[name][7] for name in "CPcLE"] == ["2", "4", "4", "8", "–"], "ensembles train nothing"


def test_what_an_arm_says_for_itself_stands_behind_it_where_there_is_room(judgement: Judgement) -> None:
    wide, narrow = show_arms(judgement, width=140), show_arms(judgement, width=60)
    assert wide[3].endswith("lr 0.2")
    assert wide[4].endswith("onset [0, 2]")
    assert not any("lr" in row for row in narrow)
    assert all(len(row) <= 60 for row in narrow)


def test_times_are_drawn_beside_the_longest(judgement: Judgement) -> None:
    seconds = {"Control": 1.0, "Cropped": 10.0, "Plain": 10.0, "Late, onset 0": 2.5, "Late, onset 2": 2.5}
    rows = show_arms(judgement, estimate=Estimate(20.0, 10, seconds))
    assert [row.count("━") for row in rows] == [0, 1, 8, 8, 4, 0], "the points of a curve are one arm here"
    assert rows[4].split("━ ")[1].split()[:2] == ["5", "s"]
    assert not any("━" in row for row in show_arms(judgement, width=50, estimate=Estimate(20.0, 10, seconds)))


@pytest.mark.parametrize("width", [58, 78, 98, 138])
@pytest.mark.parametrize("longest", [3, 24, 30, 41, 80])
@pytest.mark.parametrize("timed", [False, True])
def test_a_name_is_cut_only_where_nothing_else_can_give_way(width: int, longest: int, timed: bool) -> None:
    layout = lay_out_arms(["x" * longest], width, timed=timed)
    used = 2 + layout.name + sum(layout.cells) + 6 + (layout.bar + 2 if layout.bar else 0) + layout.time + layout.notes
    assert used <= width
    if layout.name < min(longest, 48):
        assert (layout.bar, layout.time, layout.notes) == (0, 0, 0)
        assert set(layout.cells) == {4}
    if width >= 78 and longest <= 41:
        assert layout.name >= longest, "at 80 and at 120 columns the names of two sources have room"


def test_a_click_finds_the_mark_that_is_drawn_there(judgement: Judgement) -> None:
    names = ["Control", "Cropped", "Plain", "Late", "Pairs"]
    for width in (50, 80, 140):
        head = show_arms(judgement, width=width)[0]
        for number, source in enumerate(SOURCES.values()):
            place = head.index(source.short[:3])
            assert find_cell(names, width, place, timed=False) == number
    assert find_cell(names, 80, 5, timed=False) is None
    assert find_cell(names, 80, 79, timed=False) is None


def test_names_that_begin_alike_are_told_apart() -> None:
    names = ["Parameter Initialization and more of the kind", "Parameter Initialization and more of this"]
    layout = lay_out_arms(names, 60, timed=False)
    assert len(set(shorten_apart(names, layout.name))) == 2


def read_settings(text: str = TEXT, *, needle: str = "", everything: bool = False) -> list[Line]:
    return setting_lines(Document(text, file="a"), (), needle=needle, everything=everything, width=80)


def test_settings_show_what_is_set_or_has_to_be_and_the_others_on_demand() -> None:
    first = {line.key for line in read_settings() if line.key} - {MORE}
    assert first == {
        "protocol.name", "protocol.replicas", "data.preset", "model.preset", "train.epochs", "train.warmup_epochs",
        "train.batch_size", "train.lr", "dispatch.devices",
    }  # fmt: skip
    more = {line.key for line in read_settings(everything=True) if line.key} - {MORE}
    assert more == set(SETTINGS) - TEXT_KEYS - COMMAND_KEYS, "those of text models and programs act on nothing here"
    hidden = next(line.text.plain for line in read_settings() if line.key == MORE)
    assert hidden == f"+ show {len(more - first)} settings at their defaults"
    text = TEXT.replace('"linear"', '"qrnn"').replace('"digits"', '"pydoc"')
    assert {line.key for line in read_settings(text, everything=True) if line.key} - {MORE} == set(
        SETTINGS
    ) - COMMAND_KEYS
    command = '[command]\nrun = ["{python}", "train.py", "{seed}"]\n' + TEXT[TEXT.index("[[arm]]") :]
    begun = {line.key for line in read_settings(command) if line.key} - {MORE}
    assert begun == {"protocol.name", "protocol.replicas", "command.run", "command.files"}
    own = TEXT + '[[arm]]\nname = "t"\nvary = []\nmodel = { preset = "qrnn" }\n'
    assert "train.bptt" in {line.key for line in read_settings(own, everything=True)}
    written = TEXT.replace("epochs = 6", "epochs = 6\nbptt = 3")
    assert "train.bptt" in {line.key for line in read_settings(written)}, "what is written is shown"


def test_settings_are_grouped_and_found_by_letters_of_their_name_or_meaning() -> None:
    assert sorted(key for keys in GROUPS.values() for key in keys) == sorted(SETTINGS)
    assert set(SETTINGS) >= REQUIRED
    found = [line.key for line in read_settings(needle="wdecay") if line.key]
    assert found == ["train.weight_decay"], "also where it is at its default"
    assert "train.momentum" in [line.key for line in read_settings(needle="momentum of sgd")]
    assert plain(read_settings(needle="qqqq")) == ["no setting holds the letters qqqq in this order"]


def test_a_fault_stands_beside_its_value() -> None:
    fault = Fault("train.momentum", "must be less", "lower it")
    lines = setting_lines(Document(TEXT, file="a"), (fault,), needle="", everything=False, width=80)
    (row,) = [line for line in lines if line.key == "train.momentum"]
    assert "✗ must be less" in row.text.plain
    assert any("red" in str(span.style) for span in row.text.spans)


def explain(judgement: Judgement, number: int, source: str, *, brief: bool = False) -> str:
    lines = explain_source(
        Document(TEXT, file="a"), number, source, judgement.plan, judgement.faults, empty=find_empty(judgement),
        estimate=None, width=60, theme=THEME, brief=brief,
    )  # fmt: skip
    return " ".join(" ".join(plain(lines)).split())


def test_a_source_is_explained_with_what_it_is_in_the_arm(judgement: Judgement) -> None:
    said = explain(judgement, 0, "shuffle")
    assert "varies the order of the training examples held the same order in every epoch" in said
    assert f"{OFF} held: every replica has seed 1" in said
    assert "Control trains 2 runs of 6 epochs" in said
    assert f"{EMPTY} changes nothing: digits has no augmentation" in explain(judgement, 2, "augment")
    assert f"{ON} varies" in explain(judgement, 1, "augment")
    assert "own train.lr = 0.2 (others 0.4)" in explain(judgement, 2, "init")
    assert "nothing: 2 ensembles of 2 of another arm's runs" in explain(judgement, 4, "init")
    assert "as in the arm whose runs are averaged" in explain(judgement, 4, "init"), "nothing is held in it by itself"
    assert f"{OFF} held" in explain(judgement, 0, "bit")
    assert "seed" not in explain(judgement, 0, "bit", brief=True), "while bit is held nothing is moved"


def test_a_setting_is_explained_with_what_another_value_does(judgement: Judgement) -> None:
    document = Document(TEXT, file="a")

    def say(key: str, done: int = 0) -> str:
        return " ".join(
            " ".join(
                plain(explain_setting(document, key, judgement.plan, (), done=done, width=50, brief=False))
            ).split()
        )

    said = say("train.lr")
    assert "Sets the highest learning rate of the schedule." in said
    assert "default 0.4" in said
    assert "allowed a number above 0 and at most 1000" in said
    assert "0.40 in the paper" in said
    assert "own in Plain: 0.2" in said
    assert "now 6" in say("train.epochs")
    assert "one of" not in say("train.schedule"), "names are listed as they are"
    assert "cosine, snapshot, constant" in say("train.schedule")
    assert "1,000 training and 797 test examples" in say("data.preset")
    assert "logistic regression" in say("model.preset")
    assert "stay as they are" in say("metrics.bootstrap")
    assert "stay as they are" in say("dispatch.slots_per_device")
    assert "the 5 that are done" in say("train.lr", done=5)
    brief = plain(explain_setting(document, "train.epochs", judgement.plan, (), done=0, width=76, brief=True))
    assert len(brief) == 4, "as many as there is room for at 80x24"
    assert brief[1] == "now      6 (default 500)"


@pytest.mark.parametrize("replicas", [5, 6])
def test_the_runs_that_a_replica_adds_are_those_of_the_plan(
    judgement: Judgement, replicas: int, tmp_path: Path
) -> None:
    assert judgement.plan is not None
    added = int(describe_effect(Document(TEXT, file="a"), "protocol.replicas", judgement.plan, 0).split()[4])
    text = TEXT.replace("replicas = 4", f"replicas = {replicas}")
    more = judge(text, str(tmp_path / "small.toml"), tmp_path).plan
    assert more is not None
    assert len(more.recipes) - len(judgement.plan.recipes) == added * (replicas - 4)


def test_the_fault_under_the_cursor_comes_first_and_in_colour() -> None:
    faults = [Fault("train.lr", "must be above 0", "raise it"), Fault("arm[2].vary", "varies nothing", "vary more")]
    assert plain(fault_lines(faults, 80))[0] == "✗ train.lr: must be above 0"
    lines = fault_lines(faults, 80, at="arm[2]")
    assert [row.strip() for row in plain(lines)] == [
        "✗ arm[2].vary: varies nothing", "vary more", "✗ train.lr: must be above 0", "raise it",
    ]  # fmt: skip
    assert "red" in str(lines[0].text.style)


def test_the_plan_says_runs_time_disk_place_and_what_is_to_be_noticed(judgement: Judgement, tmp_path: Path) -> None:
    assert judgement.plan is not None
    assert judgement.protocol is not None
    preview = preview_plan(judgement.protocol, judgement.plan, tmp_path)
    lines = plan_lines(
        judgement.plan, preview, estimate=Estimate(75.0, 12_345, {}), notes=(), folder="~/studies/small", width=200,
        warnings=describe_warnings(judgement.plan, preview), theme=THEME,
    )  # fmt: skip
    runs, empty, cost, work = plain(lines)
    assert runs.startswith("18 runs in 6 arms · 18 to train, 0 already done")
    assert cost.startswith("about 1 min 15 s, 12 kB on disk · on ")
    assert cost.endswith("into ~/studies/small")
    assert work == "linear on digits · ✓ its data are there"
    assert empty.startswith(f"{EMPTY} Data Augmentation changes nothing in Plain: digits has no augmentation")
    assert lines[1].text.style != "", "a warning has a colour"


def test_text_and_own_code_are_named_before_they_are_timed(tmp_path: Path) -> None:
    text = TEXT.replace('preset = "linear"', 'target = "nets:make"', 1)
    (tmp_path / "nets.py").write_text("raise SystemExit('not while it is looked at')")
    judged = judge(text, str(tmp_path / "own.toml"), tmp_path / "store")
    assert judged.protocol is not None
    assert judged.plan is not None
    preview = preview_plan(judged.protocol, judged.plan, tmp_path)
    assert "! runs your code: nets:make" in describe_warnings(judged.plan, preview)
    assert parse_protocol(text, file=str(tmp_path / "own.toml")).arms[0].model.target == "nets:make"


def test_filter_leaves_out_letters_that_are_scattered_where_a_setting_holds_the_word() -> None:
    found = [line.key for line in read_settings(needle="lr") if line.key]
    assert "train.lr" in found
    assert "data.root" not in found, "l and r stand apart in what it does"
    assert all("lr" in f"{key} {meaning_of(key)}".casefold() for key in found)


@pytest.mark.parametrize(("needle", "best"), [("optim", "train.optimizer"), ("epochs", "train.epochs")])
def test_filter_finds_a_name_before_what_settings_do(needle: str, best: str) -> None:
    keys = ["protocol.replicas", "train.warmup_epochs", "train.epochs", "train.optimizer", "data.preset"]
    assert find_best(keys, needle) == best
    assert find_best([], needle) is None


def test_long_value_is_whole_where_rows_are_spare() -> None:
    said = "a description that says far more than one row of these settings has room for, to its very end"
    document = Document(f'[protocol]\nname = "x"\ndescription = "{said}"\n', file="x.toml")

    def read(height: int) -> list[str]:
        lines = setting_lines(document, (), needle="", everything=False, width=60, height=height)
        return [line.text.plain for line in lines]

    bare = read(0)
    assert any(row.endswith("…") for row in bare)
    assert read(len(bare)) == bare
    tall = read(len(bare) + 5)
    assert len(bare) < len(tall) <= len(bare) + 5
    assert said in " ".join(" ".join(row.split()) for row in tall)
    assert all(len(row) <= 60 for row in tall)


def test_sources_of_a_program_of_ones_own_are_named_behind_their_arm() -> None:
    assert describe_own({"name": "Loader", "vary": ["init", "dataloader"], "replicas": 3}) == (
        "varies dataloader, replicas 3"
    )
    assert describe_own({"name": "Init", "vary": ["init"]}) == ""
