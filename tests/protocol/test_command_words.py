"""A command line as somebody types it becomes a [command], with a placeholder for what looks like a seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.protocol.command_words import ask_for_help, join_words, list_offered, propose, split_words
from engine.protocol.load import parse_protocol

TRAINER = """
usage: run_glue.py [-h] --model_name_or_path MODEL_NAME_OR_PATH [--output_dir OUTPUT_DIR] [--do_train [DO_TRAIN]]
  --num_train_epochs NUM_TRAIN_EPOCHS, --num-train-epochs NUM_TRAIN_EPOCHS
                        Total number of training epochs to perform. (default: 3.0)
  --seed SEED           Random seed that will be set at the beginning of training. (default: 42)
  --data_seed DATA_SEED, --data-seed DATA_SEED
                        Random seed to be used with data samplers. (default: None)
  --full_determinism    Whether to call enable_full_determinism instead of set_seed, ignoring --seed
  --resume_from_checkpoint RESUME_FROM_CHECKPOINT
"""
"""Some lines of what a script of Hugging Face's Trainer says on --help."""


@pytest.mark.parametrize(
    ("line", "run", "found"),
    [
        ("python train.py --seed 3", "{python} train.py --seed {seed}", {"seed": "--seed"}),
        ("python3.11 t.py --seed=3 --lr=.1", "{python} t.py --seed={seed} --lr=.1", {"seed": "--seed"}),
        (
            "/env/bin/python -m pkg.train --seed 1 --data_seed 2 --output_dir runs/1",
            "{python} -m pkg.train --seed {seed.init} --data_seed {seed.shuffle} --output_dir {out}",
            {"init": "--seed", "shuffle": "--data_seed"},
        ),
        ("./fit --random-state 0", "./fit --random-state {seed}", {"seed": "--random-state"}),
        (
            "python main.py trainer.seed=1 +data.seed=2 hydra.run.dir=x",
            "{python} main.py trainer.seed={seed} +data.seed=2 hydra.run.dir=x",
            {"seed": "trainer.seed"},
        ),
        (
            "python t.py --init-seed 1 --aug_seed 2 --dropout-seed 3 --split_seed 4",
            "{python} t.py --init-seed {seed.init} --aug_seed {seed.augment} --dropout-seed {seed.stochastic} "
            "--split_seed {seed.split}",
            {"init": "--init-seed", "augment": "--aug_seed", "stochastic": "--dropout-seed", "split": "--split_seed"},
        ),
        ("python t.py --seeded_start 1 --proceed yes", "{python} t.py --seeded_start 1 --proceed yes", {}),
        ("python t.py --log-level debug --save 1", "{python} t.py --log-level debug --save 1", {}),
        ("python t.py --seed {seed.init}", "{python} t.py --seed {seed}", {"seed": "--seed"}),
    ],
)
def test_seeds_of_a_command_line_become_sources(line: str, run: str, found: dict[str, str], tmp_path: Path) -> None:
    proposal = propose(split_words(line), folder=tmp_path)
    assert join_words(proposal.run) == run
    assert tuple(split_words(join_words(proposal.run))) == proposal.run
    assert proposal.found == found


def test_help_adds_what_the_command_line_does_not_name(tmp_path: Path) -> None:
    (tmp_path / "run_glue.py").touch()
    proposal = propose(
        split_words("python run_glue.py --num_train_epochs 3 --seed 5"), folder=tmp_path, offered=TRAINER
    )
    assert proposal.run == (
        *("{python}", "run_glue.py", "--num_train_epochs", "3", "--seed", "{seed.init}"),
        *("--data_seed", "{seed.shuffle}", "--output_dir", "{out}"),
    )
    assert (proposal.epochs, proposal.files, proposal.python) == (3, ("run_glue.py",), "python")
    assert proposal.resume == ("--resume_from_checkpoint", "{checkpoint}")
    assert "--full_determinism" not in list_offered(TRAINER)  # it takes no value
    assert list_offered(TRAINER).count("--data_seed") == 1


def test_proposal_is_a_protocol_that_can_be_read(tmp_path: Path) -> None:
    proposal = propose(split_words("python t.py --seed 1 --split_seed 2"), folder=tmp_path)
    words = ", ".join(f'"{word}"' for word in proposal.run)
    sources = "\n".join(f'{name} = "{title}"' for name, title in proposal.titles.items())
    arms = "".join(f'[[arm]]\nname = "{name}"\nvary = ["{name}"]\n' for name in proposal.found)
    text = f'[protocol]\nname = "p"\nreplicas = 2\n[command]\nrun = [{words}]\n[sources]\n{sources}\n{arms}'
    protocol = parse_protocol(text, file="p.toml")
    assert [arm.vary for arm in protocol.arms] == [("init",), ("split",)]
    assert protocol.sources == {"split": "What --split_seed decides"}


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("python train.py --seed 1", "python train.py --help"),
        ("torchrun --nproc_per_node 1 train.py --seed 1", "torchrun --nproc_per_node 1 train.py --help"),
        ("python -m pkg.train --seed 1", "python -m pkg.train --help"),
        ("./fit --seed 1", "./fit --help"),
    ],
)
def test_help_is_asked_of_the_program_without_its_arguments(line: str, asked: str) -> None:
    assert ask_for_help(split_words(line)) == split_words(asked)
