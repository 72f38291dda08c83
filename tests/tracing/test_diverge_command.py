"""`nondet-tui diverge -- PROGRAM` as it is typed: what it says, what it returns, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tui.cli import main

ROOT = Path(__file__).parents[2]
MAIN = "import sys; from tui.cli import main; sys.exit(main())"
HEARING = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {MAIN}"
"""What is started in the background does not hear of Ctrl-C, and nor do its children."""

SITE = "import os\nos.environ['OWN_SITE'] = 'was here'\n"
NAMES = """
import os, sys
assert os.environ["OWN_SITE"] == "was here", "the user's own sitecustomize comes first"
assert "engine" not in sys.modules
import engine
assert engine.MINE, "a package of the user's may have any name"
import torch
torch.manual_seed(0)
images = {f"name {number}": torch.randn(4, 5) for number in range(300)}
net = torch.nn.Linear(5, 2)
optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
for name, _ in zip(set(images), range(3)):
    loss = net(images[name]).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, and one for temporary files that must be empty in the end."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "temporary"


def refuse(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["diverge", *words])
    return code, " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_set_of_names_is_found_and_named(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("own/sitecustomize.py", SITE), ("work/engine.py", "MINE = True\n"), ("work/train.py", NAMES)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'own'}{os.pathsep}{ROOT}")
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    assert main(["diverge", "--format", "json", "--", sys.executable, "train.py"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert f"operations, run 2: ended in step {found['step']}," in told.err
    assert (found["v"], found["differs"], found["what"], found["kind"]) == (1, True, "inputs", "input")
    assert found["step"] == found["steps_that_agree"] + 1, "the first name may be the same by chance"
    assert found["first"]["operation"] == "aten::addmm"
    assert found["first"]["module"] == "Linear"
    assert found["difference"]["elements"] == 20
    assert [cause["name"] for cause in found["causes"]] == ["hash"]
    assert found["tried"] == [{"name": "hash", "agree": True}]
    assert "PYTHONHASHSEED=0" in found["causes"][0]["remedy"]
    assert list(elsewhere.glob("nondet*")) == [], "torch itself may leave folders of its own"


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("--",), 2, "behind `--` stands the program"),
        (
            ("python", "train.py"),
            2,
            "a program of your own stands behind `--`, as in `nondet-tui diverge -- python train.py`",
        ),
        (("python", "train.py", "--lr", "1"), 2, "--lr 1: a program and its options stand behind `--`"),
        (("--steps", "3"), 2, "--steps: for a program: name it behind `--`"),
        (("study:arm", "1", "--", "true"), 2, "STUDY:ARM I J: for runs of a study, not with a program"),
        (("--format", "html", "--", "true"), 2, "--format html: for runs of a study"),
        (("--steps", "x", "--", "true"), 2, "--steps: x: has to be a whole number from 1"),
        (("--steps", "9" * 5000, "--", "true"), 2, "(5000 characters): has to be a whole number from 1"),
        (("--repeat", "0", "--", "true"), 2, "--repeat: 0: has to be a whole number from 1"),
        (("--", "true"), 1, "no Python was started, or one with -E, -I or -S"),
        (("--", "no-such-program"), 1, "it cannot be started: no-such-program: No such file or directory"),
        (("--", sys.executable, "-I", "-c", "1"), 1, "no Python was started, or one with -E, -I or -S"),
        (("--", sys.executable, "-c", "print(1)"), 1, "it does not import torch"),
        (("--", sys.executable, "-c", "print(7 * 3); x"), 1, "21 Traceback"),
        (("--", "sh", "-c", "kill -9 $$"), 1, "failed by itself (signal 9"),
    ],
)
def test_what_cannot_be_compared_is_told(
    words: tuple[str, ...], code: int, part: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, message = refuse(capsys, *words)
    assert found == code
    assert part in message
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("first", ["", "import importlib.util; importlib.util.find_spec('torch'); "])
def test_torch_that_is_too_old_is_told(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "torch.py").write_text("__version__ = '1.13.1+cu117'\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'old'}{os.pathsep}{ROOT}")
    code, message = refuse(capsys, "--", sys.executable, "-c", f"{first}import torch")
    assert code == 1
    assert "it has torch 1.13.1+cu117: torch 2 or newer is needed" in message


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_search_leaves_nothing_behind(number: int, elsewhere: Path) -> None:
    program = "import os, time\nif os.fork() == 0: os.setsid()\nopen(f'pid-{os.getpid()}', 'w').close()\ntime.sleep(60)"
    Path("sleep.py").write_text(program)
    search = subprocess.Popen(
        [sys.executable, "-c", HEARING, "diverge", "--", sys.executable, "sleep.py"],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        stderr=subprocess.PIPE,
    )
    while len(started := list(Path().glob("pid-*"))) < 2:
        assert search.poll() is None
        time.sleep(0.05)
    search.send_signal(number)
    _, said = search.communicate()
    assert search.returncode == 130, said.decode()
    assert list(elsewhere.iterdir()) == []
    for path in started:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name.removeprefix("pid-")), 0)
