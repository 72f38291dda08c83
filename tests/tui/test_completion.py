"""The completion scripts, asked by the shells themselves: bash, and zsh and fish where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tui import cli
from tui.text.report import FORMATS

COMMANDS = {
    "check",
    "ls",
    "status",
    "cancel",
    "worker",
    "report",
    "compare",
    "plan",
    "diverge",
    "import",
    "tour",
    "keys",
    "locate",
    "completion",
    "help",
}

Offer = Callable[[str], set[str]]

ASK_BASH = """
source ./script
COMP_WORDS=({words}) COMP_CWORD={last}
_nondet_tui
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

ZSH_SESSION = """
PS1=
autoload -Uz compinit && compinit -u -D
source ./script
before() { print BEGIN }
after() { print END; exit }
compprefuncs=(before) comppostfuncs=(after)
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
    local -a hits
    builtin compadd -A hits "$@"
    print -rl -- $hits
    builtin compadd "$@"
}
bindkey "^M" undefined; bindkey "^J" undefined; bindkey "^I" complete-word
print READY
"""

ASK_ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'source ./session'
zpty -r shell out '*READY*'
zpty -n -w shell '{line}'$'\\t'
zpty -r shell out '*END*'
print -r -- ${{out#*BEGIN}}
"""

ASK_FISH = "source ./script; complete -C '{line}'"


def ask(shell: str, line: str, folder: Path) -> set[str]:
    """Return what a shell offers for the last word of a line."""
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    program = {"bash": ASK_BASH, "zsh": ASK_ZSH, "fish": ASK_FISH}[shell]
    program = program.format(line=line, words=quoted, last=len(words) - 1)
    environment = {name: value for name, value in os.environ.items() if name != "NONDET_STORE"}
    done = subprocess.run(
        [shell, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return {offered.split("\t")[0].strip() for offered in done.stdout.splitlines()}


SHELLS = [shell for shell in ("bash", "zsh", "fish") if shutil.which(shell)]


@pytest.fixture(params=SHELLS)
def offer(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], set[str]]:
    shell: str = request.param
    assert cli.main(["completion", shell]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "session").write_text(ZSH_SESSION)
    (tmp_path / "mine.toml").touch()
    (tmp_path / "other.txt").touch()
    for place in ("studies/first", "elsewhere/second one"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "plan.json").touch()
    return lambda line: ask(shell, line, tmp_path)


def test_first_word_is_a_command_or_a_path(offer: Offer) -> None:
    assert offer("nondet-tui ") >= COMMANDS
    assert "report" in offer("nondet-tui rep")
    assert "mine.toml" in offer("nondet-tui mi")


def test_options_are_those_of_the_command(offer: Offer) -> None:
    assert {"--format", "--out", "--store"} <= offer("nondet-tui report --")
    assert "--format" not in offer("nondet-tui check --")
    assert "--json" in offer("nondet-tui ls --")
    assert "--batch" in offer("nondet-tui --b")


def test_value_is_what_its_option_takes(offer: Offer) -> None:
    assert set(FORMATS) <= offer("nondet-tui report first --format ")
    assert {"bash", "zsh", "fish"} <= offer("nondet-tui completion ")
    assert offer("nondet-tui help ") >= COMMANDS
    offered = offer("nondet-tui --batch ")
    assert "mine.toml" in offered
    assert "other.txt" not in offered
    assert "train.epochs=" in offer("nondet-tui check mine.toml --set train.ep")


def test_study_is_found_in_the_store_that_is_meant(offer: Offer) -> None:
    assert "first" in offer("nondet-tui status ")
    assert {"second one", "second\\ one"} & offer("nondet-tui status --store elsewhere ")


def test_main_parser_and_usage_know_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(cli.RUNNERS) == COMMANDS
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"nondet-tui {command}" in shown for command in COMMANDS)
