"""Checks the keys of a protocol against each other, once each is right by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.catalog import presets
from engine.catalog.modules import find_distrust
from engine.protocol.checks import MAX_RUNS, is_number, is_table, is_whole
from engine.protocol.definition import Arm
from engine.protocol.faults import Fault, show_value, suggest
from engine.protocol.sections import SECTIONS, Bit, Sections
from engine.protocol.tables import Table
from engine.recipe import EVALUATION_STREAMS

MAX_FAULTS = 100
"""Once there are so many, the arms that follow are not checked: the remedy is to repair what is known."""
SPLIT = "split the study into several protocols, or lower replicas"
Report = Callable[..., None]
"""Called with section, key, problem, remedy and value of one fault."""

TEXT_OFF: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("data", "augment", ("auto", "none")),
    ("data", "train_size", (0,)),
    ("data", "sample", ("none",)),
    ("train", "optimizer", ("sgd", "nt-asgd")),
    ("train", "schedule", ("constant", "cosine")),
    ("train", "averaging", ("none",)),
    ("train", "weight_noise", (0,)),
    ("evaluate", "flip", (False,)),
    ("evaluate", "crops", (1,)),
)
"""Settings of image classifiers and the values that they may have for text."""


def check_together(prefix: str, table: Table, merged: Sections, vary: tuple[str, ...], faults: list[Fault]) -> None:
    """Check an arm's settings against each other; each fault is reported once, at the protocol's key or the arm's own.

    Args:
        prefix: The beginning of the arm's keys, e.g. "arm[2].".
        table: The [[arm]] table as it was written.
        merged: The sections as they hold in this arm.
        vary: Its sources.
        faults: Extended.
    """
    seen = {(fault.key, fault.problem) for fault in faults}

    def report(section: str, key: str, problem: str, remedy: str, value: object = None) -> None:
        own = isinstance(table.get(section), dict) and key in table[section]
        where = f"{prefix}{section}.{key}" if own else f"{section}.{key}"
        if (where, problem) not in seen:
            faults.append(Fault(where, problem, remedy, None if value is None else show_value(value)))

    for section, part in (("data", merged.data), ("model", merged.model)):
        if part.preset is None and part.target is None and not any(k[0] == f"{section}.preset" for k in seen):
            report(section, "preset", "is missing", SECTIONS[section]["preset"].remedy)
        if part.preset is not None and part.target is not None:
            problem = f"stands beside {section}.preset = {show_value(part.preset)}: only one can be used"
            report(section, "target", problem, "leave one of the two out", part.target)
    data, model, train = merged.data, merged.model, merged.train
    facts = presets.DATA.get(data.preset or "")
    if facts is not None and data.train_size > facts.train_size:
        problem = f"is more than the {facts.train_size:,} training examples of {data.preset}"
        report("data", "train_size", problem, "0 keeps them all", data.train_size)
    if data.test_size and data.preset not in presets.ANY_TEST_SIZE and (data.preset or data.target):
        problem = f"acts on {', '.join(presets.ANY_TEST_SIZE)} only, whose test examples are made"
        report("data", "test_size", problem, "leave it out for these data", data.test_size)
    if presets.is_signal(data.preset) and data.augment not in ("auto", "none"):
        problem = f"is for images, and {data.preset} holds signals"
        report("data", "augment", problem, 'use "none"', data.augment)
    check_split(merged, report)
    if model.width != 1.0 and model.preset not in presets.WIDTH_MODELS:
        problem = f"acts on {', '.join(presets.WIDTH_MODELS)} only"
        report("model", "width", problem, "leave it out for this model", model.width)
    check_text(merged, report)
    check_views(merged, report)
    if model.args and model.target is None and model.preset not in presets.LANGUAGE_MODELS:
        report(
            "model",
            "args",
            "are for a model of your own",
            "leave them out, or set model.target",
            model.args,
        )
    cycles = train.cycles if train.schedule == "snapshot" else 1
    if train.epochs % cycles:
        problem = f"does not divide train.epochs = {train.epochs} into cycles of equal length"
        report("train", "cycles", problem, "choose epochs that are a multiple of cycles", cycles)
    elif train.warmup_epochs > train.epochs // cycles:
        what = "a cycle" if train.schedule == "snapshot" else "train.epochs"
        problem = f"is more than {what} = {train.epochs // cycles}: the learning rate would never be reached"
        report("train", "warmup_epochs", problem, "shorten the warm-up or train longer", train.warmup_epochs)
    if train.averaging != "none" and train.schedule == "snapshot":
        problem = "stands beside the snapshot schedule, whose members are not averaged weights"
        report("train", "averaging", problem, 'use averaging = "none" in this arm', train.averaging)
    check_bit(table, merged, vary, report)


def check_bit(table: Table, merged: Sections, vary: tuple[str, ...], report: Report) -> None:
    """Report a bit that is moved in two ways, by an arm that does not vary it, or too little for the precision."""
    if merged.bit.share and merged.bit.ulps != Bit.ulps:
        problem = f"stands beside bit.ulps = {merged.bit.ulps}: a weight is moved by one of the two"
        report("bit", "share", problem, "leave one of them out, or write share = 0", merged.bit.share)
    if "bit" not in vary:
        for key in table["bit"] if is_table(table.get("bit")) else ():
            report("bit", key, "moves nothing: this arm does not vary bit", "leave it out, or vary bit")
    if "bit" in vary and merged.train.precision != "fp32":
        problem = "swallows a change of one ulp, and an arm varies bit"
        report("train", "precision", problem, 'use precision = "fp32" in this arm', merged.train.precision)


def check_split(merged: Sections, report: Report) -> None:
    """Report a split that leaves out no training example, or all of them, and such a number without a split."""
    data = merged.data
    facts = presets.DATA.get(data.preset or "")
    if data.sample != "split":
        if data.validation_size:
            problem = f'is left out by sample = "split" only, and data.sample is "{data.sample}"'
            report("data", "validation_size", problem, "leave it out, or choose split", data.validation_size)
        return
    if data.validation_size == 0:
        problem = 'must be at least 1 with sample = "split", or every replica would train on all examples'
        report("data", "validation_size", problem, SECTIONS["data"]["validation_size"].remedy, 0)
    total = data.train_size or (0 if facts is None else facts.train_size)
    if total and data.validation_size >= total:
        problem = f"leaves none of the {total:,} training examples"
        report("data", "validation_size", problem, "choose fewer", data.validation_size)


def check_views(merged: Sections, report: Report) -> None:
    """Report test-time views of what is no image, and crops that make no regular grid over the padding of images."""
    facts = presets.DATA.get(merged.data.preset or "")
    crops = merged.evaluate.crops
    if presets.is_signal(merged.data.preset):
        for key, value, off in (("flip", merged.evaluate.flip, False), ("crops", crops, 1)):
            if value != off:
                problem = f"is for images, and {merged.data.preset} holds signals"
                report("evaluate", key, problem, "leave it out", value)
        return
    if facts is None or crops == 1:
        return
    padding = presets.crop_padding(facts.shape[-1])
    if presets.crop_steps(crops, padding) is None:
        squares = [side * side for side in range(1, 2 * padding + 2)]
        fitting = [square for square in squares if presets.crop_steps(square, padding) is not None]
        problem = f"makes no regular grid over the {padding} pixels of padding of {merged.data.preset}"
        remedy = f"choose one of {', '.join(map(str, fitting))}"
        report("evaluate", "crops", problem, remedy, crops)


def check_text(merged: Sections, report: Report) -> None:
    """Report text without a model for text, such a model without text, and settings that do not apply to it."""
    data, model, train = merged.data, merged.model, merged.train
    is_text, reads_text = data.preset in presets.LANGUAGE, model.preset in presets.LANGUAGE_MODELS
    texts, readers = ", ".join(presets.LANGUAGE), ", ".join(presets.LANGUAGE_MODELS)
    if is_text and not reads_text and (model.preset or model.target):
        key = "preset" if model.preset else "target"
        problem = f"does not read text, and data.preset is {data.preset}"
        report("model", key, problem, f"use {readers}", model.preset or model.target)
    if reads_text and not is_text and (data.preset or data.target):
        key = "preset" if data.preset else "target"
        problem = f"is no text, and model.preset is {model.preset}"
        report("data", key, problem, f"use {texts}", data.preset or data.target)
    if not reads_text:
        if train.optimizer == "nt-asgd":
            report("train", "optimizer", f"is for {readers} only", "use sgd or adam", train.optimizer)
        if train.select != "last":
            problem = f"is for {readers} only: no other data have a validation set"
            report("train", "select", problem, 'use "last"', train.select)
        if merged.evaluate.streams != EVALUATION_STREAMS:
            report("evaluate", "streams", f"is for {readers} only", "leave it out", merged.evaluate.streams)
        return
    known = presets.QRNN_ARGS
    for key, value in model.args.items():
        rate = key.startswith(("dropout", "weight_drop"))
        if key not in known:
            report("model", "args", f"holds {key}, which {model.preset} has not", suggest(key, known), value)
        elif rate and not (is_number(value) and 0 <= value < 1):
            report("model", "args", f"{key} must be a number from 0 to below 1", f"default {known[key]}", value)
        elif not rate and not (is_whole(value) and 1 <= value <= 100_000):
            report("model", "args", f"{key} must be a whole number from 1", f"default {known[key]}", value)
    for section, key, off in TEXT_OFF:
        value = getattr(getattr(merged, section), key)
        if value not in off:
            problem = f"has no meaning for {model.preset}"
            report(section, key, problem, f"use {' or '.join(map(show_value, off))}", value)


def check_metrics(sections: Sections, arms: tuple[Arm, ...], faults: list[Fault], *, own_program: bool) -> None:
    """Report what is to be measured of weights that nobody sees, keeps or can compare: a program's own, or a text's."""
    if own_program:
        for key, value in (("cka", sections.metrics.cka), ("sketches", sections.metrics.sketches)):
            if value:
                problem = "looks at weights, and those of a program of your own are not seen"
                faults.append(Fault(f"metrics.{key}", problem, "leave it out", show_value(value)))
        return
    if not sections.metrics.cka:
        return
    if not sections.dispatch.keep_weights:
        problem, remedy = "needs the runs' weights, and dispatch.keep_weights is false", "keep them, or leave cka out"
        faults.append(Fault("metrics.cka", problem, remedy, "true"))
    if any(arm.data.preset in presets.LANGUAGE for arm in arms):
        problem, remedy = "is not defined for language models, as in the paper", "leave it out"
        faults.append(Fault("metrics.cka", problem, remedy, "true"))


def check_onsets(prefix: str, onsets: list[int], vary: tuple[str, ...], epochs: int, faults: list[Fault]) -> None:
    """Report late onsets where nothing varies, where initialisation varies, or where training ends before them."""
    key = f"{prefix}onset"
    late = [onset for onset in onsets if onset > 0]
    if late and not vary:
        faults.append(
            Fault(key, "has no meaning where nothing varies", "leave it out of the control", show_value(onsets))
        )
    if late and "init" in vary:
        problem = "cannot be later than the start for init: weights are initialised once"
        faults.append(Fault(key, problem, "vary another source in this arm, or use onset = 0", show_value(onsets)))
    if any(onset >= epochs for onset in late):
        problem = f"must be below train.epochs = {epochs}, or nothing would differ"
        faults.append(Fault(key, problem, "choose an earlier epoch or train longer", show_value(onsets)))


def check_root(root: str, faults: list[Fault]) -> None:
    """Report a folder of data that begins with the home of nobody."""
    try:
        Path(root).expanduser()
    except RuntimeError:
        problem = "begins with a home folder, and there is no such user, or HOME is not set"
        faults.append(Fault("data.root", problem, "write the folder out, or set HOME", show_value(root)))


def check_targets(tables: list[Table], sections: Sections, arms: list[Arm], folder: Path, faults: list[Fault]) -> None:
    """Report targets whose modules lie neither in the protocol's folder nor in a module that it trusts.

    Args:
        tables: The [[arm]] tables as they were written.
        sections: The protocol's own sections.
        arms: What has come of the tables; a target that no arm uses is left alone.
        folder: The folder of the protocol file.
        faults: Extended.
    """
    used = {target for arm in arms for target in (arm.data.target, arm.model.target) if target is not None}
    named = [("data.target", sections.data.target), ("model.target", sections.model.target)]
    own = [(number, table.get("model")) for number, table in enumerate(tables, start=1)]
    named += [(f"arm[{number}].model.target", model.get("target")) for number, model in own if is_table(model)]
    for key, target in named:
        if target not in used or len(faults) >= MAX_FAULTS:
            continue
        distrust = find_distrust(target, search_path=(folder,), trusted=sections.trust.modules)
        if distrust is not None:
            problem, remedy = distrust
            faults.append(Fault(key, problem, remedy, show_value(target)))


def check_size(arms: tuple[Arm, ...], faults: list[Fault]) -> None:
    """Report a study of more runs than one may have."""
    runs = sum(arm.replicas for arm in arms if arm.ensemble is None)
    if runs > MAX_RUNS:
        problem = f"makes {runs:,} runs, all replicas counted; at most {MAX_RUNS:,} are allowed in one study"
        faults.append(Fault("arm", problem, SPLIT))


def link_ensembles(arms: tuple[Arm, ...], names: list[Any], faults: list[Fault]) -> tuple[Arm, ...]:
    """Give ensemble arms the number of groups that their members' arm allows.

    Args:
        arms: The arms without the faulty ones.
        names: The names of all [[arm]] tables, in order, for the keys of faults.
        faults: Extended.
    """
    trained = {arm.name: arm for arm in arms if arm.ensemble is None}
    numbers = {name: number for number, name in enumerate(names, start=1) if isinstance(name, str)}
    ensembles = {arm.name for arm in arms if arm.ensemble is not None}
    linked: list[Arm] = []
    for arm in arms:
        if arm.ensemble is None:
            linked.append(arm)
            continue
        key = f"arm[{numbers[arm.name]}].ensemble"
        members = trained.get(arm.ensemble.of)
        if members is None:
            if arm.ensemble.of not in numbers or arm.ensemble.of in ensembles:
                remedy = suggest(arm.ensemble.of, trained)
                faults.append(Fault(f"{key}.of", "is no arm that is trained", remedy, show_value(arm.ensemble.of)))
            continue
        if members.data.preset in presets.LANGUAGE:
            problem = "is an arm of language models, whose predictions are not kept whole"
            remedy = "leave the ensemble out: the ensemble perplexity change of pairs is measured in every arm"
            faults.append(Fault(f"{key}.of", problem, remedy, show_value(members.name)))
        groups = members.replicas // arm.ensemble.size
        if groups == 0:
            replicas = "1 replica" if members.replicas == 1 else f"{members.replicas} replicas"
            problem = f"is more than the {replicas} of {show_value(members.name)}"
            remedy = "choose smaller ensembles or train more replicas"
            faults.append(Fault(f"{key}.size", problem, remedy, str(arm.ensemble.size)))
        linked.append(replace(arm, replicas=groups, data=members.data, model=members.model, train=members.train))
    return tuple(linked)
