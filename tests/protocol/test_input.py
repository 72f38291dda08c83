"""Input that no one writes on purpose: huge, deep, long, special files; each is refused shortly and at once."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import pytest

from engine.protocol.faults import Fault, ProtocolError, show_path, show_value, suggest
from engine.protocol.load import load_protocol, parse_protocol
from engine.protocol.sections import SECTIONS
from tests.helpers.effort import count_calls

HEAD = '[protocol]\nname = "x"\nreplicas = 2\n[data]\npreset = "digits"\n[model]\npreset = "linear"\n'
FAULTY = "train = { lr = 0, k = 1 }\n"
LONGEST_S = 10.0
"""Far above what any of these takes on a loaded machine, and far below what a quadratic reader takes."""
ARM = '[[arm]]\nname = "a"\nvary = ["shuffle"]\n'


def refuse(text: str, *overrides: str) -> str:
    """Return the message of a protocol that must be refused soon, in a message of less than 4 kB."""
    started = time.process_time()
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(text, file="x.toml", overrides=overrides)
    assert time.process_time() - started < LONGEST_S
    message = str(caught.value)
    assert len(message) < 4000
    assert all(char.isprintable() or char == "\n" for char in message)
    assert message.startswith("x.toml: ")
    assert "\n    -> " in message
    return message


@pytest.mark.parametrize("key", ["train.lr", "train.epochs", "train.weight_decay", "dispatch.checkpoint_s", "bit.ulps"])
@pytest.mark.parametrize("value", ["9" * 400, "0x" + "f" * 5000, "-0x" + "f" * 5000, "1" + "0" * 4000, "1e999"])
def test_number_of_many_digits_is_refused(key: str, value: str) -> None:
    message = refuse(HEAD + ARM, f"{key}={value}")
    assert message.splitlines()[1].startswith(f"  {key} = ")


def test_number_of_more_digits_than_python_reads_is_named() -> None:
    assert "more than 4,300 digits" in refuse(HEAD + ARM + "[train]\nepochs = " + "9" * 5000)


def test_huge_number_inside_a_table_is_refused() -> None:
    assert "arm[1].model.args" in refuse(HEAD + ARM + 'model = { target = "a:b", args = { x = 0x' + "f" * 5000 + " } }")
    assert "model.args" in refuse(HEAD + ARM, "model.args={x=" + "9" * 30 + "}")


@pytest.mark.parametrize(
    "override",
    [
        "train.lr={" + "a." * 900 + "a=1}",
        "train.lr={" + "a." * 5000 + "a=1}",
        "train.lr=" + "[" * 3000 + "]" * 3000,
        "train." + "a." * 3000 + "b=1",
        "train" * 3000 + ".lr=1",
        "train.lr=\udcff",
        "model.args={x='\udcff'}",
    ],
)
def test_nested_long_and_broken_overrides_are_refused(override: str) -> None:
    refuse(HEAD + ARM, override)


def test_deep_file_is_refused() -> None:
    refuse(HEAD + ARM + "x = " + "[" * 3000 + "]" * 3000)
    refuse(HEAD + ARM + "[" + "a." * 900 + "a]\nx = 1")
    refuse(HEAD + ARM + "[" + "a." * 5000 + "a]")


def test_many_and_long_unknown_keys_are_counted() -> None:
    message = refuse(HEAD + "[train]\n" + "".join(f"k{n} = 1\n" for n in range(30_000)) + ARM)
    assert "21 faults" in message
    assert "train = " not in message
    assert "… and " in message
    refuse(HEAD + f'"{"k" * 300_000}" = 1\n' + ARM)
    refuse("".join(f"[k{n}]\n" for n in range(30_000)))


def test_arms_runs_and_onsets_have_limits() -> None:
    arms = "".join(f'[[arm]]\nname = "a{n}"\nvary = ["shuffle"]\n' for n in range(9000))
    assert "at most 1,000" in refuse(HEAD + arms)
    onsets = f"onset = {list(range(400))}\n"
    assert 'arm[3].onset (arm "a2"): makes more than 1,000 arms' in refuse(
        HEAD
        + "".join(f'[[arm]]\nname = "a{n}"\nvary = ["shuffle"]\n{onsets}' for n in range(3))
        + "[train]\nepochs=999"
    )
    assert "up to 1000 different" in refuse(HEAD + ARM + f"onset = {list(range(9000))}")
    replicas = "".join(f'[[arm]]\nname = "a{n}"\nvary = ["shuffle"]\nreplicas = 10000\n' for n in range(50))
    assert "makes 500,000 runs" in refuse(HEAD + replicas)


def test_arguments_and_names_of_targets_have_limits() -> None:
    head, many = HEAD.replace('preset = "linear"', 'target = "a:b"'), ", ".join(f"k{n} = 1" for n in range(101))
    refuse(head + f"args = {{ {many} }}\n" + ARM * 900)
    refuse(head + f'args = {{ x = "{"x" * 4001}" }}\n' + ARM)
    assert "of at most 200 characters" in refuse(HEAD + ARM, f"model.target={'a.' * 10_000}b:c")
    arguments = f"args = {{ {many.replace(', k100 = 1', '')} }}\n"
    assert len(parse_protocol(head + arguments + ARM, file="x").arms[0].model.args) == 100


def make_arms(count: int, faulty: str = "") -> str:
    return HEAD + "".join(f'[[arm]]\nname = "a{n}"\nvary = ["shuffle"]\n{faulty}' for n in range(count))


def test_thousand_arms_take_no_longer_by_arm_than_a_hundred() -> None:
    assert len(parse_protocol(make_arms(1000), file="x").arms) == 1000
    few, many = (count_calls(partial(parse_protocol, make_arms(count), file="x")) for count in (100, 1000))
    assert few > 1000
    assert many < 12 * few


def test_thousand_faulty_arms_take_no_longer_by_arm_than_a_hundred() -> None:
    few, many = (count_calls(partial(refuse, make_arms(count, FAULTY))) for count in (100, 1000))
    assert few > 1000
    assert many < 12 * few


def test_ensembles_of_many_arms_are_linked_in_linear_time() -> None:
    arms = "".join(f'[[arm]]\nname = "a{n}"\nvary = ["shuffle"]\n' for n in range(500))
    pairs = "".join(f'[[arm]]\nname = "e{n}"\nensemble = {{ of = "a{n}", size = 1 }}\n' for n in range(500))
    assert len(parse_protocol(HEAD + arms + pairs, file="x").arms) == 1000
    refuse(HEAD + arms + pairs.replace('of = "a', 'of = "b'))


def test_arm_of_the_name_that_an_onset_gets_is_refused() -> None:
    text = HEAD + ARM + 'onset = [0, 1]\n[[arm]]\nname = "a, onset 1"\nvary = ["init"]\n'
    assert "arm[2].name" in refuse(text)


def test_home_of_nobody_is_a_fault_of_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "data.root" in refuse(HEAD + ARM, "data.root=~nosuchuser/x")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    assert 'data.root = "~/datasets"' in refuse(HEAD + ARM)
    assert parse_protocol(HEAD + ARM, file="x", overrides=("data.root=/data",)).data_root == "/data"


def load(path: Path) -> str:
    with pytest.raises(ProtocolError) as caught:
        load_protocol(path)
    return str(caught.value)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * 500_001)
    assert "is a pipe (FIFO)" in load(tmp_path / "pipe.toml")
    assert "is a device" in load(tmp_path / "zero.toml")
    assert "is a device" in load(Path("/dev/null"))
    assert "is a folder" in load(tmp_path)
    assert "Too many levels of symbolic links" in load(tmp_path / "loop.toml")
    assert "is larger than 500,000 bytes" in load(tmp_path / "large.toml")


def test_long_names_are_refused_shortly() -> None:
    message = load(Path("n" * 5000))
    assert "File name too long" in message
    assert len(message) < 600


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_mark_is_named(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes((HEAD + ARM).encode(encoding))
    message = load(path)
    assert "byte order mark (BOM)" in message
    assert "without BOM" in message


def test_what_is_shown_of_a_value_is_short() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    for value in (2**100_000, -(2**100_000), [2**100_000], deep, "x" * 10**6, {"a": "\x1b" * 1000}):
        assert len(show_value(value)) < 100
        assert show_value(value).isprintable()
    assert len(show_path("\x1b" * 10_000)) <= 200


def test_message_shows_the_first_of_many_faults() -> None:
    faults = [Fault(f"k{n}", "p" * 500, "r" * 500) for n in range(1000)]
    message = str(ProtocolError("x", faults))
    assert len(message) < 4000
    assert "1000 faults" in message
    assert "  k0: " in message
    assert "… and 997 more" in message


def test_suggestion_lists_every_key_of_a_protocol() -> None:
    keys = [f"{section}.{name}" for section, names in SECTIONS.items() for name in names]
    assert suggest("train.epoch", keys).startswith("did you mean train.epochs? ")
    assert all(key in suggest("x", keys) for key in keys)
    assert len(suggest("x", [f"{n}" * 20 for n in range(10_000)])) < 10_000
