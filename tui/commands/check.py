"""`check`: validate a protocol and show what running it would mean; writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.catalog.modules import find_file
from engine.dispatch.executors.registry import open_executor
from engine.dispatch.launch import cut_plan, done_runs, find_folder, search_path, settle_comparison
from engine.dispatch.start import preparing
from engine.errors import EXIT_OK, NondetError, StudyError
from engine.plan.command_files import find_uncovered
from engine.plan.plan import Plan
from engine.plan.records import SelfTest
from engine.protocol.definition import Protocol
from engine.protocol.faults import printable
from engine.protocol.load import load_protocol
from engine.study.choices import Chosen
from engine.study.run_state import read_result
from engine.study.selftest_record import describe_selftest
from engine.study.supervisor_record import is_supervised
from engine.tuning.choice import decide
from engine.tuning.probe import KERNEL_PROCESSES, ProbeFacts
from engine.tuning.selftest import run_selftest
from tui.commands.cards import describe_card, require_gpu
from tui.commands.output import print_text, results_console
from tui.text.counts import plural
from tui.text.format import format_bytes, format_seconds

BYTES_PER_EPOCH = 200
"""One line of epochs.jsonl."""
BYTES_PER_RUN = 4_000
"""Recipe, attempt and result of a run."""
NAMED = 3
"""Arms that are named where one line is about many."""


def check_protocol(path: Path, *, store: str | None, overrides: tuple[str, ...], card: str | None = None) -> int:
    """Print the plan of a protocol with an estimate of its cost.

    Args:
        path: The protocol.
        store: The folder of all studies.
        overrides: Of its keys.
        card: The name of a card that is not there, whose time is to be estimated too.

    Raises:
        NondetError: If the protocol, its data or its models do not work.
    """
    console = results_console()
    gpu = None if card is None else require_gpu(card)
    protocol = load_protocol(path, overrides=overrides)
    if gpu is not None and protocol.command is not None:
        raise NondetError(f"--card {card}: what a program of your own does is not counted: leave --card out")
    for line in describe_code(protocol):
        print_text(Console(stderr=True, highlight=False), line)
    decided = decide(protocol, store=store, timed=True, counted=gpu is not None)
    paths = find_folder(protocol, store=store)
    plan, facts = cut_plan(paths, decided.plan, settle_comparison(protocol)), decided.facts
    done = done_runs(paths, plan)
    slots = decided.count_slots(protocol)
    print_text(console, f"{path}: valid; study {protocol.name} in {paths.folder}")
    console.print(_plan_table(plan, done, None if protocol.command is None else protocol.command.epochs))
    if protocol.command is not None and plan.selftest is not None:
        return check_program(protocol, plan, plan.selftest, console, store=store, slots=slots)
    for line in describe_facts(facts):
        print_text(console, line)
    comparing = describe_comparing(protocol) if len(plan.recipes) == len(decided.plan.recipes) else [DECIDED]
    for line in (*comparing, *describe_cost(plan, facts, done, slots=slots, kind=plan.device)):
        print_text(console, line)
    if gpu is not None:
        for line in describe_card(plan, facts, plan.recipes.keys() - done, gpu):
            print_text(console, line)
    for line in describe_choices(plan, decided.chosen):
        print_text(console, line)
    submitted = open_executor(protocol.dispatch).describe_submission(paths)
    if submitted is not None:
        workers = "the only worker" if slots == 1 else f"each of the {slots} workers"
        print_text(console, f"submitted for {workers}, with sbatch:\n{submitted}")
    for line in (*map(printable, decided.notes), *describe_notes(plan, facts)):
        print_text(console, f"note: {line}")
    return EXIT_OK


def check_program(
    protocol: Protocol, plan: Plan, selftest: SelfTest, console: Console, *, store: str | None, slots: int
) -> int:
    """Run the self-test of a user's own program, and print what it has found and what the rest will take.

    Raises:
        NondetError: If it fails, or refuses the program.
    """
    paths = find_folder(protocol, store=store)
    told = Console(stderr=True, highlight=False)
    missing = [run for run in selftest.runs if read_result(paths.run(run)) is None]
    if missing and not is_supervised(paths):
        print_text(told, f"self-test: {plural(len(missing), 'run')} of the program, kept in {paths.folder}")
    if not is_supervised(paths):
        with preparing(protocol, plan, store=store):
            pass  # the study's folder is there now
    test = run_selftest(protocol, paths, selftest, tell=lambda text: print_text(told, f"self-test: {text}"))
    for line in describe_selftest(test):
        print_text(console, f"self-test: {printable(line)}")
    done = done_runs(paths, plan)
    results = [result for run in selftest.runs if (result := read_result(paths.run(run))) is not None]
    seconds = sum(result.seconds for result in results) / max(1, len(results)) * (len(plan.recipes) - len(done)) / slots
    for line in (*describe_comparing(protocol), *count_runs(plan, done)):
        print_text(console, line)
    print_text(console, f"about {format_seconds(seconds)} on {plural(slots, f'{plan.device} slot')}")
    for line in (*note_single_replicas(plan), *note_program(protocol)):
        print_text(console, f"note: {line}")
    if test.refusal is not None:
        raise StudyError(f"{paths.folder}: the self-test refuses the program: {test.refusal}")
    return EXIT_OK


def note_program(protocol: Protocol) -> list[str]:
    """Say which files of a program could be edited without a new run."""
    if protocol.command is None:
        return []
    names = find_uncovered(protocol.command, protocol.file)
    if not names:
        return []
    shown = printable(", ".join(names))
    return [f"command.files does not name {shown}: an edit would go unnoticed, and old results would be taken for new"]


def describe_code(protocol: Protocol) -> list[str]:
    """Return lines that name the files of the user's that will be imported, and the shell's lines of each job.

    It is written before that happens: the code of a module may take its time, or do anything.
    """
    if protocol.command is not None:
        words = printable(" ".join(protocol.command.run or ()))
        return [f"runs your program: {words}"]
    arms = [arm for arm in protocol.arms if arm.ensemble is None]
    targets = dict.fromkeys(part.target for arm in arms for part in (arm.data, arm.model) if part.target is not None)
    files = dict.fromkeys(_name_code(target, search_path(protocol)) for target in targets)
    lines = [f"runs code of {printable(', '.join(files))}, imported now; Ctrl-C ends it"] if files else []
    if protocol.dispatch.executor == "slurm" and protocol.dispatch.slurm.setup:
        lines.append(f"runs on the cluster: {printable('; '.join(protocol.dispatch.slurm.setup))}")
    return lines


def _name_code(target: str, folders: tuple[Path, ...]) -> str:
    """Return the file of a target's module, seen from the protocol's folder; its name where there is no file."""
    file = find_file(target, search_path=folders)
    if file is None:
        return target.partition(":")[0]
    return next((str(file.relative_to(folder)) for folder in folders if file.is_relative_to(folder)), str(file))


def _plan_table(plan: Plan, done: set[str], epochs: int | None) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in ("arm", "varies", "runs", "shared", "done", "epochs"):
        table.add_column(title, justify="left" if title in ("arm", "varies") else "right", overflow="fold")
    shared = plan.shared
    for arm in plan.arms:
        varies = " + ".join(arm.vary) or "nothing (control)"
        if arm.group > 1:
            varies = f"ensembles of {arm.group}, nothing to train"
        counts = (len(arm.runs), sum(r in shared for r in arm.runs), sum(r in done for r in arm.runs))
        trained = epochs or plan.recipes[arm.runs[0]].train.epochs
        table.add_row(*map(Text, (printable(arm.name), varies, *map(str, counts), str(trained))))
    return table


def describe_facts(facts: Sequence[ProbeFacts]) -> list[str]:
    """Return a line for each workload: what is trained on which data; where several read alike, of which arms."""
    kinds = Counter((fact.model, fact.data) for fact in facts)
    return [describe_workload(fact, named=kinds[fact.model, fact.data] > 1) for fact in facts]


def describe_workload(fact: ProbeFacts, *, named: bool) -> str:
    """Return the line of one workload: its model, its data and its speed; `named` has it name its arms."""
    speed = f"{fact.seconds_per_epoch or 0:.3g} s per epoch (timed)"
    if fact.pack_size is not None:
        speed = f"{fact.seconds_per_epoch or 0:.3g} s per epoch and replica in packs of {fact.pack_size} (timed)"
    rest = f" and {len(fact.arms) - NAMED} more" if len(fact.arms) > NAMED else ""
    arms = f" ({printable(', '.join(fact.arms[:NAMED]))}{rest})" if named else ""
    head = f"{fact.model} on {fact.data}{arms}: {fact.parameters:,} parameters, {fact.train_examples:,} training and"
    if not fact.input_shape:
        return f"{head} {fact.test_examples:,} test words, vocabulary of {fact.classes:,}, {speed}"
    shape = "x".join(map(str, fact.input_shape))
    return f"{head} {fact.test_examples:,} test examples of shape {shape}, {fact.classes} classes, {speed}"


DECIDED = "what it compares is decided: the replicas behind the pairs that count are not trained"


def describe_comparing(protocol: Protocol) -> list[str]:
    """Return the line that says until when pairs of replicas are trained; none where all are trained."""
    compare = protocol.compare
    if compare is None or not compare.until_decided:
        return []
    margin = "" if compare.margin is None else f" or found equal within {compare.margin:g}"
    names = f"{printable(compare.a)} and {printable(compare.b)}"
    return [f"in pairs, until {names} are told apart in {compare.measure}{margin}; what follows is the most"]


def describe_cost(plan: Plan, facts: Sequence[ProbeFacts], done: set[str], *, slots: int, kind: str) -> list[str]:
    """Return the lines that say how many runs there are, and how much time and disk the missing ones need."""
    left = plan.recipes.keys() - done
    seconds = sum(estimate_run_s(plan, fact, run) for fact in facts for run in fact.runs if run in left)
    disk = sum(estimate_run_bytes(plan, fact, run) for fact in facts for run in fact.runs if run in left)
    return [
        *count_runs(plan, done),
        f"about {format_seconds(seconds / slots)} on {plural(slots, f'{kind} slot')}, "
        f"about {format_bytes(disk)} on disk",
    ]


def count_runs(plan: Plan, done: set[str]) -> list[str]:
    """Return the line that says how many runs there are, are done, and are shared."""
    total, shared = len(plan.recipes), plan.shared
    missing = sum(run not in done for run in plan.recipes)
    sharing = f", {len(shared)} shared by up to {max(shared.values())} arms" if shared else ""
    return [f"{plural(total, 'run')}: {missing} to train, {len(done)} already done{sharing}"]


def describe_choices(plan: Plan, chosen: Chosen) -> list[str]:
    """Return a line for each setting that is auto: what was chosen, and what was measured for it."""
    lines: list[str] = []
    for key, packing in chosen.packings.items():
        names = ", ".join(printable(arm.name) for arm in plan.arms if plan.stackings[arm.name].pack_key == key)
        tried = ", ".join(f"{size}: {seconds:.3g} s" for size, seconds in packing.trials)
        if not names or not tried:
            continue
        took = "one by one" if packing.size == 1 else f"packs of {packing.size}"
        last = ", channels last" if packing.channels_last else ""
        room = "" if packing.too_large is None else f"; {packing.too_large} do not fit into memory"
        lines.append(f"pack = auto: {took}{last} for {names} (per epoch and replica, by size: {tried}{room})")
    limit = "" if chosen.slot_limit is None else f"; {printable(chosen.slot_limit)}"
    if chosen.slots_per_device is not None:
        tried = ", ".join(f"{slots}: {rate:.3g}" for slots, rate in chosen.slot_trials)
        lines.append(
            f"slots_per_device = auto: {chosen.slots_per_device} (epochs of a run per second, by slots: {tried}{limit})"
        )
    elif chosen.slot_limit is not None:
        lines.append(f"slots_per_device = auto: more than one could not be tried ({printable(chosen.slot_limit)})")
    return lines


def estimate_run_s(plan: Plan, fact: ProbeFacts, run: str) -> float:
    """Estimate the seconds that one run takes: its epochs, and where it has a process of its own, loading the data."""
    recipe = plan.recipes[run]
    load_s = fact.seconds_load / (fact.pack_size or 1) if recipe.runs_user_code else 0.0
    return recipe.train.epochs * (fact.seconds_per_epoch or 0.0) + load_s


def estimate_run_bytes(plan: Plan, fact: ProbeFacts, run: str) -> int:
    """Estimate the bytes that one run keeps: float32 weights and logits, a line per epoch, and small files."""
    # Of text, a word's number and a log-probability are kept, not a logit per word.
    values = fact.parameters + fact.test_examples * (fact.classes if fact.input_shape else 2)
    return 4 * values + BYTES_PER_EPOCH * plan.recipes[run].train.epochs + BYTES_PER_RUN


def note_single_replicas(plan: Plan) -> list[str]:
    """Say which arms have only one replica, of which no spread can be measured."""
    single = [printable(arm.name) for arm in plan.arms if len(arm.runs) == 1]
    if not single:
        return []
    rest = f" and {len(single) - NAMED} more" if len(single) > NAMED else ""
    have = "has one replica" if len(single) == 1 else "have one replica each"
    return [
        f"{', '.join(single[:NAMED])}{rest}: {have}, and a spread or a disagreement takes two: nothing but its figures "
        "can be shown; give protocol.replicas, or the arm's own replicas, 2 or more"
    ]


def note_batches(plan: Plan, facts: Sequence[ProbeFacts]) -> list[str]:
    """Say which workloads have minibatches larger than what they are trained on."""
    sizes = {
        (fact.model, plan.recipes[fact.runs[0]].train.batch_size, fact.train_examples)
        for fact in facts
        if fact.input_shape
    }
    return [
        f"{printable(model)}: train.batch_size = {size:,} is more than the {examples:,} training examples: an epoch is "
        "one step over all of them, so the order in which they are shuffled changes little more than rounding"
        for model, size, examples in sorted(sizes)
        if size > examples
    ]


def note_kernels(facts: Sequence[ProbeFacts]) -> list[str]:
    """Say in which networks free kernels gave the same bits every time."""
    return [
        f"{fact.model}: free kernels repeat bit for bit on this GPU, in {KERNEL_PROCESSES} processes: lowlevel is "
        "empty here"
        for fact in facts
        if fact.lowlevel_empty
    ]


def note_compiling(facts: Sequence[ProbeFacts]) -> list[str]:
    """Say for which networks kernels are compiled, and what that took."""
    return [
        f"{printable(fact.model)}: torch.compile took {fact.seconds_compile:.0f} s; every process that trains takes "
        "about as long before its first epoch ends, and less where the kernels were kept"
        for fact in facts
        if fact.seconds_compile is not None
    ]


def describe_notes(plan: Plan, facts: Sequence[ProbeFacts]) -> list[str]:
    """Return notes on sources that change nothing, on arms trained one by one, and on the trials of packs."""
    notes = [f"{printable(arm.name)}: {printable(reason)}" for arm in plan.arms for reason in arm.empty.values()]
    notes += [
        f"{printable(arm.name)}: not isolated, which the protocol allows: {printable(arm.unisolated)}"
        for arm in plan.arms
        if arm.unisolated is not None
    ]
    notes += [*note_single_replicas(plan), *note_batches(plan, facts)]
    alone = [(name, stacking.alone) for name, stacking in plan.stackings.items() if stacking.alone]
    notes += [f"{printable(name)}: trained one by one: {printable(reason)}" for name, reason in alone]
    for fact in facts:
        if fact.slot_invariant is False:
            notes.append(f"{fact.model}: in packs of {fact.pack_size} a run's bits depend on its slot (tested)")
        elif fact.size_invariant is not None:
            same = "are the same" if fact.size_invariant else "differ from those"
            notes.append(
                f"{fact.model}: packs of {fact.pack_size} keep a run's bits in every slot (tested); they {same} "
                f"{'as ' if fact.size_invariant else ''}in packs of one"
            )
        arms = [arm for arm in plan.arms if arm.name in fact.arms]
        if not fact.stochastic and any("stochastic" in arm.vary and "stochastic" not in arm.empty for arm in arms):
            notes.append(f"{fact.model} draws nothing while it is trained: stochastic varies nothing in it")
        if fact.probabilities:
            notes.append(
                f"{fact.model} returns probabilities, and logits are expected: the loss takes a softmax of its own, so "
                "leave the last one out"
            )
    return notes + note_compiling(facts) + note_kernels(facts)
