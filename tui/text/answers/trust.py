"""Sentences about how far to trust a study: its control, what is missing or varies nothing, what was published."""

from __future__ import annotations

from engine.catalog.published import find_rows
from engine.protocol.faults import printable
from engine.study.metrics_record import ArmMeasures
from tui.text.answers.sentences import Answer, Found, Part, join
from tui.text.counts import plural
from tui.text.parting import say_since
from tui.text.tables import MIXED, OUTSIDE, arm_name, describe_devices, format_published, make_columns

CONTROL = "What a control's replicas differ in is what varies although it should not."


def is_control(arm: ArmMeasures) -> bool:
    """Tell whether nothing varies in an arm, so that its replicas have to be the same."""
    return not arm.vary and arm.ensemble_size == 1


def answer_control(found: Found) -> list[Answer]:
    """Say whether the control is the same to the bit; or that there is none."""
    controls = [arm for arm in found.arms if is_control(arm) and arm.n > 1]
    wrong = [arm for arm in controls if arm.identical_weights is False]
    right = [arm for arm in controls if arm.identical_weights]
    if wrong:
        since = next((f": {say_since(arm.parting)}" for arm in wrong if arm.parting is not None), "")
        what = f" is NOT exact: replicas without any source have different weights{since}"
        parts: tuple[Part, ...] = (*join(wrong), what)
        because = f"{CONTROL} Do not trust the other sentences before the reason is found."
        return [Answer("warning", parts, because, "provenance", None, tuple(arm.name for arm in wrong))]
    if right:
        count = sum(arm.n for arm in right)
        parts = (*join(right), f" is exact to the bit: {count} replicas have identical weights")
        because = f"{CONTROL} Here that is nothing: what does not vary is held."
        return [Answer("note", parts, because, "provenance", None, tuple(arm.name for arm in right))]
    if controls or any(arm.identical_predictions is not None or "floor" in arm.reasons for arm in found.arms):
        return _answer_repetition(found, controls)
    if not any(arm.n > 1 for arm in found.arms):
        return []
    parts = ("There is no control, so nothing shows that what does not vary is held",)
    because = "Add an arm with vary = [] and two replicas or more: they have to be the same to the bit."
    return [Answer("note", parts, because, "provenance")]


def _answer_repetition(found: Found, controls: list[ArmMeasures]) -> list[Answer]:
    """Say whether a user's own program repeats itself; of an import nobody knows what varies."""
    floors = dict.fromkeys(printable(arm.reasons["floor"]) for arm in found.arms if "floor" in arm.reasons)
    wrong = [arm for arm in controls if arm.identical_predictions is False]
    if wrong and not floors:
        floors = {f"{CONTROL} The program does not repeat itself.": None}
    if floors:
        parts: tuple[Part, ...] = ("Runs between which nothing varies differ: every figure here has that in it",)
        return [Answer("warning", parts, "; ".join(floors), "provenance")]
    same = [arm for arm in controls if arm.identical_predictions]
    if not same:
        return []
    parts = (*join(same), f" is exact to the bit: {sum(arm.n for arm in same)} replicas have identical predictions")
    because = f"{CONTROL} Here that is nothing: the program repeats itself."
    return [Answer("note", parts, because, "provenance", None, tuple(arm.name for arm in same))]


def answer_isolation(found: Found) -> list[Answer]:
    """Name the arms in which other sources change along."""
    leaky = [arm for arm in found.arms if arm.unisolated is not None]
    if not leaky:
        return []
    reasons = dict.fromkeys(printable(arm.unisolated or "") for arm in leaky)
    parts = (*join(leaky), " does not isolate its sources" if len(leaky) == 1 else " do not isolate their sources")
    because = f"The protocol allows it: {'; '.join(reasons)}. What these arms show is not of their sources alone."
    return [Answer("warning", parts, because, "table", None, tuple(arm.name for arm in leaky))]


def answer_devices(found: Found) -> list[Answer]:
    """Name the arms whose runs were trained on several models of device, or on others than another arm's."""
    mixed = [arm for arm in found.arms if len(arm.devices) > 1]
    if mixed:
        parts: tuple[Part, ...] = (*join(mixed), " mixes" if len(mixed) == 1 else " mix", " models of device")
        told = "; ".join(f"{arm_name(arm)} was {describe_devices(arm.devices)}" for arm in mixed)
        because = f"{told}: {MIXED}. dispatch.require_same_device = true keeps an arm on one model."
        return [Answer("warning", parts, because, "provenance", None, tuple(arm.name for arm in mixed))]
    models: dict[str, list[str]] = {}
    for arm in found.arms:
        for model in arm.devices:
            models.setdefault(model, []).append(arm_name(arm))
    if len(models) < 2:
        return []
    because = "; ".join(f"{printable(model)}: {', '.join(names)}" for model, names in models.items())
    parts = ("Arms were trained on different models of device, so what they differ in may be due to these",)
    return [Answer("warning", parts, f"{because}.", "provenance")]


def answer_losses(found: Found) -> list[Answer]:
    """Say how many replicas are missing, damaged or diverged."""
    answers: list[Answer] = []
    damaged = [arm for arm in found.arms if arm.damaged]
    if damaged:
        parts: tuple[Part, ...] = (
            f"{plural(sum(arm.damaged for arm in damaged), 'replica')} of ", *join(damaged),
            " cannot be measured: files are damaged",
        )  # fmt: skip
        because = "; ".join(f"{arm_name(arm)}: {printable(arm.reasons.get('damaged', ''))}" for arm in damaged)
        answers.append(Answer("warning", parts, because, "table", None, tuple(arm.name for arm in damaged)))
    lost = [arm for arm in found.arms if arm.diverged]
    if lost:
        parts = (f"{plural(sum(arm.diverged for arm in lost), 'replica')} of ", *join(lost), " diverged")
        because = "What diverged without finite predictions is left out of every figure, so these are of the others."
        answers.append(Answer("warning", parts, because, "table", None, tuple(arm.name for arm in lost)))
    done, planned = sum(arm.n for arm in found.arms), sum(arm.planned for arm in found.arms)
    missing = planned - done - sum(arm.diverged + arm.damaged for arm in found.arms)
    if 0 < done < planned and missing > 0:
        parts = (f"{done} of {planned} replicas have finished, and all sentences are of these",)
        because = "Every figure may still move, farther than its interval where a source takes longer than others."
        answers.append(Answer("note", parts, because, "table"))
    return answers


def answer_alone(found: Found) -> list[Answer]:
    """Say that there is no spread yet, where no arm has two replicas."""
    if any(arm.n > 1 for arm in found.arms):
        return []
    done = sum(arm.n for arm in found.arms)
    said = "No replica has finished" if done == 0 else "No arm has two finished replicas"
    because = "A spread needs two replicas of an arm, an interval three."
    return [Answer("note", (f"{said}: nothing can be said of a spread yet",), because, "table")]


def answer_nothing(found: Found) -> list[Answer]:
    """Name the arms whose source changes no prediction, and those in which it is empty."""
    answers: list[Answer] = []
    empty = {arm.name: found.empty.get(arm.name, {}) for arm in found.arms}
    still = [
        arm for arm in found.arms
        if arm.vary and arm.n > 1 and arm.find("disagreement").value == 0 and not empty[arm.name] and not arm.onset
    ]  # fmt: skip
    if still:
        parts: tuple[Part, ...] = (*join(still), " changes no prediction at all" if len(still) == 1 else " change none")
        counts = ", ".join(f"{arm_name(arm)} has {arm.n} replicas" for arm in still)
        because = (
            f"{counts}. That replicas agree on every test example does not say that they are the same: "
            "the table's cross-entropy SD shows whether they differ at all."
        )
        answers.append(Answer("finding", parts, because, "table", "disagreement", tuple(arm.name for arm in still)))
    idle = [arm for arm in found.arms if empty[arm.name]]
    if idle:
        whole = [arm for arm in idle if set(empty[arm.name]) >= set(arm.vary)]
        said = f" {'varies' if len(idle) == 1 else 'vary'} nothing" if len(whole) == len(idle) else " is empty in part"
        reasons = dict.fromkeys(f"{one}: {why}" for arm in idle for one, why in empty[arm.name].items())
        answers.append(Answer("note", (*join(idle), said), printable("; ".join(reasons)), "table"))
    return answers


def answer_published(found: Found) -> list[Answer]:
    """Count the published figures that lie farther from the measured ones than the errors of both explain."""
    if found.reference is None:
        return []
    columns = make_columns(found.symbols, text=found.is_text)
    compared, outside, named = 0, 0, list[ArmMeasures]()
    for arm in found.arms:
        for row in find_rows(found.reference, arm_name(arm)):
            cells = [format_published(column, row, arm) for column in columns if column.measure.key in row.figures]
            with_interval = [c for c in columns if c.measure.key in row.figures and arm.find(c.measure.key).interval]
            compared += len(with_interval)
            marked = sum(cell.endswith(OUTSIDE) for cell in cells)
            outside += marked
            if marked and arm not in named:
                named.append(arm)
    if not compared:
        return []
    parts: tuple[Part, ...] = (
        f"{outside} of {plural(compared, 'published figure')} of {printable(found.reference)} lie outside what the "
        "errors of both explain",
        *((": of ", *join(named)) if named else ()),
    )
    because = (
        "Each against the 95 % interval of its difference; of equal studies about one in twenty is outside. "
        "They differ for good where network, data or training are not the published ones."
    )
    return [Answer("finding", parts, because, "table", None, tuple(arm.name for arm in named))]


def answer_sharing(found: Found) -> list[Answer]:
    """Say why there are more replicas than runs."""
    replicas = sum(arm.planned for arm in found.arms)
    if not found.runs or replicas <= found.runs:
        return []
    because = (
        "A run is trained once, whichever arms it is a replica of: the same seeds and settings give the same network."
    )
    parts = (f"{replicas} replicas are {plural(found.runs, 'run')}: arms share those that are the same",)
    return [Answer("note", parts, because, "provenance")]
