"""Standard output and error that are closed, full or ASCII, and a user without a home: no traceback, no wrong file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tui.commands.streams import spell

ROOT = Path(__file__).parent.parent.parent
KEPT = ROOT / "tests" / "study" / "kept"
RUN = "import sys; from tui.cli import main; sys.exit(main())"


def run(shell: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a shell, where $B is the command."""
    environment = os.environ | {"PYTHON": sys.executable, "RUN": RUN, "PYTHONPATH": str(ROOT)} | variables
    command = shell.replace("$B", '"$PYTHON" -P -c "$RUN"')
    return subprocess.run(
        ["bash", "-c", command], check=False, capture_output=True, text=True, timeout=60, env=environment
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", ["locate", "keys", "--version", "--help", "completion bash"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_code(command: str, closed: str) -> None:
    done = run(f"$B {command} {closed}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_closed_error_output_keeps_the_code_of_a_fault() -> None:
    assert run("$B frobnicate 2>&-").returncode == 2
    assert run("$B frobnicate <&- >&- 2>&-").returncode == 2


def test_nothing_is_opened_in_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    code = "import os; from tui.cli import main; main(['locate']); print(os.open(os.devnull, os.O_RDONLY) > 2)"
    done = run(f'"$PYTHON" -P -c "$CODE" <&- 2>&- | tee {tmp_path / "out"}', CODE=code)
    assert done.stdout.splitlines()[-1] == "True"


@pytest.mark.parametrize("command", ["locate", "keys", "--version"])
def test_full_output_is_named(command: str) -> None:
    done = run(f"$B {command} > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("nondet-tui: the output cannot be written (No space left on device)")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_full_error_output_ends_no_command() -> None:
    assert run("$B frobnicate 2> /dev/full").returncode == 2
    code = "import sys; from rich.console import Console; from tui.commands.streams import prepare_streams; "
    code += "prepare_streams(); [Console(stderr=True).print('x' * 9000) for _ in range(9)]; print('went on')"
    done = run('"$PYTHON" -P -c "$CODE" 2> /dev/full', CODE=code)
    assert (done.returncode, done.stdout) == (0, "went on\n")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["keys", "report x --format markdown", "report x --format csv", "report x"])
def test_ascii_output_is_spelled(command: str, tmp_path: Path) -> None:
    shutil.copytree(KEPT, tmp_path / "store" / "x")
    done = run(f"$B {command}", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert len(done.stdout) > 100


def test_characters_are_spelled_or_escaped() -> None:
    def encode(text: str) -> bytes:
        try:
            return text.encode("ascii")
        except UnicodeEncodeError as error:
            return text[: error.start].encode() + spell(error)[0].encode() + encode(text[error.end :])

    assert encode("1 ± 2 – é 😀") == b"1 +- 2 - \\u00e9 \\U0001f600"


HOMELESS = "import pwd; pwd.getpwuid = lambda uid: {}[uid]; " + RUN


def test_user_without_a_home_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    done = run('unset HOME; "$PYTHON" -P -c "$RUN" locate', RUN=HOMELESS)
    assert done.returncode == 2
    assert "set HOME" in done.stderr
    assert "Traceback" not in done.stderr
    assert run('unset HOME; "$PYTHON" -P -c "$RUN" ls', RUN=HOMELESS).returncode == 0
    done = run('unset HOME; "$PYTHON" -P -c "$RUN" ls --store "~/x"', RUN=HOMELESS)
    assert done.returncode == 2
    assert "HOME is not set" in done.stderr


@pytest.mark.parametrize("kind", ["fifo", "device", "home of nobody", "bom", "long"])
def test_configuration_that_is_no_file_of_settings_is_refused(kind: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "bom").write_bytes(b"\xef\xbb\xbfmouse = true\n")
    named = {
        "fifo": (str(tmp_path / "fifo"), "is a pipe (FIFO)"),
        "device": ("/dev/zero", "is a device"),
        "home of nobody": ("~nosuchuser/x", "there is no such user's home"),
        "bom": (str(tmp_path / "bom"), "byte order mark (BOM)"),
        "long": ("n" * 5000, "which no path can have"),
    }
    path, expected = named[kind]
    done = run("$B locate", NONDET_CONFIG=path)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 1000


@pytest.mark.parametrize("command", ["check ../x.toml", "--batch ../x.toml", "status one --store studies"])
def test_folder_that_was_removed_is_named(tmp_path: Path, command: str) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "x.toml").write_text((ROOT / "protocols" / "quickstart.toml").read_text())
    done = run(f"cd {tmp_path / 'gone'} && rmdir ../gone && $B {command}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "nondet-tui: the folder in which it was started is no longer there: change to another one\n"
