"""[command]: placeholders, own sources and arguments, and the faults of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.dispatch.launch import plan_protocol
from engine.plan.plan import Plan, make_plan
from engine.protocol.faults import ProtocolError
from engine.protocol.load import load_protocol, parse_protocol

TEXT = """
[protocol]
name = "own"
replicas = 3

[command]
run = ["{python}", "train.py", "--seed", "{seed.init}", "--order={seed.shuffle}", "--lr", "{arm.lr}", "{out}"]
environment = { LOADER_SEED = "{seed.dataloader}" }

[sources]
dataloader = "Workers of the data loader"

[seeds]
init = 7
dataloader = 4

[[arm]]
name = "Control"
vary = []
arguments = { lr = 0.3 }
[[arm]]
name = "Init"
vary = ["init"]
arguments = { lr = 0.3 }
[[arm]]
name = "Loader"
vary = ["dataloader"]
arguments = { lr = 0.1 }
"""


def find_faults(text: str) -> str:
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(text, file="own.toml")
    return str(caught.value)


def plan(text: str = TEXT, *, files: str | None = None) -> Plan:
    return make_plan(parse_protocol(text, file="own.toml"), device="cpu", files_sha256=files)


def seeds_of(made: Plan, run: str) -> dict[str, int]:
    command = made.recipes[run].command
    assert command is not None
    return dict(command.seeds)


def test_sources_vary_by_replica_and_hold_their_base_seeds() -> None:
    made = plan()
    control, init, loader = made.arms
    assert [seeds_of(made, run) for run in init.runs] == [{"init": i, "shuffle": 1, "dataloader": 4} for i in (1, 2, 3)]
    assert [seeds_of(made, run)["dataloader"] for run in loader.runs] == [1, 2, 3]
    assert {tuple(seeds_of(made, run).items()) for run in control.runs} == {
        (("dataloader", 4), ("init", 7), ("shuffle", 1))
    }
    assert len(set(control.runs)) == 3  # a control's replicas are never shared


def test_first_runs_test_the_program_one_source_at_a_time() -> None:
    made = plan()
    test = made.selftest
    assert test is not None
    assert list(made.recipes)[: len(test.runs)] == list(test.runs)
    assert test.control == made.arms[0].runs[:2]
    for source, (base, other) in test.sources.items():
        before, after = seeds_of(made, base), seeds_of(made, other)
        assert [name for name in before if before[name] != after[name]] == [source]
        assert made.recipes[base].command.arguments == made.recipes[other].command.arguments  # pyright: ignore[reportOptionalMemberAccess]
    assert made.arms[0].runs[0] == test.sources["init"][0]


def test_few_figures_may_agree_by_chance_so_more_seeds_are_tried() -> None:
    test = plan(TEXT.replace("[sources]", 'kind = "scores"\n[sources]')).selftest
    assert test is not None
    assert [len(runs) for runs in test.sources.values()] == [4, 4]


def test_files_and_settings_of_a_program_are_part_of_a_runs_id_and_paths_are_not(tmp_path: Path) -> None:
    script, file = tmp_path / "train.py", tmp_path / "own.toml"
    ids: list[list[str]] = []
    for content, python in (("print(1)", "python3"), ("print(1)", "python"), ("print(2)", "python3")):
        script.write_text(content)
        file.write_text(TEXT.replace("[sources]", f'files = ["*.py"]\npython = "{python}"\n[sources]'))
        ids.append(list(plan_protocol(load_protocol(file)).recipes))
    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (('["init"]', '["shufle"]'), "did you mean shuffle?"),
        (('["init"]', '["augment"]'), "its placeholder {seed.augment} stands nowhere in command.run (line 7)"),
        (('["init"]', '["seed"]'), "its placeholder {seed} stands nowhere"),
        (("{seed.init}", "{seed.int}"), "no source is named int (line 7)"),
        (("{out}", "{output}"), "holds {output}, which is no placeholder (line 7)"),
        (("{out}", "{checkpoint}"), "move it to resume"),
        (("lr = 0.1", "rate = 0.1"), 'arm[3].arguments (arm "Loader"): has no lr'),
        (("lr = 0.1", "lr = 0.1, batch = 3"), 'arm[3].arguments.batch (arm "Loader") = 3: stands nowhere'),
        (("vary = []", "vary = []\nonset = 3"), "arm[1].onset"),
        (("vary = []", "vary = []\ntrain = { lr = 1.0 }"), "arm[1].train"),
        (("[sources]", "[train]\nepochs = 3\n[sources]"), "train: stands beside [command]"),
        (("[sources]", "[metrics]\ncka = true\n[sources]"), "metrics.cka = true: looks at weights"),
        (("[sources]", "[metrics]\nsketches = 2\n[sources]"), "metrics.sketches = 2: looks at weights"),
        (("[sources]", 'kind = "logit"\n[sources]'), "did you mean logits?"),
        (("[sources]", "resume = ['--go-on']\n[sources]"), "names no {checkpoint}"),
        (("[sources]", "environmnt = {}\n[sources]"), "did you mean environment?"),
        (("[sources]", 'predictions = "../p.npy"\n[sources]'), "must be the name of a file in {out}"),
        (('dataloader = "', 'data-loader = "'), "is no name of a source"),
        (("dataloader = 4", "dataloader = -4"), "seeds.dataloader = -4: must be a whole number"),
        (("dataloader = 4", "other = 4"), "seeds.other = 4: is no source of this file"),
        (('run = ["{python}", "train.py"', 'run = ["", "train.py"'), "must be a list of 1 to 200 words"),
    ],
)  # fmt: skip
def test_fault_names_what_is_wrong(changes: tuple[str, str], told: str) -> None:
    text = TEXT.replace(*changes)
    assert text != TEXT
    assert told in find_faults(text)


def test_only_outputs_for_every_class_are_averaged_or_crossed() -> None:
    ensemble = '[[arm]]\nname = "E"\nensemble = { of = "Init", size = 2 }\n'
    crossed = '[[arm]]\nname = "X"\ncrossed = { init = 2, shuffle = 2 }\narguments = { lr = 0.3 }\n'
    assert len(plan(TEXT + ensemble + crossed).arms[-1].runs) == 4
    faults = find_faults(TEXT.replace("[sources]", 'kind = "classes"\n[sources]') + ensemble + crossed)
    assert "arm[4].ensemble" in faults
    assert "arm[5].crossed" in faults


def test_words_of_a_command_mean_nothing_elsewhere() -> None:
    text = '[protocol]\nname = "x"\n[data]\npreset = "digits"\n[model]\npreset = "linear"\n'
    arm = '[[arm]]\nname = "a"\nvary = ["init"]\n'
    assert "arm[1].arguments" in find_faults(text + arm + "arguments = { lr = 0.3 }\n")
    assert "sources: belongs to a [command]" in find_faults(text + '[sources]\na = "A"\n' + arm)


def test_what_the_program_needs_is_looked_for_before_it_is_started(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    for setting, told in (
        ('files = ["train.py"]', "command.files[1] = train.py: matches no file"),
        ('folder = "there"', "command.folder"),
        ('python = "venv/bin/python"', "is no program that can be run"),
    ):
        file.write_text(TEXT.replace("[sources]", f"{setting}\n[sources]"))
        with pytest.raises(ProtocolError) as caught:
            plan_protocol(load_protocol(file))
        assert told in str(caught.value)
