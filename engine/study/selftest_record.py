"""selftest.json: what a few runs have shown of a user's own program, before all others are trained."""

from __future__ import annotations

import msgspec

from engine.study.records import Record

REFUSED = "not trained: "
"""Begins the reason of runs that were never tried because the self-test has refused their program."""


class Floor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Holds how far two runs lie apart between which nothing varies: every row of a table has that in it too."""

    accuracy: float | None = None
    """Percentage points, absolute; None where no accuracy is known."""
    disagreement: float | None = None
    """Percent of the test examples; None of scores."""
    scores: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    """Absolute differences of scores, by name."""


class SourceTest(msgspec.Struct, frozen=True, kw_only=True):
    """Tells whether another seed of a source gives another result."""

    source: str
    argument: str
    """What the user's command line calls it."""
    differs: bool
    digests: tuple[str, ...]
    """SHA-256 of the predictions, the base seed's first."""


class ResumeTest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tells whether a run that was killed and went on from its checkpoint is the same to the bit."""

    identical: bool
    reason: str = ""
    """Why that is not proved; empty where it is."""


class SelfTestRecord(Record, frozen=True, kw_only=True, tag=1):
    """The outcome of a self-test."""

    runs: tuple[str, ...]
    """The runs that it is about."""
    repeats: bool
    """Whether two runs between which nothing varies are the same to the bit."""
    digests: tuple[str, ...]
    """SHA-256 of their predictions."""
    floor: Floor
    sources: tuple[SourceTest, ...]
    resume: ResumeTest | None = None
    """None where the program has no words to go on with."""

    @property
    def refusal(self) -> str | None:
        """Say which sources change nothing, so that no arm can vary them; None where all of them do."""
        idle = [one for one in self.sources if not one.differs]
        if not idle:
            return None
        said = [
            f"{one.argument} changes nothing: other seeds of {one.source} give the same predictions to the bit "
            "(SHA-256 " + " and ".join(f"{digest[:12]}…" for digest in one.digests) + ")"
            for one in idle
        ]
        return (
            f"{'; '.join(said)}: make the program use the seed (is it read, and set before anything is drawn? "
            "does a stale checkpoint or a cache decide?), or take the source out of the protocol"
        )


def describe_selftest(test: SelfTestRecord) -> list[str]:
    """Return what a self-test has found, a line for each thing."""
    lines = [describe_floor(test)]
    for one in test.sources:
        if one.differs:
            lines.append(f"{one.source} ({one.argument}): another seed gives another result")
    if test.resume is not None:
        lines.append(describe_resume(test.resume))
    return lines if test.refusal is None else [*lines, f"refused: {test.refusal}"]


def describe_resume(test: ResumeTest) -> str:
    """Say whether runs that are cut go on from their checkpoints."""
    if test.identical:
        return "resume: a run that was killed and went on from its checkpoint is the same to the bit: cut runs go on"
    return f"resume: not used, so a run that is cut starts from its beginning: {test.reason}"


def describe_floor(test: SelfTestRecord) -> str:
    """Say whether the program repeats itself, and what the spread of nothing is where it does not."""
    if test.repeats:
        return f"nothing varied: two runs are the same to the bit (SHA-256 {test.digests[0][:12]}…)"
    floor = test.floor
    parts = [] if floor.disagreement is None else [f"disagree on {floor.disagreement:.3g} % of the test examples"]
    parts += [] if floor.accuracy is None else [f"differ by {floor.accuracy:.3g} points in accuracy"]
    parts += [f"differ by {value:.3g} in {name}" for name, value in floor.scores.items()]
    return (
        f"not repeatable: two runs between which nothing varies {', '.join(parts) or 'differ'} (SHA-256 "
        f"{test.digests[0][:12]}… and {test.digests[1][:12]}…): this floor is under every row; docs/your-training.md "
        "says what to look for"
    )
