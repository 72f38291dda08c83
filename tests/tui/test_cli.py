"""The command line: wrong input gets a message and exit code 2, writes nothing, shows no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.dispatch.launch import plan_protocol, prepare_study
from engine.protocol.load import load_protocol
from engine.study.paths import StudyPaths
from tests.helpers.json_files import write_json
from tui import cli

Capture = pytest.CaptureFixture[str]
KEPT = Path(__file__).parents[1] / "study" / "kept"


@pytest.fixture
def file(tmp_path: Path, protocol_text: str) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(protocol_text)
    return path


@pytest.fixture
def study(file: Path) -> StudyPaths:
    protocol = load_protocol(file)
    return prepare_study(protocol, plan_protocol(protocol), store=None)


WRONG = {
    "nothing": ([], "--batch PROTOCOL.toml"),
    "path alone": (["x.toml"], "--batch"),
    "batch without file": (["--batch"], "expected one argument"),
    "absent file": (["--batch", "no.toml"], "does not exist"),
    "folder": (["--batch", "."], "is a folder"),
    "two protocols": (["--batch", "a.toml", "b.toml"], "one protocol"),
    "unknown option": (["--bach", "a.toml"], "unrecognized arguments"),
    "abbreviated option": (["--bat", "a.toml"], "unrecognized arguments"),
    "check without file": (["check"], "PROTOCOL.toml"),
    "status without study": (["status"], "STUDY"),
    "absent study": (["status", "nothing"], "no study of this name"),
    "study that climbs": (["cancel", "../../etc"], "no study"),
    "escape in a name": (["report", "\x1b[31mred"], "\\x1b[31mred"),
    "unknown format": (["report", "x", "--format", "pdf"], "invalid choice"),
    "unknown command": (["start", "x"], "start: is no command, no protocol file"),
    "mistyped command": (["chekc"], "did you mean check? valid: check, ls, status"),
    "mistyped command with options": (["repotr", "x", "--format", "json"], "did you mean report?"),
    "mistyped choice": (["report", "x", "--format", "latx"], "did you mean latex?"),
    "help on nothing": (["help", "chekc"], "did you mean check?"),
    "unknown command of a pipe": (["frobnicate"], "valid: check, ls, status, cancel, worker, report"),
    "long word": (["n" * 5000], "which no path can have"),
    "long study": (["status", "n" * 5000], "which no path can have"),
    "long store": (["ls", "--store", "n" * 5000], "which no path can have"),
    "long path": (["ls", "--store", "n/" * 3000], "which no path can have"),
    "long option": (["--" + "n" * 5000], "unrecognized"),
    "store that is not there": (["ls", "--store", "/nowhere"], "/nowhere: there is no store here yet"),
    "store that is a file": (["ls", "--store", "/etc/passwd"], "/etc/passwd: is a file, and a store is a folder"),
    "home of nobody": (["ls", "--store", "~nosuchuser/x"], "there is no such user's home"),
}


def test_protocol_where_a_study_is_asked_for_is_told_apart(file: Path, capsys: Capture) -> None:
    for words in (["status"], ["report"], ["cancel"], ["compare", "x:A"]):
        assert cli.main([*words, str(file)]) == 2
    assert cli.main(["status", str(file)]) == 2
    assert "is a protocol file: name its study, which is what protocol.name says" in capsys.readouterr().err


def test_options_may_stand_before_the_command(study: StudyPaths, capsys: Capture) -> None:
    store = str(study.folder.parent)
    for words in (["ls", "--store", store], ["status", study.name, "--store", store]):
        assert cli.main(words) == 0
        behind = capsys.readouterr()
        assert cli.main([*words[-2:], *words[:-2]]) == 0
        assert capsys.readouterr() == behind


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_explained(name: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    arguments, expected = WRONG[name]
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err.replace("\n", " ")
    assert "\x1b" not in err
    assert "Traceback" not in err
    assert len(err) < 2000
    assert sorted(tmp_path.rglob("*")) == before


WRONG_OPTIONS = [
    ["--set", "train.epoch=3"],
    ["--replicas", "none"],
    ["--devices", "gpu"],
    ["--devices", "cuda:0,cuda:0"],
    ["--devices", 'a"b'],
    ["--slots", "0"],
]


@pytest.mark.parametrize("option", WRONG_OPTIONS)
def test_wrong_option_value_is_a_fault_of_the_protocol(option: list[str], file: Path, capsys: Capture) -> None:
    assert cli.main(["--batch", str(file), *option]) == 2
    err = capsys.readouterr().err
    assert "nothing was trained" in err
    assert "    -> " in err
    assert not Path(os.environ["NONDET_STORE"]).exists()


def test_help_and_version(capsys: Capture) -> None:
    for arguments in (["--help"], ["check", "--help"], ["report", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "exit codes: 0 all well" in out
    assert "nondet-tui 0." in out


@pytest.mark.parametrize("name", ["", *cli.RUNNERS])
def test_help_fits_eighty_columns(name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["help", *([name] if name else [])]) == 0
    out = capsys.readouterr().out
    assert f"usage: nondet-tui {name}".rstrip() in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.slow
def test_store_that_is_a_file_is_refused(file: Path, capsys: Capture) -> None:
    Path(os.environ["NONDET_STORE"]).write_text("")
    assert cli.main(["--batch", str(file)]) == 2
    assert "choose another --store" in capsys.readouterr().err


def test_ls_of_nothing_says_what_to_do(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["ls"]) == 2
    assert "no store here yet" in capsys.readouterr().err
    Path(os.environ["NONDET_STORE"]).mkdir()
    assert cli.main(["ls"]) == 0
    assert "no studies in" in capsys.readouterr().out
    monkeypatch.delenv("NONDET_STORE")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["ls"]) == 0
    assert "no studies in" in capsys.readouterr().out
    (tmp_path / "studies").symlink_to("nothing")
    assert cli.main(["ls"]) == 2
    assert "is a link that leads to no folder" in capsys.readouterr().err


def test_ls_and_status_of_a_study_that_never_ran(study: StudyPaths, capsys: Capture) -> None:
    assert cli.main(["ls"]) == 0
    assert "tiny" in (out := capsys.readouterr().out)
    assert "0/4" in out
    assert cli.main(["status", "tiny"]) == 0
    out = capsys.readouterr().out
    assert "0/2" in out
    assert "✓" not in out
    assert "left" not in out, "nothing is known of the time"
    assert cli.main(["cancel", str(study.folder)]) == 0
    assert "nothing to cancel" in capsys.readouterr().err


def test_ls_shows_a_damaged_study_beside_the_others(study: StudyPaths, capsys: Capture) -> None:
    broken = study.folder.parent / "broken"
    broken.mkdir()
    (broken / "plan.json").write_text("{")
    assert cli.main(["ls"]) == 0
    out = capsys.readouterr().out
    assert "damaged" in out
    assert "tiny" in out


def test_status_names_damaged_files(study: StudyPaths, capsys: Capture) -> None:
    run = study.run(next(study.runs.iterdir()).name)
    run.result.write_text("{")
    (run.attempts / "01").mkdir()
    write_json(run.attempt(1).attempt, {"v": 1})
    os.utime(run.attempt(1).attempt, (0, 0))
    run.attempt(1).epochs.write_text("garbage\n")
    study.metrics.write_text("")
    study.supervisor.write_text("{")
    assert cli.main(["status", "tiny"]) == 1
    out = capsys.readouterr().out
    assert "result.json is damaged: Input data was truncated" in out
    assert f", run {run.folder.name}: 1 line of epochs.jsonl cannot be read and is skipped" in out
    assert ", replica " in out, "as the screens name it"
    assert "metrics.json: is empty; it is written anew by the next run or report" in out
    assert "supervisor.json: is damaged" in out
    assert "1 finished run is damaged and left out: `nondet-tui --batch" in out
    assert "trains them again" in out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table", "markdown", "latex", "csv", "json"])
def test_report_says_that_a_run_is_damaged(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    shutil.copytree(KEPT, tmp_path / "kept")
    damaged = next((tmp_path / "kept").glob("runs/*/predictions.npy"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert cli.main(["report", str(tmp_path / "kept"), "--format", name]) == 1
    out, err = capfd.readouterr()
    assert f"run {damaged.parent.name}: predictions.npy is damaged" in err
    assert "1 finished run is damaged and left out: `nondet-tui --batch" in err
    assert "Traceback" not in err
    assert "Late shuffling" in out, "the rest is there"
    if name == "json":
        assert json.loads(out)["study"] == "kept"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table", "markdown", "latex", "csv", "json"])
def test_report_of_a_study_without_results(study: StudyPaths, capfd: pytest.CaptureFixture[str], name: str) -> None:
    assert cli.main(["report", "tiny", "--format", name]) == 0
    out = capfd.readouterr().out
    assert "Control" in out
    if name == "json":
        assert json.loads(out)["arms"][0]["n"] == 0


@pytest.mark.usefixtures("study")
def test_broken_pipe_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import sys, tui.cli; sys.exit(tui.cli.main(['ls']))"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_interrupt_has_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", interrupt)
    assert cli.main([]) == 130
