"""A worker that claims runs as a real one does, and rests where that one trains: what is left is the cost of claiming.

    python -m tests.helpers.quick_worker STUDY SLOT SESSION SECONDS

Writes the seconds of its claims, those of the processor and all, to a file of its own in the study's folder of jobs.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from engine.dispatch.queue import RunQueue, Taken
from engine.study.control import read_control
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.study_plan import read_plan
from tests.helpers.large_store import make_logits, to_bytes
from tests.helpers.records import make_attempt, make_result


def main() -> None:
    paths, (slot, session), rest_s = StudyPaths(Path(sys.argv[1])), sys.argv[2:4], float(sys.argv[4])
    labels = np.load(paths.labels)
    digest = hashlib.sha256(paths.labels.read_bytes()).hexdigest()
    queue, claims = RunQueue(paths, session), list[tuple[float, float]]()
    while True:
        began = time.process_time(), time.perf_counter()
        plan, record = read_plan(paths), make_attempt(session=session, slot=slot)
        taken = queue.claim_next(plan, control=read_control(paths), record=record)
        claims.append((time.process_time() - began[0], time.perf_counter() - began[1]))
        if not isinstance(taken, Taken):
            break
        content = to_bytes(make_logits(labels, seed=int(taken.run_id, 16)))
        time.sleep(rest_s)
        run = paths.run(taken.run_id)
        run.predictions.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        result = make_result(
            run=taken.run_id, epochs=1, predictions_sha256=sha256, weights_sha256=sha256, labels_sha256=digest
        )
        write_record(run.result, result)
    (paths.jobs / f"claims-{os.getpid()}.json").write_text(json.dumps(claims))


if __name__ == "__main__":
    main()
