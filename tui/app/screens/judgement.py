"""Judges a protocol that is being written, and defines the messages that bring the answer to the builder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from engine.errors import NondetError
from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from engine.protocol.faults import Fault, ProtocolError
from engine.protocol.load import parse_protocol
from engine.tuning.choice import plan_known, recall


@dataclass(frozen=True)
class Judgement:
    """Holds what the engine says of a protocol's text."""

    text: str | None = None
    """The text; None before the first judgement."""
    protocol: Protocol | None = None
    plan: Plan | None = None
    """The plan of the protocol; None where it has faults."""
    faults: tuple[Fault, ...] = ()


@dataclass
class ProtocolJudged(Message):
    """Brings what the engine says of a text."""

    judgement: Judgement


def judge(text: str, file: str, store: Path) -> Judgement:
    """Judge a protocol's text as the engine would before it trains.

    Args:
        text: The protocol.
        file: Its file, for messages.
        store: The store, whose study of this name is continued.
    """
    protocol = None
    try:
        protocol = parse_protocol(text, file=file)
        plan = plan_known(protocol, recall(protocol, store=str(store)), store=str(store))
    except ProtocolError as error:
        return Judgement(text, protocol, faults=tuple(error.faults))
    except NondetError as error:
        return Judgement(text, protocol, faults=(Fault("dispatch", str(error), "choose other devices", None),))
    return Judgement(text, protocol, plan)
