"""Reads what is typed behind `nondet-tui`: the options and arguments of every command.

What a command needs to name its choices is imported when its own parser is made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from engine.errors import NondetError
from engine.protocol.faults import cut, printable, suggest

USAGE = """\
nondet-tui [PATH] [--store DIR] [--readonly] [--no-mouse]
       nondet-tui --batch PROTOCOL.toml [--store DIR] [--set KEY=VALUE]...
                  [--replicas R] [--devices LIST] [--slots N] [--json]
                  [--until decided] [--margin X]
       nondet-tui check PROTOCOL.toml [the same options] [--card NAME]
       nondet-tui ls [--store DIR] [--json]
       nondet-tui status STUDY [--store DIR] [--json]
       nondet-tui cancel STUDY [--store DIR]
       nondet-tui worker STUDY [--store DIR] [--time-left TIME]
       nondet-tui report STUDY [--store DIR] [--out DIR]
                  [--format table|markdown|latex|csv|json|html]
       nondet-tui report STUDY[:ARM] --against STUDY[:ARM] [--store DIR]
                  [--out DIR] [--format table|markdown|html]
                  [--measure M] [--margin X]
       nondet-tui compare STUDY[:ARM] STUDY[:ARM] [--store DIR]
                  [--measure M] [--margin X] [--json]
       nondet-tui plan STUDY:ARM [STUDY:ARM] --margin X [--store DIR]
                  [--power 0.8] [--measure M] [--out DIR] [--json]
       nondet-tui plan --from TABLE:ROW | --sd SD --margin X
                  [--power 0.8] [--measure M] [--out DIR] [--json]
       nondet-tui plan --ratio Q [--power 0.8] [--json]
       nondet-tui diverge STUDY:ARM I [STUDY:ARM] J [--store DIR]
                  [--format table|json|html] [--json] [--out DIR]
                  [--epochs N] [--again]
       nondet-tui diverge [--steps N] [--repeat N] [--find-cause]
                  [--format table|json] [--json] -- PROGRAM...
       nondet-tui import STUDY ARM=PATH... [--labels FILE] [--store DIR]
                  [--kind logits|probabilities|classes|scores]
       nondet-tui tour [--no-mouse]
       nondet-tui keys
       nondet-tui locate
       nondet-tui completion bash|zsh|fish
       nondet-tui help [COMMAND]"""

EPILOG = """\
STUDY is a study's name in the store, or the path of its folder.
The store is --store, else $NONDET_STORE, else ./studies.
exit codes: 0 all well, 1 some runs failed, 2 usage or protocol fault,
            130 interrupted; of compare 0 told apart, 3 not told apart;
            of diverge 0 found where they part, 3 they agree"""


class Parser(argparse.ArgumentParser):
    """argparse, with a way out of every error."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is; exit code 2."""
        raise NondetError(
            f"nondet-tui: {cut(printable(message), 500)}\n`nondet-tui --help` shows the commands and their options"
        )

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a word that is none of the choices, and name the nearest one."""
        if action.choices is not None and value not in action.choices:
            problem = f"invalid choice '{value}': {suggest(str(value), map(str, action.choices))}"
            raise argparse.ArgumentError(action, problem)


class ProgramParser(Parser):
    """A parser of a command that takes a program behind `--`, whose own options are left alone."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - argparse's own overloads
        """Read what stands before `--`; `program` is what stands behind it, None without one."""
        words = list(sys.argv[1:] if args is None else args)
        program = None
        if "--" in words:
            place = words.index("--")
            words, program = words[:place], words[place + 1 :]
        options, unknown = super().parse_known_args(words, namespace)
        if unknown and program is None:
            self.error(f"unrecognized arguments: {' '.join(unknown)}: a program and its options stand behind `--`")
        options.program = program
        return options, unknown


class ShowVersion(argparse.Action):
    """`--version`, which looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print the version and end the program."""
        from importlib import metadata

        sys.stdout.write(f"nondet-tui {metadata.version('nondet-tui')}\n")
        parser.exit()


def make_main_parser() -> Parser:
    """Make the parser for the options of `nondet-tui` itself."""
    parser = Parser(
        prog="nondet-tui",
        usage=USAGE,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures how different, and why, two trainings of one neural network end up.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="show program's version number and exit")
    parser.add_argument("path", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--batch", metavar="PROTOCOL.toml", help="train what is missing; table on stdout")
    parser.add_argument("--json", action="store_true", help="print metrics.json's content on stdout and nothing else")
    parser.add_argument("--readonly", action="store_true", help="the app only shows: nothing is started or stopped")
    add_no_mouse(parser)
    add_store(parser)
    add_overrides(parser)
    return parser


def make_command_parser(name: str, commands: Mapping[str, str]) -> Parser:
    """Make the parser for the arguments of one command.

    Args:
        name: The command.
        commands: Command → what it does, in a sentence.
    """
    kind = ProgramParser if name == "diverge" else Parser
    parser = kind(prog=f"nondet-tui {name}", allow_abbrev=False, description=commands[name])
    if name in ADDERS:
        ADDERS[name](parser)
    if name == "help":
        parser.add_argument(
            "command", metavar="COMMAND", nargs="?", choices=tuple(commands), help="default: all of them"
        )
    if name not in ("tour", "keys", "completion", "help"):
        add_store(parser)
    return parser


def add_check(parser: argparse.ArgumentParser) -> None:
    """Add what `check` takes."""
    parser.add_argument("protocol", metavar="PROTOCOL.toml")
    parser.add_argument("--card", metavar="NAME", help="estimate the time on a GPU that is not here, such as H100")
    add_overrides(parser)


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add the study that a command is about."""
    parser.add_argument("study", metavar="STUDY", help="name in the store, or path of the folder")


def add_status(parser: argparse.ArgumentParser) -> None:
    """Add what `status` takes."""
    add_study(parser)
    add_json(parser)


def add_worker(parser: argparse.ArgumentParser) -> None:
    """Add what `worker` takes."""
    add_study(parser)
    parser.add_argument("--time-left", metavar="TIME", default="", help="until it has to end, e.g. 08:00:00")


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add what `report` takes."""
    from tui.text.report import FORMATS

    add_study(parser)
    parser.add_argument("--format", choices=("table", *FORMATS, "html"), default="table")
    parser.add_argument("--out", metavar="DIR", help="write tables, figures and a page as files instead of printing")
    parser.add_argument(
        "--against",
        metavar="STUDY[:ARM]",
        help="compare with another arm, or the arms of another study; STUDY may be STUDY:ARM then",
    )
    add_measure(parser)
    add_margin(parser)


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Add what `compare` takes."""
    parser.add_argument("one", metavar="STUDY[:ARM]", help="A")
    parser.add_argument("other", metavar="STUDY[:ARM]", help="B; without an arm that of A, or all of one name")
    add_measure(parser)
    add_margin(parser)
    add_json(parser)


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add what `plan` takes."""
    parser.add_argument("one", metavar="STUDY:ARM", nargs="?", help="the pilot")
    parser.add_argument("other", metavar="STUDY:ARM", nargs="?", help="default: one that scatters as the first")
    parser.add_argument("--margin", metavar="X", help="the difference that is to be found")
    parser.add_argument("--from", dest="table", metavar="TABLE:ROW", help="a published SD in place of a pilot's")
    parser.add_argument("--sd", metavar="SD", help="an arm's true SD in place of a pilot")
    parser.add_argument("--out", metavar="DIR", help="draw the curve of power as plan.png, .svg and .pdf, too")
    parser.add_argument("--ratio", metavar="Q", help="tell two SDs apart, the larger Q times the smaller")
    parser.add_argument("--power", metavar="P", default="0.8", help="how often it is to be found (default: 0.8)")
    add_measure(parser)
    add_json(parser)


def add_diverge(parser: argparse.ArgumentParser) -> None:
    """Add what `diverge` takes."""
    parser.epilog = "A program and its options stand behind --, as in nondet-tui diverge -- python train.py --lr 0.1"
    parser.add_argument("words", metavar="STUDY:ARM I [STUDY:ARM] J", nargs="*", help="an arm, and two replicas")
    parser.add_argument("--format", choices=("table", "json", "html"), default="table", help="default: table")
    parser.add_argument("--out", metavar="DIR", help="write page, text and JSON into a folder")
    parser.add_argument("--epochs", metavar="N", help="follow the difference for N epochs (default: to the end)")
    parser.add_argument("--again", action="store_true", help="train both again though an answer is kept")
    parser.add_argument(
        "--steps", metavar="N", help="of a program: end it after N steps of its optimisers (default: all)"
    )
    parser.add_argument("--repeat", metavar="N", help="of a program: compare its first run with N others (default: 1)")
    parser.add_argument("--find-cause", action="store_true", help="of a program: try causes however long that takes")
    add_json(parser)


def add_import(parser: argparse.ArgumentParser) -> None:
    """Add what `import` takes."""
    from engine.protocol.command_section import KINDS

    parser.add_argument("study", metavar="STUDY", help="name of the new study")
    parser.add_argument("arms", metavar="ARM=PATH", nargs="+", help="an arm's name, and its file or folder of runs")
    parser.add_argument("--labels", metavar="FILE", help="true classes (default: a labels file beside the runs)")
    parser.add_argument("--kind", choices=KINDS, default="logits", help="what the files hold (default: logits)")


def add_shell(parser: argparse.ArgumentParser) -> None:
    """Add the shell that `completion` is for."""
    from tui.commands.completion import WRITERS

    parser.add_argument("shell", metavar="SHELL", choices=tuple(WRITERS), help=" or ".join(WRITERS))


def add_measure(parser: argparse.ArgumentParser) -> None:
    """Add the option that says what arms are compared in."""
    parser.add_argument(
        "--measure", metavar="M", help="accuracy, cross-entropy, perplexity, a number by name; of compare: all"
    )


def add_margin(parser: argparse.ArgumentParser) -> None:
    """Add the option that says what difference would matter."""
    parser.add_argument("--margin", metavar="X", help="the smallest difference worth having, in the measure's unit")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option that prints JSON."""
    parser.add_argument("--json", action="store_true", help="print the same as JSON (docs/commands.md)")


def add_no_mouse(parser: argparse.ArgumentParser) -> None:
    """Add the option that leaves the mouse alone."""
    parser.add_argument("--no-mouse", action="store_true", help="the app leaves the mouse to the terminal")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the folder of the studies."""
    parser.add_argument("--store", metavar="DIR", help="folder of the studies (default: $NONDET_STORE, else ./studies)")


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add the options that override keys of the protocol."""
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="override a key, e.g. train.epochs=20"
    )
    parser.add_argument("--replicas", metavar="R", help="same as --set protocol.replicas=R")
    parser.add_argument("--devices", metavar="LIST", help="auto, cpu, or a list such as cuda:0,cuda:1")
    parser.add_argument("--slots", metavar="N", help="runs side by side on one device: auto or a number")
    parser.add_argument(
        "--until", metavar="decided", help="train replicas in pairs until two arms are told apart: compare.until"
    )
    parser.add_argument("--margin", metavar="X", help="the smallest difference worth having: compare.margin")


ADDERS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "check": add_check,
    "ls": add_json,
    "status": add_status,
    "cancel": add_study,
    "report": add_report,
    "compare": add_compare,
    "plan": add_plan,
    "diverge": add_diverge,
    "import": add_import,
    "worker": add_worker,
    "completion": add_shell,
    "tour": add_no_mouse,
}
"""Command → what adds its arguments, for those that have any of their own."""
