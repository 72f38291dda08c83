"""Reads a protocol file: TOML to a frozen `Protocol`, with all faults of the file at once."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli

from engine.catalog import presets
from engine.catalog.sources import SOURCES
from engine.protocol.arm_keys import ARM, ARM_OVERRIDES, check_presence
from engine.protocol.checks import MAX_ARMS, is_list, is_table
from engine.protocol.command_arms import (
    Terms,
    build_command_arm,
    read_terms,
    refuse_ensemble,
    refuse_strays,
    split_seeds,
)
from engine.protocol.compare_rules import settle_comparison
from engine.protocol.data_section import Data
from engine.protocol.definition import Arm, Ensemble, Protocol
from engine.protocol.dispatch_rules import check_dispatch, settle
from engine.protocol.faults import Fault, ProtocolError, show_value
from engine.protocol.overrides import apply_overrides
from engine.protocol.rules import (
    MAX_FAULTS,
    SPLIT,
    check_metrics,
    check_onsets,
    check_root,
    check_size,
    check_targets,
    check_together,
    link_ensembles,
)
from engine.protocol.sections import SECTIONS, Bit, Evaluate, Model, Sections, Train, make_section
from engine.protocol.tables import Table, check_keys, find_unknown
from engine.protocol.text_file import UnreadableError, read_text_file
from engine.recipe import EVALUATION_STREAMS, KEYED_DRAWS, DataRecipe, EvaluateRecipe, ModelRecipe, TrainRecipe

MAX_FILE_BYTES = 500_000
MAX_DIGITS = sys.get_int_max_str_digits()
"""Python reads no whole number that has more."""
ARM_KEY = re.compile(r"arm\[(\d+)\]")


def load_protocol(path: Path, *, overrides: tuple[str, ...] = ()) -> Protocol:
    """Read and check a protocol file.

    Args:
        path: The TOML file.
        overrides: Texts such as "train.epochs=20", applied before checking.

    Raises:
        ProtocolError: With every fault of the file and the overrides.
    """
    return parse_protocol(read_text(path), file=str(path), overrides=overrides)


def read_text(path: Path) -> str:
    """Return the file's text, or raise a fault that says why there is none."""
    try:
        return read_text_file(path, limit=MAX_FILE_BYTES)
    except FileNotFoundError:
        problem, remedy = "does not exist", "check the path; `ls protocols` lists the shipped ones"
    except UnreadableError as error:
        problem, remedy = error.problem, f"{error.remedy}; a protocol is a TOML file"
    raise ProtocolError(str(path), [Fault("", f"the file {problem}", remedy)])


def parse_protocol(text: str, *, file: str, overrides: tuple[str, ...] = ()) -> Protocol:
    """Check a protocol's text; see `load_protocol`."""
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        fault = Fault("", f"not valid TOML: {error}", "repair that line; https://toml.io shows the syntax")
        raise ProtocolError(file, [fault]) from None
    except RecursionError as error:
        fault = Fault("", f"not valid TOML: {error}", "no key of a protocol is nested: remove what is")
        raise ProtocolError(file, [fault]) from None
    except ValueError:  # Python's limit on the digits of a whole number, and dates that no calendar has
        problem = f"not valid TOML: holds a date that is none, or a number of more than {MAX_DIGITS:,} digits"
        fault = Fault("", problem, "write numbers of at most 19 digits")
        raise ProtocolError(file, [fault]) from None
    faults: list[Fault] = apply_overrides(document, overrides)
    protocol = _build(document, text, file, overrides, faults)
    if faults or protocol is None:
        raise ProtocolError(file, name_arms(faults, document.get("arm")))
    return protocol


def name_arms(faults: list[Fault], tables: Any) -> list[Fault]:
    """Return faults with the names of the arms that their keys are of, as far as these have one."""
    names = [table.get("name") if is_table(table) else None for table in tables] if is_list(tables) else []
    named: list[Fault] = []
    for fault in faults:
        number = ARM_KEY.match(fault.key)
        name = names[int(number[1]) - 1] if number and int(number[1]) <= len(names) else None
        told = isinstance(name, str) and not fault.key.endswith("].name")
        named.append(replace(fault, arm=name) if told else fault)
    return named


def _build(document: Table, text: str, file: str, overrides: tuple[str, ...], faults: list[Fault]) -> Protocol | None:
    faults.extend(find_unknown("", document, [*SECTIONS, "sources", "arm"]))
    document, own_seeds = split_seeds(document)
    tables = {name: _check_section(name, document.get(name, {}), faults) for name in SECTIONS}
    sections = Sections(**{name: make_section(name, values) for name, values in tables.items()})
    name = sections.protocol.name
    if name is None and not any(fault.key == "protocol.name" for fault in faults):
        faults.append(Fault("protocol.name", "is missing", SECTIONS["protocol"]["name"].remedy))
    check_root(sections.data.root, faults)
    terms = None
    if "command" in document:
        terms = read_terms(document, sections.command, faults, base=sections.seeds, own=own_seeds, text=text)
    else:
        refuse_strays(document, faults)
    arms = _build_arms(document.get("arm"), sections, terms, find_protocol_folder(file), faults)
    check_metrics(sections, arms, faults, own_program=terms is not None)
    check_dispatch(sections, faults)
    comparing = settle_comparison(document, sections, arms, faults)
    if faults or name is None:
        return None
    return Protocol(
        file=file,
        text=text,
        overrides=overrides,
        name=name,
        description=sections.protocol.description,
        reference=sections.protocol.reference,
        arms=arms,
        data_root=sections.data.root,
        trusted=tuple(sections.trust.modules),
        seeds=sections.seeds if terms is None else terms.seeds,
        command=None if terms is None else terms.command,
        sources={} if terms is None else terms.titles,
        lowlevel=sections.lowlevel,
        metrics=sections.metrics,
        dispatch=settle(sections),
        compare=comparing,
    )


def find_protocol_folder(file: str) -> Path:
    """Return the folder that a protocol file really lies in, where its targets are looked for and roots begin."""
    return Path(file).resolve().parent


def _check_section(name: str, table: Any, faults: list[Fault]) -> Table:
    """Return the section's values; a faulty one becomes its default, so that checking goes on."""
    keys = SECTIONS[name]
    if not is_table(table):
        faults.append(Fault(name, "must be a section", f"write [{name}] on a line of its own", show_value(table)))
        table = {}
    if name == "seeds" and "bit" in table:
        remedy = "leave it out: while bit does not vary, nothing is moved"
        faults.append(Fault("seeds.bit", "has no base seed", remedy, show_value(table["bit"])))
        table = {key: value for key, value in table.items() if key != "bit"}
    faults.extend(find_unknown(f"{name}.", table, list(keys)))
    return check_keys(f"{name}.", table, keys, faults)


def _build_arms(
    tables: Any, sections: Sections, terms: Terms | None, folder: Path, faults: list[Fault]
) -> tuple[Arm, ...]:
    if not is_list(tables) or not tables or not all(is_table(table) for table in tables):
        remedy = 'write at least one [[arm]] with name = "…" and vary = ["init"]'
        shown = None if tables is None else show_value(tables)
        faults.append(Fault("arm", "a protocol needs one or more [[arm]] tables", remedy, shown))
        return ()
    if len(tables) > MAX_ARMS:
        faults.append(Fault("arm", f"stands {len(tables):,} times, at most {MAX_ARMS:,} are allowed", SPLIT))
        return ()
    arms: list[Arm] = []
    for number, table in enumerate(tables, start=1):
        if len(faults) >= MAX_FAULTS:
            problem = f"and those behind it were not checked, after {len(faults)} faults"
            faults.append(Fault(f"arm[{number}]", problem, "repair those that are named first"))
            return ()
        arms += _build_arm(f"arm[{number}].", table, sections, terms, faults)
        if len(arms) > MAX_ARMS:
            problem = f"makes more than {MAX_ARMS:,} arms with those before it, every onset counted"
            faults.append(Fault(f"arm[{number}].onset", problem, SPLIT))
            return ()
    names = [table.get("name") for table in tables]
    _check_names(names, arms, faults)
    check_targets(tables, sections, arms, folder, faults)
    linked = link_ensembles(tuple(arms), names, faults)
    check_size(linked, faults)
    return linked


def _check_names(names: list[Any], arms: list[Arm], faults: list[Fault]) -> None:
    """Report arms of one name, as they are written and as onsets name them."""
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if isinstance(name, str) and first.setdefault(name, number) != number:
            problem = f"is the name of arm[{first[name]}] too"
            faults.append(Fault(f"arm[{number}].name", problem, "give each arm its own name", show_value(name)))
    for arm in arms:
        if arm.listed_onset is not None and arm.name in first:
            problem = f"is the name that arm[{first[arm.name]}] has, and an arm that lists its onsets gets"
            remedy = "give each arm its own name"
            faults.append(Fault(f"arm[{first[arm.name]}].name", problem, remedy, show_value(arm.name)))


def _build_arm(
    prefix: str, table: Table, sections: Sections, terms: Terms | None, faults: list[Fault]
) -> tuple[Arm, ...]:
    """Return the arms of one [[arm]] table: several where it lists onsets, none where it is faulty."""
    before = len(faults)
    if terms is not None and "ensemble" in table:
        refuse_ensemble(prefix, table, terms, faults)
    if "ensemble" in table:
        return _build_ensemble(prefix, table, sections, faults)
    if terms is not None:
        return build_command_arm(prefix, table, terms, sections.protocol.replicas, faults)
    faults.extend(find_unknown(prefix, table, [*ARM, *ARM_OVERRIDES]))
    own = check_keys(prefix, table, ARM, faults)
    crossed: dict[str, int] = own["crossed"] or {}
    grid = tuple(crossed.items())
    check_presence(prefix, table, ("vary", "replicas", "onset"), faults)
    merged = _override(prefix, table, sections, faults)
    vary = tuple(name for name in SOURCES if name in (own["vary"] or dict(grid)))
    check_together(prefix, table, merged, vary, faults)
    onsets = own["onset"] if is_list(own["onset"]) else [own["onset"]]
    check_onsets(prefix, onsets, vary, merged.train.epochs, faults)
    if len(faults) > before or own["name"] is None or (own["vary"] is None and not grid):
        return ()
    arm = Arm(
        name=own["name"],
        vary=vary,
        replicas=math.prod(levels for _, levels in grid) if grid else own["replicas"] or sections.protocol.replicas,
        crossed=grid,
        data=_data_recipe(merged.data),
        model=_model_recipe(merged.model),
        train=_train_recipe(merged.train, text=merged.data.preset in presets.LANGUAGE),
        bit=merged.bit,
        evaluate=_evaluate_recipe(merged.evaluate),
        streams=None if merged.evaluate.streams == EVALUATION_STREAMS else merged.evaluate.streams,
        allow_unisolated=merged.model.allow_unisolated,
    )
    if not is_list(own["onset"]):
        return (replace(arm, onset=own["onset"]),)
    names = {onset: f"{arm.name}, onset {onset}" for onset in onsets}
    return tuple(replace(arm, name=name, onset=onset, listed_onset=onset) for onset, name in names.items())


def _build_ensemble(prefix: str, table: Table, sections: Sections, faults: list[Fault]) -> tuple[Arm, ...]:
    """Return an arm of ensembles; which arm its members come from is looked up when all arms are known."""
    before = len(faults)
    valid = {"name": ARM["name"], "ensemble": ARM["ensemble"]}
    for key in table:
        if key in (*ARM, *ARM_OVERRIDES) and key not in valid:
            remedy = "leave it out: the members are trained as their own arm says"
            faults.append(Fault(f"{prefix}{key}", "has no meaning beside ensemble", remedy, show_value(table[key])))
    known = {key: value for key, value in table.items() if key not in (*ARM, *ARM_OVERRIDES) or key in valid}
    faults.extend(find_unknown(prefix, known, list(valid)))
    own = check_keys(prefix, known, valid, faults)
    if "name" not in table:
        faults.append(Fault(f"{prefix}name", "is missing", ARM["name"].remedy))
    if len(faults) > before or own["name"] is None:
        return ()
    ensemble = Ensemble(own["ensemble"]["of"], own["ensemble"]["size"])
    # These are placeholders, as an ensemble has the settings of its members' arm.
    data, model = _data_recipe(sections.data), _model_recipe(sections.model)
    train = _train_recipe(sections.train, text=False)
    return (Arm(name=own["name"], vary=(), replicas=0, data=data, model=model, train=train, ensemble=ensemble),)


def _override(prefix: str, table: Table, sections: Sections, faults: list[Fault]) -> Sections:
    """Return the sections as they hold in one arm: with what the arm sets for itself."""
    own = {name: _check_override(f"{prefix}{name}", name, table.get(name, {}), faults) for name in ARM_OVERRIDES}
    return replace(
        sections,
        train=replace(sections.train, **own["train"]),
        data=replace(sections.data, **own["data"]),
        bit=replace(sections.bit, **_choose_size(own["bit"])),
        evaluate=replace(sections.evaluate, **own["evaluate"]),
        model=_exclusive(table.get("model", {}), replace(sections.model, **own["model"])),
    )


def _choose_size(own: Table) -> Table:
    """Return how an arm's bit is moved: where it names the size in one way, the protocol's other one is off."""
    return {"ulps": Bit.ulps, "share": Bit.share} | own if "ulps" in own or "share" in own else own


def _exclusive(override: Any, merged: Model) -> Model:
    """Take out what an arm replaces by naming a preset, or a target: the protocol's other one, and its settings."""
    if is_table(override) and "preset" in override and "target" not in override:
        width = merged.width if merged.preset in presets.WIDTH_MODELS else override.get("width", 1.0)
        return replace(merged, target=None, args=override.get("args", {}), width=width)
    if is_table(override) and "target" in override and "preset" not in override:
        return replace(merged, preset=None)
    return merged


def _check_override(prefix: str, section: str, table: Any, faults: list[Fault]) -> Table:
    """Return an arm's own settings of one section: only the keys that it sets."""
    if not is_table(table):
        faults.append(Fault(prefix, "must be a table", f"write {section} = {{ key = value }}", show_value(table)))
        return {}
    valid = {key: SECTIONS[section][key] for key in ARM_OVERRIDES[section]}
    fixed = [key for key in table if key in SECTIONS[section] and key not in valid]
    for key in fixed:
        problem = "cannot differ between the arms of one study, which share their test examples"
        remedy = f"set {section}.{key} for the whole protocol, or write a second protocol"
        faults.append(Fault(f"{prefix}.{key}", problem, remedy, show_value(table[key])))
    faults.extend(find_unknown(f"{prefix}.", {k: v for k, v in table.items() if k not in fixed}, list(valid)))
    return {key: value for key, value in check_keys(f"{prefix}.", table, valid, faults).items() if key in table}


def _data_recipe(data: Data) -> DataRecipe:
    facts = presets.DATA.get(data.preset or "")
    automatic = "none" if facts is None else facts.augment
    augment = automatic if data.augment == "auto" else data.augment
    # A number that is drawn is written out, so that another default is another recipe.
    test_size = data.test_size or facts.test_size if facts is not None and facts.any_test_size else None
    return DataRecipe(
        preset=data.preset,
        target=data.target,
        train_size=data.train_size,
        test_size=test_size,
        augment=augment,
        sample=None if data.sample == "none" else data.sample,
        validation_size=data.validation_size if data.sample == "split" else None,
    )


def _model_recipe(model: Model) -> ModelRecipe:
    # A text model's settings are written out, so that another default is another recipe.
    defaults = presets.QRNN_ARGS if model.preset in presets.LANGUAGE_MODELS else {}
    args = tuple(sorted((defaults | model.args).items()))
    draws = KEYED_DRAWS if presets.find_model(model.preset) is None else None
    return ModelRecipe(preset=model.preset, target=model.target, width=float(model.width), args=args, draws=draws)


def _evaluate_recipe(evaluate: Evaluate) -> EvaluateRecipe | None:
    recipe = EvaluateRecipe(flip=evaluate.flip, crops=evaluate.crops)
    return None if recipe == EvaluateRecipe() else recipe


def _train_recipe(train: Train, *, text: bool) -> TrainRecipe:
    return TrainRecipe(
        epochs=train.epochs,
        batch_size=train.batch_size,
        optimizer=train.optimizer,
        lr=float(train.lr),
        momentum=float(train.momentum),
        weight_decay=float(train.weight_decay),
        bias_bn_lr_scale=float(train.bias_bn_lr_scale),
        schedule=train.schedule,
        warmup_epochs=float(train.warmup_epochs),
        clip_grad_norm=float(train.clip_grad_norm),
        precision=train.precision,
        cycles=train.cycles if train.schedule == "snapshot" else None,
        weight_noise=float(train.weight_noise) or None,
        averaging=None if train.averaging == "none" else train.averaging,
        bptt=train.bptt if text else None,
        activation_reg=float(train.activation_reg) if text else None,
        slowness_reg=float(train.slowness_reg) if text else None,
        select=None if train.select == "last" else train.select,
    )
