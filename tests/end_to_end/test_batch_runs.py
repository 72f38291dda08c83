"""--batch in real processes: the table, exit codes, Ctrl-C, more replicas, targets that do not work."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from engine.dispatch.leases import Holder, Lease
from tests.helpers.real_study import HEAD, Study, finish, protocol_text, wait_for

pytestmark = pytest.mark.slow


def test_study_ends_with_a_true_table(trained: Study) -> None:
    done = trained.run()
    assert done.returncode == 0
    assert "all 11 runs are already done" in done.stderr
    assert "Control: 3 replicas with identical weights" in done.stdout
    assert not any(ord(char) == 27 for char in done.stdout + done.stderr), "piped output has no colour"
    control, init, shuffle, bit = trained.metrics()
    zeros = ("accuracy_sd", "cross_entropy_sd", "disagreement", "ensemble_delta", "ensemble_cross_entropy_delta")
    assert [control[name] for name in zeros] == [0.0] * 5
    assert control["correlation"] == 1.0
    assert control["identical_weights"] is True
    assert all(arm["identical_weights"] is False and arm["n"] == 3 for arm in (init, shuffle, bit))
    assert set(trained.attempts().values()) == {1}


def test_json_is_metrics_json_and_nothing_else(trained: Study) -> None:
    done = trained.run("--json")
    assert json.loads(done.stdout) == trained.read("metrics.json")


def test_raised_replicas_train_only_what_is_missing(trained: Study) -> None:
    before = trained.results()
    done = trained.run("--replicas", "4", "--json")
    assert done.returncode == 0
    assert "15 runs, 11 of them already done" in done.stderr
    assert [arm["n"] for arm in json.loads(done.stdout)["arms"]] == [4, 4, 4, 4]
    assert trained.results().items() >= before.items()
    assert set(trained.attempts().values()) == {1}


LONG = HEAD.replace("epochs = 4", "epochs = 40")
"""Seconds of training, of which the first epoch is waited for."""


def test_interrupt_stops_and_the_same_command_continues(study: Study) -> None:
    study.file.write_text(protocol_text("Init", head=LONG))
    process = study.start("--replicas", "2")
    wait_for(lambda: any(path.stat().st_size for path in study.folder.glob("runs/*/attempts/01/epochs.jsonl")))
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out) == (130, "")
    assert "stopping; Ctrl-C again leaves it running" in err
    assert "is stopped" in err
    assert study.supervisor() is None
    assert study.workers() == []
    done = study.run("--replicas", "2")
    assert done.returncode == 0, done.stderr
    assert "going on from the end of epoch" in "".join(
        p.read_text() for p in study.folder.glob("runs/*/attempts/02/log.txt")
    )


def test_second_interrupt_leaves_it_running(study: Study) -> None:
    study.file.write_text(protocol_text("Init", head=LONG))
    process = study.start("--replicas", "2")
    wait_for(lambda: any(path.stat().st_size for path in study.folder.glob("runs/*/attempts/01/epochs.jsonl")))
    # Two signals in one moment count as one: press until the program has understood it twice.
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    code, _, err = finish(process)
    assert code == 130
    assert "left running in the background" in err
    wait_for(lambda: len(study.results()) == 2)
    assert study.run("--replicas", "2").returncode == 0


FAULTY = {
    "nowhere_at_all:build": "does not import",
    "faulty:nothing": "must return a torch.nn.Module",
    "faulty:narrow": "logits of shape",
    "faulty:fragile": "only evaluates",
}
"""What is said of a target that does not work."""

MODULE = """
from torch import nn
def nothing(input_shape, classes): return None
def narrow(input_shape, classes): return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
class Fragile(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 10)
    def forward(self, x):
        if self.training: raise RuntimeError("only evaluates")
        return self.fc(x.flatten(1))
def fragile(input_shape, classes): return Fragile()
"""


def test_targets_that_do_not_work_are_faults_before_anything_is_written(study: Study) -> None:
    """One arm for each: all of them are told at once."""
    (study.file.parent / "faulty.py").write_text(MODULE)
    arms = "".join(f'[[arm]]\nname = "{one}"\nvary = ["init"]\nmodel = {{ target = "{one}" }}\n' for one in FAULTY)
    study.file.write_text(protocol_text("Init").replace('preset = "resnet6"\nwidth = 0.25', 'preset = "linear"') + arms)
    done = study.run()
    assert done.returncode == 2
    for target, said in FAULTY.items():
        (line,) = (line for line in done.stderr.splitlines() if said in line)
        assert line.startswith(f'  model.target = "{target}": '), line
    assert "Traceback" not in done.stderr
    assert not study.store.exists()


def test_run_that_fails_in_training_is_one_failed_run(study: Study) -> None:
    """A user's module that fails for one seed: the others are trained, the failure is told, exit code 1."""
    module = MODULE + (
        "import torch\n"
        "def unlucky(input_shape, classes):\n"
        "    if torch.initial_seed() == 2: raise ValueError('[red]unlucky[/red]')\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    (study.file.parent / "faulty.py").write_text(module)
    text = protocol_text("Init").replace('preset = "resnet6"\nwidth = 0.25', 'target = "faulty:unlucky"')
    study.file.write_text(text)
    done = study.run()
    assert done.returncode == 1
    assert "[red]unlucky[/red]" in done.stderr
    assert "2 of 3" in done.stdout
    assert sorted(study.attempts().values()) == [1, 1, 1], "a fault is not tried again"
    assert study.run("--json").returncode == 1


def test_two_studies_on_one_machine_take_turns(study: Study, tmp_path: Path) -> None:
    """Slots are leased: a slot that another study holds is waited for, and told."""
    leases = [Lease(key) for key in ("cpu-0", "cpu-1")]
    assert all(lease.acquire(Holder(study="another", pid=1)) for lease in leases)
    study.file.write_text(protocol_text("Init"))
    process = study.start()
    wait_for(lambda: "another" in (study.folder / "supervisor.json").read_text() if study.supervisor() else False)
    assert study.results() == {}
    for lease in leases:
        lease.release()
    code, _, err = finish(process)
    assert code == 0, err
    assert len(study.results()) == 3


def test_second_command_follows_the_same_supervisor(study: Study) -> None:
    study.file.write_text(protocol_text("Init", "Bit"))
    one = study.start()
    wait_for(study.supervisor)
    pid = study.supervisor()
    other = study.start()
    wait_for(lambda: len(study.results()) == 6)
    assert (study.read("supervisor.json") or {})["owner"]["pid"] == pid
    assert [finish(process)[0] for process in (one, other)] == [0, 0]
    assert set(study.attempts().values()) == {1}


def start_with_epochs(study: Study, epochs: int) -> subprocess.Popen[str]:
    """Start a command that asks for a study of the same name, trained for so many epochs."""
    return study.start("--json", "--replicas", "1", "--set", f"train.epochs={epochs}", "--set", "train.warmup_epochs=0")


def require_results_of(study: Study, out: str, epochs: int) -> None:
    """Require that what a command printed is of runs of so many epochs, which both plans name alike otherwise."""
    (run,) = json.loads(out)["arms"][0]["runs_used"]
    spec = json.loads((study.folder / "runs" / run / "spec.json").read_text())
    assert spec["recipe"]["train"]["epochs"] == epochs


def test_protocol_of_the_same_name_is_refused_while_another_is_trained(study: Study) -> None:
    """As in `for e in 400 3; do ... --set train.epochs=$e & done`."""
    study.file.write_text(protocol_text("Init"))
    first = start_with_epochs(study, 400)
    wait_for(study.supervisor)
    code, out, err = finish(start_with_epochs(study, 3))
    assert first.poll() is None, "it was trained all the while"
    assert (code, out) == (2, "")
    assert "is being trained with another plan right now" in err
    code, out, err = finish(first)
    assert code == 0, err
    require_results_of(study, out, 400)


def test_command_that_was_held_shows_no_results_of_the_plan_that_replaced_its_own(study: Study) -> None:
    """Its study is trained and measured while it stands still, and then replaced by one of the same name."""
    study.file.write_text(protocol_text("Init"))
    held = start_with_epochs(study, 300)
    wait_for(lambda: any(study.folder.glob("runs/*/attempts/*/epochs.jsonl")))  # the command only watches by now
    held.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: not study.supervisor())
        assert len(study.results()) == 1
        code, out, err = finish(start_with_epochs(study, 3))
        assert code == 0, err
        require_results_of(study, out, 3)
    finally:
        held.send_signal(signal.SIGCONT)
    code, out, err = finish(held)
    assert (code, out) == (2, "")
    assert "has given this study another plan meanwhile" in err


def test_damaged_files_of_finished_runs_are_named_and_trained_again(trained: Study) -> None:
    """One changed byte costs one run, which the same command trains again to the same bits."""
    before = trained.digests()
    one = trained.read("plan.json")["arms"][1]["runs"][2]
    flip_byte(trained.folder / "runs" / one / "predictions.npy")
    done = trained.run_command("report", str(trained.folder))
    assert f"run {one}: predictions.npy is damaged" in done.stdout
    assert "2 of 3" in done.stdout
    assert "failed" in trained.run_command("status", str(trained.folder)).stdout
    again = trained.run()
    assert (again.returncode, trained.digests()) == (0, before), again.stderr
    assert trained.attempts()[one] == 2
    flip_byte(trained.folder / "runs" / one / "predictions.npy")
    again = trained.run()
    assert "are trained again: Init, replica 3" in again.stderr
    assert f", run {one}" in again.stderr
    assert (again.returncode, trained.digests()) == (0, before), again.stderr


def flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x80
    path.write_bytes(content)
