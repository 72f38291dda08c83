"""What the start screen says of the thing under the cursor."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.study.curves_record import StudyCurves
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.study_plan import read_plan
from engine.study.study_state import StudyState
from engine.study.summary import StudySummary, summarise_study
from tests.helpers.measures import make_curves, make_measures, make_spread
from tests.helpers.screens import Make, read_notices, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.asking import WAITING_S
from tui.app.preview import preview_protocol, preview_study
from tui.app.previewed import ProtocolPreview, StudyPreview
from tui.app.screens.start_lines import SHOWN_ANSWERS, make_preview
from tui.app.screens.start_pictures import LEAST_ROWS
from tui.text.plot import GlyphSet

THEME = "nondet-dark"
OWN = """
[protocol]
name = "own"
replicas = 3
[data]
preset = "cifar10"
[model]
target = "nets:make"
[train]
epochs = 4
warmup_epochs = 1
[[arm]]
name = "Control"
vary = []
[[arm]]
name = "Init"
vary = ["init"]
"""


def read_rows(preview: ProtocolPreview | StudyPreview | None, width: int = 60) -> list[str]:
    return [line.text.plain for line in make_preview(preview, width, THEME)]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text("raise SystemExit('a protocol that is only looked at runs no code')")
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return path


def test_protocol_says_what_it_would_take_and_whose_code_it_runs(own: Path, tmp_path: Path) -> None:
    found = preview_protocol(own, name="own", description="", store=tmp_path / "store")
    said = "\n".join(read_rows(found))
    assert "nets:make on cifar10" in said
    assert "6 runs of 4 epochs" in said
    assert "● Control     3  nothing: a control" in said
    assert "▲ Init        3  init" in said
    assert "! runs your code: nets:make" in said
    assert "! cifar10 is not in" in said
    assert found.obstacles == (), "training fetches it"


def test_nothing_is_promised_of_data_that_a_function_makes(own: Path, tmp_path: Path) -> None:
    own.write_text(OWN.replace('preset = "cifar10"', 'target = "nets:load"'))
    said = "\n".join(read_rows(preview_protocol(own, name="own", description="", store=tmp_path)))
    assert "runs your code: nets:load, nets:make" in said
    assert "data are there" not in said


def test_faults_and_missing_corpora_are_obstacles(own: Path, tmp_path: Path) -> None:
    own.write_text(OWN.replace("epochs = 4", "epochs = -4"))
    found = preview_protocol(own, name="own", description="said so", store=tmp_path)
    assert "train.epochs" in "\n".join(found.obstacles)
    assert read_rows(found)[:1] == ["said so"]
    assert "✗ cannot be trained" in read_rows(found)
    text = OWN.replace('"cifar10"', '"ptb"').replace('target = "nets:make"', 'preset = "qrnn"')
    own.write_text(text.replace("warmup_epochs = 1", "lr = 30.0"))
    (obstacle,) = preview_protocol(own, name="own", description="", store=tmp_path).obstacles
    assert "put its files there" in obstacle


def test_study_draws_its_intervals_on_one_axis(tmp_path: Path) -> None:
    summary = summarise_study(write_study(tmp_path / "alpha", done=3, running=0))
    wide_arm = make_measures(
        name="Wide", n=3, accuracy_sd=2.0, accuracy_sd_ci=[1.0, 4.0], disagreement=3.0, disagreement_ci=[2.0, 4.0]
    )
    arms = (wide_arm, make_measures(name="Control", n=3, accuracy_sd=0.0, disagreement=0.0))
    rows = read_rows(StudyPreview(summary, arms), 80)
    (wide,) = (row for row in rows if "Wide" in row)
    (control,) = (row for row in rows if "Control" in row)
    assert wide.count("├") == wide.count("┤") == 2
    assert wide.count("●") == 3
    assert (control[0], control.count("●")) == ("▲", 2)
    assert control.index("●", 2) < wide.index("├"), "zero is at the left"
    assert wide.index("2.00 ") == control.index("0 "), "units stand below each other"
    assert wide.split("Wide")[1].split()[0] == "3", "of how many replicas that is, is said"
    leaking = make_measures(name="Leaks", n=3, accuracy_sd=1.0, unisolated="draws with numpy")
    assert "Leaks: not isolated: draws with numpy" in " ".join(read_rows(StudyPreview(summary, (leaking,)), 80))
    assert "nothing is measured yet" in " ".join(read_rows(StudyPreview(summary, (make_measures(name="None"),))))


@pytest.mark.parametrize("width", [0, 1, 20, 40, 63, 200])
def test_every_width_has_a_preview(own: Path, tmp_path: Path, width: int) -> None:
    summary = summarise_study(write_study(tmp_path / "alpha", done=3, running=0))
    arms = tuple(
        make_measures(name=f"Floating-point order, onset {number}", n=3, accuracy_sd=0.5) for number in (1, 12)
    )
    rows = read_rows(StudyPreview(summary, arms), width)
    assert len({row for row in rows if row[:2] in ("● ", "▲ ")}) == 2, "names that begin alike are told apart"
    assert ("95 % intervals" in " ".join(rows)) is (width >= 63), "what is not drawn is not explained"
    assert read_rows(preview_protocol(own, name="own", description="", store=tmp_path), width)


def test_what_is_being_read_is_said() -> None:
    assert read_rows(None) == ["reading …"]


def test_damaged_study_says_why(tmp_path: Path) -> None:
    paths = write_study(tmp_path / "alpha")
    paths.plan.write_text("{")
    said = " ".join(read_rows(preview_study(summarise_study(paths))))
    assert "damaged" in said
    assert "plan.json" in said


@pytest.mark.slow
async def test_preview_follows_the_cursor_and_is_a_page_of_its_own_in_a_small_terminal(
    make_app: Make, store: Path
) -> None:
    write_study(store / "alpha", done=3, running=0)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "✓ done" in screen_text(app)
        await pilot.press("G")
        await settle(pilot)
        assert "runs of" in screen_text(app)
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert "runs of" not in screen_text(app)
        await pilot.press("v")
        await settle(pilot)
        assert "runs of" in screen_text(app)
        assert "Studies" not in screen_text(app)
        await pilot.press("v")
        await settle(pilot)
        assert "Studies" in screen_text(app)


@pytest.mark.slow
async def test_protocol_that_cannot_be_trained_is_refused_before_any_question(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.app.trainings.decide", lambda *_, **__: pytest.fail("tried out"))
    Path("protocols/mine.toml").write_text(OWN.replace("epochs = 4", "epochs = -4"))
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("G", "r")
        await settle(pilot)
        first, *others = read_notices(app).splitlines()
        assert first.endswith("mine.toml: nothing was trained")
        assert "train.epochs" in others[0], "each fault on lines of its own"
        assert len(app.screen_stack) == 2


@pytest.mark.slow
async def test_study_that_lacks_nothing_goes_on_without_a_question(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    monkeypatch.setattr("tui.app.trainings.start_supervisor", lambda paths: started.append(paths.folder))
    paths = write_study(store / "alpha", done=3, running=0)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("r")
        await settle(pilot)
        assert started == [paths.folder]


@pytest.mark.slow
async def test_keys_are_those_of_what_is_under_the_cursor(make_app: Make, store: Path) -> None:
    write_study(store / "alpha", done=3, running=0)
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        study = screen_text(app).splitlines()[-1]
        assert all(key in study for key in ("r Run", "t Results", "c Is B better?", "x Cancel", "d Delete"))
        await pilot.press("G", "t", "c", "x", "d", "N")
        await settle(pilot)
        assert len(app.screen_stack) == 2
        assert not read_notices(app)
        protocol = screen_text(app).splitlines()[-1]
        assert all(key in protocol for key in ("r Run", "n New", "v Preview", "q Quit"))
        assert not any(key in protocol for key in ("t Results", "c Is B better?", "x Cancel", "d Delete"))
        await pilot.press("g")
        await settle(pilot)
        assert screen_text(app).splitlines()[-1] == study


@pytest.mark.slow
async def test_a_start_that_takes_its_time_is_told_until_it_is_over(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()
    monkeypatch.setattr("tui.app.trainings.start_supervisor", lambda paths: may_end.wait(20))
    write_study(store / "alpha", done=3, running=0)
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("r")
        while not app._notifications:
            await pilot.pause()
        assert read_notices(app) == "alpha begins again …"
        assert [notice.timeout for notice in app._notifications] == [WAITING_S]
        may_end.set()
        await settle(pilot)
        assert "begins" not in read_notices(app)
        assert "alpha goes on" in read_notices(app), "what is told then stays"


def test_study_begins_with_the_question_of_its_protocol(tmp_path: Path) -> None:
    paths = write_study(tmp_path / "s")
    paths.protocol.write_text('[protocol]\nname = "s"\ndescription = "Whose variance is it?"\n')
    rows = read_rows(preview_study(summarise_study(paths)))
    assert rows[0] == "Whose variance is it?"
    paths.protocol.unlink()
    assert "runs" in read_rows(preview_study(summarise_study(paths)))[0]


def test_study_says_its_first_sentences_before_the_figures(tmp_path: Path) -> None:
    paths = write_study(tmp_path / "s", done=9, running=0)
    found = preview_study(summarise_study(paths))
    assert isinstance(found, StudyPreview)
    said = [answer for answer in found.answers if answer.weight != "note"]
    rows = read_rows(found, 200)
    assert said
    assert all(any(answer.text.split()[-1] in row for row in rows) for answer in said[:SHOWN_ANSWERS])
    paths.plan.write_text("{")
    damaged = preview_study(summarise_study(paths))
    assert isinstance(damaged, StudyPreview)
    assert damaged.answers == ()


def test_protocol_that_ends_when_it_is_decided_says_its_most(own: Path, tmp_path: Path) -> None:
    text = OWN.replace("vary = []", 'vary = ["shuffle"]')
    own.write_text(text + '[compare]\nuntil = "decided"\n')
    said = " ".join(read_rows(preview_protocol(own, name="own", description="", store=tmp_path / "store")))
    assert "at most 5 runs of 4 epochs" in said, "the first replicas share their run"
    assert "in pairs, until Control and Init are told apart" in said


def test_room_below_a_study_shows_its_spread_by_epoch(tmp_path: Path) -> None:
    paths = write_study(tmp_path / "done", done=3, running=0)
    arms = tuple(
        make_curves(arm.name, accuracy=make_spread((9.0, 4.0, 0.5)), test_cross_entropy=make_spread((1.0, 1.0, 1.0)))
        for arm in read_plan(paths).arms
    )
    write_record(paths.curves, StudyCurves(study="done", arms=arms))
    found = preview_study(summarise_study(paths))
    assert found.figure == "accuracy"

    def read(height: int, glyphs: GlyphSet = "braille") -> list[str]:
        return [line.text.plain for line in make_preview(found, 80, THEME, height=height, glyphs=glyphs)]

    bare = read(0)
    assert not any("by epoch" in row for row in bare)
    tall = read(40)
    assert len(tall) <= 40
    assert "SD of test accuracy, %, by epoch" in "\n".join(tall[len(bare) :])
    assert any("▲ Parameter" in row for row in tall[len(bare) :]), "a line has its arm's mark"
    assert read(len(bare) + LEAST_ROWS) == bare, "no room for a picture and the row above it"
    assert any("⠀" < char <= "⣿" for char in "".join(tall))
    assert not any("⠀" < char <= "⣿" for char in "".join(read(40, "ascii")))


def test_file_of_a_protocol_stands_below_what_it_takes(own: Path, tmp_path: Path) -> None:
    rows = read_rows(preview_protocol(own, name="own", description="", store=tmp_path))
    assert rows[rows.index("its file") + 1 :] == OWN.splitlines()


def test_names_of_arms_are_whole_where_there_is_room(own: Path, tmp_path: Path) -> None:
    long = "an arm whose name is far longer than others"
    own.write_text(OWN.replace('"Init"', f'"{long}"'))
    found = preview_protocol(own, name="own", description="", store=tmp_path)
    assert any(long in row for row in read_rows(found, 90)[:8])
    assert not any(long in row for row in read_rows(found, 50)[:8])


def test_study_of_a_program_of_ones_own_shows_its_numbers(tmp_path: Path) -> None:
    summary = StudySummary(paths=StudyPaths(tmp_path / "s"), state="done", done=3, total=3)
    score = {"n": 3, "mean": 90.0, "mean_ci": [89.0, 91.0], "sd": 0.25, "sd_error": 0.1, "sd_ci": [0.2, 0.6]}
    arm = make_measures(name="Weights", n=3, kind="scores", scores={"bleu": score})
    said = "\n".join(read_rows(StudyPreview(summary, (arm,)), width=90))
    assert "bleu SD" in said
    assert "0.250" in said
    assert "disagree" not in said


@pytest.mark.parametrize(
    ("done", "state", "said"),
    [
        (0, "running", "nothing is measured yet: an arm needs a finished run"),
        (1, "running", "nothing is measured yet: the run that has finished will be in a moment"),
        (5, "cancelled", "nothing is measured yet of the 5 runs that have finished: R in the results (t) does it"),
    ],
)
def test_what_has_finished_and_is_not_measured_is_not_called_missing(
    tmp_path: Path, done: int, state: StudyState, said: str
) -> None:
    summary = StudySummary(paths=StudyPaths(tmp_path / "s"), state=state, done=done, total=9)
    assert said in read_rows(StudyPreview(summary), width=90)
