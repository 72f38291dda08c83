"""Ten thousand broken protocols: each is accepted or refused in time, in a short message that names the file."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.plan.plan import make_plan
from engine.protocol.faults import ProtocolError
from engine.protocol.load import load_protocol
from engine.protocol.sections import SECTIONS
from tui.app.listed_files import shipped_folder

CASES = 10_000
LONGEST_S = 2.0
MOST_CHARACTERS = 4_000
MOST_RUNS = 40
"""Plans of more runs are not made here: they are no longer about input."""

VALUES = (
    *(
        "true",
        "-1",
        "0",
        "1e400",
        "-inf",
        "nan",
        "1.5",
        "0x" + "f" * 5000,
        "9" * 400,
        "9" * 5000,
        "1_000",
        "1979-05-27",
    ),
    *("[]", "[1]", '["init", "init"]', "{}", "{ a = 1 }", "{ a.b.c = { d = [{}] } }", "[[[[[]]]]]", "1979-99-99"),
    *('""', '"auto"', '"\\u0000"', '"\\u001b[31m"', '"\\u202e"', '"é"', '"' + "x" * 3000 + '"', '"a:b"', '"~nobody/x"'),
    *('"os:system"', '"torch.hub:load"', "'", '"""', "\x1b[2J", "\u202e", "[" * 500, "{ a = " * 500, "a." * 1200 + "a"),
)
KEYS = tuple(f"{section}.{name}" for section, keys in SECTIONS.items() for name in keys)
LINES = (
    *("[train]", "[[arm]]", "[arm]", "[", "]]", "[a.b.c]", '["\\u001b"]', "[[train]]", "x", "= 1", "a = ", '"" = 1'),
    *("[[arm]]\nname = 'b'\nvary = []", "[trust]\nmodules = [1]", "[seeds]\nbit = 1", "[dispatch]\ndevices = [[]]"),
)

Change = Callable[[random.Random, str], bytes]


def replace_value(draw: random.Random, text: str) -> bytes:
    """Give one line's key another value."""
    lines = text.splitlines()
    number = draw.choice([n for n, line in enumerate(lines) if "=" in line] or [0])
    lines[number] = f"{lines[number].partition('=')[0]}= {draw.choice(VALUES)}"
    return "\n".join(lines).encode(errors="replace")


def add_key(draw: random.Random, text: str) -> bytes:
    """Write some key with some value in front, as dotted keys."""
    key = draw.choice((*KEYS, "arm", "zz", "train.a.b", '"\\u0007"', f"model.{'k' * 5000}"))
    return f"{key} = {draw.choice(VALUES)}\n{text}".encode()


def add_line(draw: random.Random, text: str) -> bytes:
    """Put a line of its own somewhere."""
    lines = text.splitlines()
    lines.insert(draw.randint(0, len(lines)), draw.choice((*LINES, *VALUES)))
    return "\n".join(lines).encode()


def set_in_arm(draw: random.Random, text: str) -> bytes:
    """Give the last arm one more setting."""
    names = ("vary", "onset", "replicas", "crossed", "ensemble", "train", "model", "data", "evaluate", "train.lr", "x")
    return f"{text}\n{draw.choice(names)} = {draw.choice(VALUES)}\n".encode()


def repeat(draw: random.Random, text: str) -> bytes:
    """Repeat the arms, or one line, many times."""
    head, mark, arms = text.partition("[[arm]]")
    times = draw.choice((2, 2, 30, 30, 30, 1500))
    if draw.random() < 0.5:
        many = [arms.replace('name = "', f'name = "{n} ', 1) for n in range(min(times, 200_000 // (len(arms) + 1)))]
        return (head + "".join(mark + one for one in many)).encode()
    return (f"{text}\n{draw.choice(LINES)}\n" + "".join(f"k{n} = 1\n" for n in range(times))).encode()


def truncate(draw: random.Random, text: str) -> bytes:
    """Keep the beginning, or leave something out of the middle."""
    content = text.encode()
    start = draw.randint(0, len(content))
    return content[:start] + (content[start + draw.randint(1, 200) :] if draw.random() < 0.5 else b"")


def break_bytes(draw: random.Random, text: str) -> bytes:
    """Change a few bytes to any others."""
    content = bytearray(text.encode())
    for _ in range(draw.randint(1, 8)):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return bytes(content)


CHANGES: tuple[Change, ...] = (replace_value, add_key, add_line, set_in_arm, repeat, truncate, break_bytes)


def judge(path: Path) -> str | None:
    """Return the message that a protocol is refused with; None where it is accepted, and can be planned."""
    try:
        protocol = load_protocol(path)
        if sum(arm.replicas for arm in protocol.arms) <= MOST_RUNS:
            make_plan(protocol, device="cpu")
    except ProtocolError as error:
        return str(error)
    return None


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_broken_protocols_are_refused_shortly_and_in_time(tmp_path: Path) -> None:
    folder = shipped_folder()
    assert folder is not None
    shipped = [path.read_text() for path in sorted(folder.rglob("*.toml"))]
    assert len(shipped) > 20
    draw, path = random.Random(1), tmp_path / "broken.toml"
    outcomes = {"accepted": 0, "refused": 0}
    for _ in range(CASES):
        change = draw.choice(CHANGES)
        path.write_bytes(change(draw, draw.choice(shipped)))
        started = time.process_time()
        message = judge(path)
        assert time.process_time() - started < LONGEST_S, path.read_bytes()[:2000]
        outcomes["accepted" if message is None else "refused"] += 1
        if message is not None:
            assert message.startswith(f"{path}: "), message
            assert "\n    -> " in message, message
            assert len(message) < MOST_CHARACTERS, message
            assert all(char.isprintable() or char == "\n" for char in message), message
    assert min(outcomes.values()) > CASES / 50, outcomes
