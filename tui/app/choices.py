"""Lists what a setting may be chosen from, for settings that are words out of a list."""

from __future__ import annotations

from engine.catalog import presets
from engine.catalog.executors import EXECUTORS
from engine.catalog.published import list_tables, read_replication, read_tables
from tui.app.setting_values import default_of, format_value, is_flag, names_of

MODEL_HEAD = f"{'':17}{'parameters':>12}  on CIFAR-10 (mnist-cnn on MNIST, qrnn with 10,000 words)"


def list_choices(key: str) -> list[tuple[str, str]]:
    """Return what a setting is chosen from, as pairs of the value to type and its line; none where it is typed."""
    if key == "data.preset":
        return data_rows()
    if key == "model.preset":
        return model_rows()
    if key == "protocol.reference":
        return table_rows()
    if key == "dispatch.executor":
        return [(name, f"{name:12} {meaning}") for name, meaning in EXECUTORS.items()]
    names = ("true", "false") if is_flag(key) else names_of(key)
    default = format_value(default_of(key))
    return [(name, f"{name:20}{'the default' if name == default else ''}".rstrip()) for name in names]


def table_rows() -> list[tuple[str, str]]:
    """Return the published tables, with the rows that they have."""
    tables = {**read_replication(), **read_tables()}
    named = {name: dict.fromkeys(row.name for row in tables[name] if row.name) for name in list_tables()}
    return [(name, f"{name:14} {len(tables[name]):>3} rows: {', '.join(names)}") for name, names in named.items()]


def data_rows() -> list[tuple[str, str]]:
    """Return the data presets to choose from, with their facts."""
    rows: list[tuple[str, str]] = []
    for name, facts in presets.DATA.items():
        shape = "x".join(map(str, facts.shape))
        rows.append(
            (name, f"{name:12} {facts.train_size:>7,} train {facts.test_size:>7,} test  {shape:9} {facts.note}")
        )
    return rows + [(name, f"{name:12} {facts.note}") for name, facts in presets.LANGUAGE.items()]


def model_rows() -> list[tuple[str, str]]:
    """Return the model presets to choose from, with their facts."""
    models = presets.MODELS | presets.LANGUAGE_MODELS
    return [(name, f"{name:16} {facts.parameters:>12,}  {facts.note}") for name, facts in models.items()]
