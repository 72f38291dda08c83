"""Targets come from beside the protocol, or from what it trusts; finding that out imports nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.catalog.modules import find_distrust, find_file

BOOM = "raise SystemError('was imported')\n"


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(BOOM)


def distrust(folder: Path, target: str, *trusted: str) -> str | None:
    """Return why a target is refused; importing anything of the user's would raise."""
    before = set(sys.modules)
    found = find_distrust(target, search_path=(folder,), trusted=trusted)
    assert not {name for name in set(sys.modules) - before if name.startswith("own")}
    return None if found is None else found[0]


@pytest.mark.parametrize("target", ["own1:f", "own2:f", "own2.nets:f", "own2.deep.nets:f", "own3.nets:f", "own4:A.f"])
def test_modules_beside_the_protocol_are_taken(target: str, tmp_path: Path) -> None:
    write(tmp_path, "own1.py", "own2/__init__.py", "own2/nets.py", "own2/deep/__init__.py", "own2/deep/nets.py")
    write(tmp_path, "own3/nets.py", "own4.py")
    assert distrust(tmp_path, target) is None


@pytest.mark.parametrize(
    "target",
    ["os:system", "sys:exit", "builtins:exec", "subprocess:run", "torch.hub:load", "numpy:load", "engine.errors:X"],
)
def test_other_modules_are_refused_until_they_are_trusted(target: str, tmp_path: Path) -> None:
    module = target.partition(":")[0]
    assert "is not beside the protocol" in (distrust(tmp_path, target) or "")
    assert distrust(tmp_path, target, module) is None
    assert distrust(tmp_path, target, module.partition(".")[0]) is None
    assert distrust(tmp_path, target, f"{module}x", f"{module}.x", module[:-1]) is not None


def test_module_that_is_nowhere_is_left_to_its_import(tmp_path: Path) -> None:
    assert distrust(tmp_path, "own_nowhere:f") is None


def test_environment_below_the_protocols_folder_is_not_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / ".venv" / "lib" / "site-packages"
    write(packages, "own5/__init__.py", "own6.py")
    monkeypatch.syspath_prepend(packages)
    assert "is not beside" in (distrust(tmp_path, "own5:f") or "")
    assert "is not beside" in (distrust(tmp_path, "own6:f") or "")
    (tmp_path / "own7.py").symlink_to(packages / "own6.py")
    assert "is a link to" in (distrust(tmp_path, "own7:f") or "")


def test_installed_module_that_hides_one_beside_the_protocol_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "elsewhere", "own8.py")
    write(tmp_path / "protocols", "own8.py")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    problem = distrust(tmp_path / "protocols", "own8:f") or ""
    assert f"comes before {tmp_path / 'protocols' / 'own8.py'}, which needs another name" in problem


def test_links_count_where_they_lead(tmp_path: Path) -> None:
    folder, outside = tmp_path / "protocols", tmp_path / "outside"
    write(outside, "own9.py", "own10/__init__.py", "own10/nets.py")
    write(folder, "own11/__init__.py", "shared/code.py")
    (folder / "own9.py").symlink_to(outside / "own9.py")
    (folder / "own10").symlink_to(outside / "own10")
    (folder / "own11" / "nets.py").symlink_to("../../outside/own9.py")
    (folder / "own12.py").symlink_to("shared/code.py")
    for target in ("own9:f", "own10:f", "own10.nets:f", "own11.nets:f"):
        assert "is a link to" in (distrust(folder, target) or ""), target
        assert distrust(folder, target, target.partition(":")[0]) is None
    assert distrust(folder, "own11:f") is None
    assert distrust(folder, "own12:f") is None


def test_folder_that_is_reached_through_links_is_the_one_it_leads_to(tmp_path: Path) -> None:
    write(tmp_path / "real", "own13.py")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "sub").mkdir()
    for folder in (tmp_path / "link", tmp_path / "real" / "sub" / "..", tmp_path / "link" / "sub" / ".."):
        assert distrust(folder, "own13:f") is None


def test_file_of_a_target_is_found_without_importing_it(tmp_path: Path) -> None:
    write(tmp_path, "own14/__init__.py", "own14/nets.py")
    assert find_file("own14.nets:f", search_path=(tmp_path,)) == tmp_path / "own14" / "nets.py"
    assert find_file("sys:exit", search_path=(tmp_path,)) is None
    assert find_file("own_nowhere:f", search_path=(tmp_path,)) is None
