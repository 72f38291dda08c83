"""The command line: arguments in, exit code out; the one place that turns an error into a message.

Each command imports what it needs when it runs, so that none waits for what another one needs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_RUNS_FAILED, EXIT_USAGE, NondetError
from engine.protocol.faults import find_near, show_path, suggest
from tui.commands.arguments import make_command_parser, make_main_parser
from tui.commands.streams import forget_output, prepare_streams


def main(argv: Sequence[str] | None = None) -> int:
    """Run nondet-tui; returns the exit code."""
    prepare_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            code = run(arguments)
        finally:
            sys.stdout.flush()  # at the end of `--help` too, where argparse ends the program
    except NondetError as error:
        report(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe; flushing the rest at exit must not raise an error.
        forget_output()
        return EXIT_OK
    except OSError as error:
        if error.filename is not None:  # a file's, not the output's
            raise
        if not stands_somewhere():
            report("nondet-tui: the folder in which it was started is no longer there: change to another one")
            return EXIT_USAGE
        forget_output()
        report(f"nondet-tui: the output cannot be written ({error.strerror}): what was trained and measured is kept")
        return EXIT_RUNS_FAILED
    if code == EXIT_INTERRUPTED:
        # Another Ctrl-C must not change the exit code while the interpreter ends.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def stands_somewhere() -> bool:
    """Tell whether the folder in which the program was started is still there."""
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def report(message: str) -> None:
    """Print a message to stderr, unless that cannot be written either."""
    from rich.console import Console

    from tui.commands.output import print_text

    with contextlib.suppress(OSError):
        print_text(Console(stderr=True, highlight=False), message)


def run(arguments: list[str]) -> int:
    """Choose between a command and --batch, and do it.

    Raises:
        NondetError: For every fault that the user can repair.
    """
    if arguments and arguments[0] in RUNNERS:
        return run_command(arguments[0], arguments[1:])
    parser = make_main_parser()
    options, unknown = parser.parse_known_args(arguments)
    if options.batch is None and options.path in RUNNERS:  # behind options, such as --store DIR
        place = arguments.index(options.path)
        return run_command(options.path, arguments[:place] + arguments[place + 1 :])
    mistyped = any(word.startswith("-") for word in unknown)
    if options.batch is None and options.path is not None and (not mistyped or find_near(options.path, RUNNERS)):
        refuse_unknown(options.path, options.store)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if options.batch is None:
        return open_app(options)
    if options.path is not None:
        raise NondetError(f"nondet-tui: {show_path(options.path)}: --batch takes one protocol and nothing beside it")
    from tui.commands.batch import run_batch

    overrides = collect_overrides(options)
    return run_batch(Path(options.batch), store=options.store, overrides=overrides, as_json=options.json)


def run_command(name: str, arguments: list[str]) -> int:
    """Do what a command is asked for.

    Raises:
        NondetError: For every fault that the user can repair.
    """
    return RUNNERS[name](make_command_parser(name, describe_commands()).parse_args(arguments))


def refuse_unknown(word: str, store: str | None) -> None:
    """Refuse a word that is no command and names nothing, whether there is a terminal for the app or not.

    Raises:
        NondetError: That says what there is.
    """
    from engine.study.paths import enter_path, find_store

    if os.path.lexists(enter_path(word)) or os.path.lexists(find_store(store) / word):
        return
    raise NondetError(
        f"nondet-tui: {show_path(word)}: is no command, no protocol file, no study folder and no study in "
        f"{show_path(find_store(store))}: {suggest(word, RUNNERS)}; `nondet-tui ls` lists the studies, "
        "`nondet-tui --batch PROTOCOL.toml` trains"
    )


def open_app(options: argparse.Namespace) -> int:
    """Show the interactive app; Textual is loaded here and nowhere else."""
    meant = [
        f"--{name}"
        for name in ("json", "set", "replicas", "devices", "slots", "until", "margin")
        if getattr(options, name)
    ]
    if meant:
        go = "goes" if len(meant) == 1 else "go"
        raise NondetError(f"nondet-tui: {', '.join(meant)}: {go} with --batch PROTOCOL.toml; the app has the builder")
    from tui.app.start_up import run_app

    return run_app(store=options.store, path=options.path, readonly=options.readonly, mouse=not options.no_mouse)


def collect_overrides(options: argparse.Namespace) -> tuple[str, ...]:
    """Return all overrides as "section.key=value"; they are checked later, together with the protocol."""
    overrides = list(options.set)
    if options.replicas is not None:
        overrides.append(f"protocol.replicas={options.replicas}")
    if options.devices is not None:
        names = options.devices.split(",")
        value = names[0] if names[0] in ("auto", "cpu", "cuda") and len(names) == 1 else _toml_list(names)
        overrides.append(f"dispatch.devices={value}")
    if options.slots is not None:
        overrides.append(f"dispatch.slots_per_device={options.slots}")
    for name in ("until", "margin"):
        value = getattr(options, name)
        if value is not None:
            overrides.append(f"compare.{name}={value}")
    return tuple(overrides)


def _toml_list(names: list[str]) -> str:
    quoted = [name.strip().replace("\\", "\\\\").replace('"', '\\"') for name in names]
    return "[" + ", ".join(f'"{name}"' for name in quoted) + "]"


def run_check(options: argparse.Namespace) -> int:
    """Validate a protocol; print its plan: runs, shared, already done, time, disk."""
    from tui.commands.check import check_protocol

    return check_protocol(
        Path(options.protocol), store=options.store, overrides=collect_overrides(options), card=options.card
    )


def run_ls(options: argparse.Namespace) -> int:
    """List the studies of the store."""
    from tui.commands.listing import list_studies

    return list_studies(options.store, as_json=options.json)


def run_status(options: argparse.Namespace) -> int:
    """Show how a study stands: arms, running and failed runs, slots."""
    from engine.study.study_plan import find_study
    from tui.commands.listing import show_status

    return show_status(find_study(options.study, store=options.store), as_json=options.json)


def run_cancel(options: argparse.Namespace) -> int:
    """Stop a study; finished runs are kept."""
    from engine.study.study_plan import find_study
    from tui.commands.listing import cancel_study

    return cancel_study(find_study(options.study, store=options.store))


def run_worker(options: argparse.Namespace) -> int:
    """Train runs of a study here, beside those that others train, until none is left."""
    from tui.commands.working import start_worker

    return start_worker(options.study, store=options.store, time_left=options.time_left)


def run_report(options: argparse.Namespace) -> int:
    """Print a study's measures."""
    if options.against is not None:
        from tui.commands.comparing import report_comparison

        kind = "html" if options.out is not None and options.format == "table" else options.format
        return report_comparison(
            options.study,
            options.against,
            store=options.store,
            kind=kind,
            out=options.out,
            measure=options.measure,
            margin=options.margin,
        )
    if options.measure is not None or options.margin is not None:
        raise NondetError("nondet-tui: --measure and --margin: go with --against, which compares two arms")
    from engine.study.study_plan import find_study
    from tui.commands.reporting import report_study

    return report_study(find_study(options.study, store=options.store), kind=options.format, out=options.out)


def run_compare(options: argparse.Namespace) -> int:
    """Judge whether one arm is better than another; exit code 3 where they are not told apart."""
    from tui.commands.compare import compare_studies

    return compare_studies(
        options.one,
        options.other,
        store=options.store,
        measure=options.measure,
        margin=options.margin,
        as_json=options.json,
    )


def run_plan(options: argparse.Namespace) -> int:
    """Tell how many replicas would find a difference worth having."""
    from tui.commands.plan import check_ways, plan_replicas
    from tui.commands.plan_numbers import plan_ratio, plan_spread

    way = check_ways(options)
    if way == "ratio":
        return plan_ratio(options.ratio, power=options.power, as_json=options.json)
    if way != "pilot":
        return plan_spread(
            options.table,
            options.sd,
            measure=options.measure,
            margin=options.margin,
            power=options.power,
            as_json=options.json,
            out=options.out,
        )
    return plan_replicas(
        options.one,
        options.other,
        store=options.store,
        measure=options.measure,
        margin=options.margin,
        power=options.power,
        as_json=options.json,
        out=options.out,
    )


def run_diverge(options: argparse.Namespace) -> int:
    """Say where two runs of a study or of a program part, by which operation, and why; exit code 3 where they agree."""
    from tui.commands.diverge_program import check_form, diverge_program
    from tui.commands.diverge_runs import diverge_runs

    check_form(vars(options))
    if options.program is not None:
        return diverge_program(
            options.program,
            steps=options.steps,
            repeat=options.repeat,
            find_cause=options.find_cause,
            as_json=options.json or options.format == "json",
        )
    return diverge_runs(
        options.words,
        store=options.store,
        kind="json" if options.json else options.format,
        out=options.out,
        again=options.again,
        epochs=options.epochs,
    )


def run_import(options: argparse.Namespace) -> int:
    """Make a study of predictions or scores that are there already."""
    from tui.commands.importing import import_study

    return import_study(options.study, options.arms, store=options.store, labels=options.labels, kind=options.kind)


def run_locate(options: argparse.Namespace) -> int:
    """Print where nondet-tui keeps its files, and what its settings are."""
    from engine.study.paths import find_store
    from tui.app.listed_files import shipped_folder
    from tui.app.settings import here, read_settings

    locations = here()
    settings = read_settings(locations.config)
    shipped = shipped_folder()
    rows = {
        "store": find_store(options.store),
        "config": locations.config,
        "recent": locations.recent,
        "copies": locations.copies,
        "protocols": "none" if shipped is None else shipped,
    }
    lines = [f"{name:10} {place}" for name, place in rows.items()]
    lines += [f"{name:10} {value}" for name, value in vars(settings).items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return EXIT_OK


def run_tour(options: argparse.Namespace) -> int:
    """Explain the program in three minutes, on a finished study that comes along."""
    from tui.app.start_up import run_tour as play

    return play(mouse=not options.no_mouse)


def run_keys(options: argparse.Namespace) -> int:
    """List every key of a protocol with its default, what is allowed and what it does."""
    from tui.text.reference import list_keys

    sys.stdout.write(list_keys())
    return EXIT_OK


def run_completion(options: argparse.Namespace) -> int:
    """Print the script that completes nondet-tui's command line in a shell."""
    from tui.commands.completion import WRITERS

    parsers = {"": make_main_parser()} | {name: make_command_parser(name, describe_commands()) for name in RUNNERS}
    sys.stdout.write(WRITERS[options.shell](parsers))
    return EXIT_OK


def run_help(options: argparse.Namespace) -> int:
    """Show the commands and their options, or those of one command."""
    name: str | None = options.command
    parser = make_main_parser() if name is None else make_command_parser(name, describe_commands())
    parser.print_help()
    return EXIT_OK


RUNNERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "check": run_check,
    "ls": run_ls,
    "status": run_status,
    "cancel": run_cancel,
    "worker": run_worker,
    "report": run_report,
    "compare": run_compare,
    "plan": run_plan,
    "diverge": run_diverge,
    "import": run_import,
    "tour": run_tour,
    "keys": run_keys,
    "locate": run_locate,
    "completion": run_completion,
    "help": run_help,
}


def describe_commands() -> dict[str, str]:
    """Return what each command does, in a sentence."""
    return {name: (runner.__doc__ or "").strip() for name, runner in RUNNERS.items()}
