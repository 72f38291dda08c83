"""`make bench-gpu`, or `python tests/benchmarks/gpu.py`: what one CUDA GPU makes of a row of Table 1, in ten minutes.

It needs this source tree, Python 3.11 and torch 2.11 or newer, numpy and safetensors; no network, no pip, and no other
package. Each part is a process of its own with its share of the time: one that crashes, hangs or runs out of memory
takes no other with it, and what it had measured is kept. What was left out is said.

One JSON file is written, named after the card, into tests/benchmarks/results, and one table to standard output.

    --rehearse     all of it on a CPU, on little data, to see that it works: its figures mean nothing
    --out FILE     where the JSON goes
    --minutes M    how long it may take; 9.5 without
    --parts A,B    only some parts
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

LEAST_S = 8.0
"""Less time than this is not worth a part."""

REHEARSAL_S = 240.0
"""How long a rehearsal may take: many share a slow machine."""


@dataclass(frozen=True)
class Part:
    """Something to measure, in a process of its own."""

    name: str
    share: float
    """Of the time: in seconds of ten minutes."""


PARTS = (
    Part("card", 25),
    Part("fp32", 65),
    Part("tf32", 50),
    Part("bf16", 50),
    Part("determinism", 55),
    Part("resume", 60),
    Part("kernels-1", 15),
    Part("kernels-2", 15),
    Part("kernels-3", 15),
    Part("packs", 80),
    Part("compiled", 125),
)
"""In order of what they tell: time that runs out is missing at the end."""

Record = dict[str, Any]


def read_lines(pipe: IO[str], lines: list[Record]) -> None:
    """Collect what a part has measured, line by line, until it ends."""
    for line in pipe:
        try:
            lines.append(json.loads(line))
        except ValueError:
            print(f"    not understood: {line.rstrip()}", file=sys.stderr)


def run_part(command: list[str], limit_s: float) -> tuple[list[Record], str | None]:
    """Run the process of some parts.

    Args:
        command: Prints a record in JSON on each line.
        limit_s: When it is killed, with all that it started.

    Returns:
        Its records, and what went wrong.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None, "it was started with pipes"
    assert process.stderr is not None, "it was started with pipes"
    records: list[Record] = []
    errors: list[str] = []
    threads = [
        threading.Thread(target=read_lines, args=(process.stdout, records), daemon=True),
        threading.Thread(target=errors.extend, args=(process.stderr,), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        process.wait(limit_s)
        timed_out = False
    except subprocess.TimeoutExpired:
        timed_out = True
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # and what it had started
    status = process.wait()
    for thread, pipe in zip(threads, (process.stdout, process.stderr), strict=True):
        thread.join(5.0)  # what had left the group may hold the pipe for ever
        if not thread.is_alive():
            pipe.close()
    if timed_out:
        return records, f"was ended after its {limit_s:.0f} s"
    last = next((line.strip() for line in reversed(errors) if line.strip()), "")
    return records, None if status == 0 else f"ended with status {status}: {last}"


def run_all(parts: list[Part], command: list[str], budget_s: float) -> Record:
    """Run parts one after the other, each with its share of what is left of the time.

    Args:
        parts: In order.
        command: Measures the part whose name is added to it.
        budget_s: For all of them.
    """
    ends = time.monotonic() + budget_s
    found: Record = {"records": [], "left_out": {}}
    for number, part in enumerate(parts):
        left_s = ends - time.monotonic()
        limit_s = left_s * part.share / sum(other.share for other in parts[number:])
        if limit_s < min(LEAST_S, budget_s):
            found["left_out"][part.name] = f"no time was left: {limit_s:.0f} s"
            continue
        print(f"{part.name}: up to {limit_s:.0f} s", file=sys.stderr, flush=True)
        records, problem = run_part([*command, part.name], limit_s)
        found["records"] += [{"part": part.name, **record} for record in records]
        if problem is not None:
            found["left_out"][part.name] = problem
            print(f"    {problem}", file=sys.stderr, flush=True)
    return found


def prepare_path() -> None:
    """Let this process and those that it starts find the project, and something in the place of msgspec if need be."""
    folders = [str(ROOT), str(HERE)]
    try:
        import msgspec  # noqa: F401, PLC0415 - only looked for
    except ImportError:
        sys.modules.pop("msgspec", None)
        folders.insert(0, str(HERE / "stand_in"))
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with little data")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    parser.add_argument("--minutes", type=float, default=9.5, help="how long it may take")
    parser.add_argument("--parts", default=",".join(part.name for part in PARTS), help="only some parts")
    options = parser.parse_args(arguments)
    unknown = set(options.parts.split(",")) - {part.name for part in PARTS}
    if unknown:
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in PARTS)}")
    return options


def choose_file(found: Record) -> Path:
    """The file of a card's results."""
    card = next((record for record in found["records"] if record.get("kind") == "card"), {"name": "unknown-card"})
    return HERE / "results" / f"{'-'.join(card['name'].lower().split())}.json"


def main() -> int:
    options = parse(sys.argv[1:])
    prepare_path()
    try:
        from gpu_parts import find_obstacle  # noqa: PLC0415 - the path is there now
        from gpu_table import write_table  # noqa: PLC0415
    except ImportError as error:
        print(f"make bench-gpu: needs {error.name}: put a copy on PYTHONPATH ({error})", file=sys.stderr)
        return 2
    obstacle = find_obstacle(rehearse=options.rehearse)
    if obstacle is not None:
        print(f"make bench-gpu: {obstacle}", file=sys.stderr)
        return 2
    wanted = options.parts.split(",")
    parts = [part for part in PARTS if part.name in wanted]
    command = [sys.executable, str(HERE / "gpu_parts.py")]
    started = time.time()
    if options.rehearse:  # all parts in one process: importing torch takes longer than all that they do
        names = Part(",".join(part.name for part in parts), 1)
        found = run_all([names], [*command, "--rehearse"], REHEARSAL_S)
    else:
        found = run_all(parts, command, 60 * options.minutes)
    found = {"rehearsal": options.rehearse, "seconds": round(time.time() - started, 1), **found}
    out = options.out or (None if options.rehearse else choose_file(found))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1) + "\n")
    print(write_table(found))
    print("" if out is None else f"all figures: {out}")
    return 1 if found["left_out"] else 0


if __name__ == "__main__":
    sys.exit(main())
