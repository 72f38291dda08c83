"""A protocol is data: reading, listing and planning one runs no code, and it says whose code training may run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from engine.dispatch.launch import plan_protocol, prepare_study
from engine.protocol.faults import ProtocolError
from engine.protocol.load import load_protocol, parse_protocol
from engine.study.paths import StudyPaths
from engine.study.study_plan import read_plan
from tui import cli
from tui.app.listed_files import find_protocols

HEAD = '[protocol]\nname = "x"\nreplicas = 2\n[data]\npreset = "digits"\n'
ARM = '[[arm]]\nname = "a"\nvary = ["shuffle"]\n'
LEAVES_A_TRACE = "import os\nopen(os.environ['TRACE'], 'w').close()\ndef build(**_): pass\ndef load(root): pass\n"


def find_faults(text: str, folder: Path) -> dict[str, str]:
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(text, file=str(folder / "x.toml"))
    message = str(caught.value)
    assert "\n    -> " in message
    return {fault.key: fault.format() for fault in caught.value.faults}


def test_target_from_elsewhere_is_a_fault_of_its_key(tmp_path: Path) -> None:
    own = 'model = { target = "os:system" }\n'
    text = HEAD + '[model]\ntarget = "torch.hub:load"\n' + ARM + ARM.replace('"a"', '"b"') + own
    faults = find_faults(text, tmp_path)
    assert set(faults) == {"model.target", "arm[2].model.target"}
    said = faults["model.target"]
    assert 'model.target = "torch.hub:load": is not beside the protocol' in said
    assert f"a module in {tmp_path}" in said
    assert '[trust] with modules = ["torch.hub"]' in said
    text = text.replace('preset = "digits"', 'target = "json:load"')
    assert set(find_faults(text, tmp_path)) == {"data.target", "model.target", "arm[2].model.target"}


def test_trusted_module_is_no_fault_and_an_unused_target_neither(tmp_path: Path) -> None:
    text = HEAD + '[model]\ntarget = "torch.hub:load"\n' + ARM
    trusted = parse_protocol(text + '[trust]\nmodules = ["torch"]\n', file=str(tmp_path / "x.toml"))
    assert trusted.trusted == ("torch",)
    text = text.replace(ARM, ARM + 'model = { preset = "linear" }\n')
    assert parse_protocol(text, file=str(tmp_path / "x.toml")).trusted == ()


@pytest.mark.parametrize("modules", ['"torch"', "[1]", '["a:b"]', '["a", "a"]', '["../a"]', '["a."]', '["\\u001b"]'])
def test_what_is_trusted_are_names_of_modules(modules: str, tmp_path: Path) -> None:
    text = f'{HEAD}[model]\npreset = "linear"\n[trust]\nmodules = {modules}\n{ARM}'
    assert "different names of modules" in find_faults(text, tmp_path)["trust.modules"]


def write_protocol(folder: Path, *, trust: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "trace_nets.py").write_text(LEAVES_A_TRACE)
    path = folder / "x.toml"
    text = HEAD.replace('preset = "digits"', 'target = "trace_nets:load"')
    path.write_text(f'{text}[model]\ntarget = "trace_nets:build"\n{trust}{ARM}')
    return path


def test_protocol_that_is_reached_through_a_link_has_the_folder_of_its_file(tmp_path: Path) -> None:
    path = write_protocol(tmp_path / "here")
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "x.toml"
    link.symlink_to(path)
    for way in (link, tmp_path / "elsewhere" / ".." / "here" / "x.toml"):
        assert load_protocol(way).arms[0].model.target == "trace_nets:build"
    (path.parent / "trace_nets.py").rename(tmp_path / "elsewhere" / "trace_nets.py")
    (path.parent / "trace_nets.py").symlink_to("../elsewhere/trace_nets.py")
    with pytest.raises(ProtocolError, match="is a link to"):
        load_protocol(link)


@pytest.mark.slow
def test_reading_listing_and_planning_run_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    path = write_protocol(tmp_path / "here")
    monkeypatch.chdir(path.parent)
    assert [entry.name for entry in find_protocols(path.parent, []) if entry.group == "yours"] == ["x"]
    protocol = load_protocol(path)
    paths = prepare_study(protocol, plan_protocol(protocol), store=None)
    for arguments in (["ls"], ["status", "x"], ["keys"], ["locate"], ["completion", "bash"]):
        assert cli.main(arguments) == 0
    assert cli.main(["report", str(paths.folder)]) == 0
    capsys.readouterr()
    assert not (tmp_path / "trace").exists()


def test_check_names_the_code_before_it_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    told: list[str] = []

    def stop(*_: object, **__: object) -> None:
        told.append(capsys.readouterr().err)
        raise KeyboardInterrupt

    monkeypatch.setattr("tui.commands.check.decide", stop)
    assert cli.main(["check", str(write_protocol(tmp_path / "here"))]) == 130
    assert told == ["runs code of trace_nets.py, imported now; Ctrl-C ends it\n"]
    assert not (tmp_path / "trace").exists()


@pytest.mark.slow
def test_trust_changes_no_run_and_is_kept_with_the_study(tmp_path: Path) -> None:
    plain = load_protocol(write_protocol(tmp_path / "here"))
    plan = plan_protocol(plain)
    trusting = load_protocol(write_protocol(tmp_path / "here", trust='[trust]\nmodules = ["timm"]\n'))
    assert list(plan_protocol(trusting).recipes) == list(plan.recipes)
    paths = prepare_study(plain, plan, store=None)
    assert "trusted" not in paths.plan.read_text()
    assert read_plan(prepare_study(trusting, plan_protocol(trusting), store=None)).trusted == ("timm",)


@pytest.mark.slow
def test_check_refuses_what_the_protocols_file_reaches_through_a_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    path = write_protocol(tmp_path / "here")
    shutil.move(path.parent / "trace_nets.py", tmp_path / "trace_nets.py")
    (path.parent / "trace_nets.py").symlink_to("../trace_nets.py")
    assert cli.main(["check", str(path)]) == 2
    assert "is a link to" in capsys.readouterr().err
    assert not (tmp_path / "trace").exists()
    assert cli.main(["check", str(path), "--set", 'trust.modules=["trace_nets"]']) == 2
    assert "must return a mapping" in capsys.readouterr().err
    assert (tmp_path / "trace").exists()
    assert StudyPaths(Path(os.environ["NONDET_STORE"]) / "x").folder.exists() is False
