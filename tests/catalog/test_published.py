"""The published figures: what the paper prints, found under the names that arms have."""

from __future__ import annotations

import math

import pytest

from engine.catalog.published import (
    find_rows,
    list_published,
    list_tables,
    read_condition_numbers,
    read_replication,
    read_tables,
)


def test_tables_are_there_in_full() -> None:
    assert {name: len(rows) for name, rows in read_tables().items()} == {
        "table1": 7, "table2": 3, "table3": 1, "table4": 1, "table5": 6, "table6": 24, "table7": 18, "table8": 9,
        "reduction": 9,
    }  # fmt: skip
    assert {name: len(rows) for name, rows in read_replication().items()} == {
        "table1": 8, "table3": 1, "table7": 10, "reduction": 9, "replication": 15, "cifar100": 3,
    }  # fmt: skip
    assert list_tables() == (*read_tables(), "replication", "cifar100")


def test_names_are_unique_within_a_table() -> None:
    for rows in (*read_tables().values(), *read_replication().values()):
        assert len({row.name for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("table", "arm", "kind", "field", "value"),
    [
        ("table1", "Parameter Initialization", "published", "accuracy_sd", 0.22),
        ("table1", "all  nondeterminism SOURCES", "replicated", "ensemble_delta", 1.84),
        ("table1", "Control", "replicated", "correlation", 1.0),
        ("table2", "Stochastic Operations", "published", "ensemble_perplexity_delta", -2.08),
        ("table4", "random bit change", "published", "perplexity_sd", 0.19),
        ("table3", "Random Bit Change", "published", "disagreement", 10.6),
        ("table3", "Random Bit Change", "replicated", "accuracy_sd_error", 0.014),
        ("table5", "Vanilla (N=5)", "published", "cross_entropy_sd", 0.0028),
        ("table6", "vgg11: Random Bit Change", "published", "disagreement", 6.5),
        ("table7", "all, lr 0.40, 2000 epochs", "published", "correlation", 0.828),
        ("table7", "shuffle, lr 0.40, 400 epochs", "replicated", "cross_entropy_sd_error", 0.0011),
        ("table7", "bit, lr 0.40, 200 epochs", "replicated", "correlation", 0.898),
        ("table8", "linear: Random bit change", "published", "disagreement", 0.0),
        ("table1", "cuDNN", "replicated", "accuracy_sd_error", 0.01),
        ("table1", "Random Bit Change", "published", "disagreement", 10.6),
        ("reduction", "Flip at test time", "published", "disagreement", 8.2),
        ("reduction", "flip at test time", "replicated", "disagreement", 8.0),
        ("reduction", "Flip and 81 crops at test time", "replicated", "disagreement", 6.9),
        ("reduction", "Snapshot, flip and 81 crops at test time", "published", "correlation", 0.972),
        ("replication", "Random Bit Change, 10 replicas", "replicated", "accuracy_sd_error", 0.047),
        ("cifar100", "Parameter Initialization", "replicated", "ensemble_delta", 2.63),
    ],
)
def test_rows_are_found_by_the_arms_name(table: str, arm: str, kind: str, field: str, value: float) -> None:
    rows = {row.kind: row for row in find_rows(table, arm)}
    assert rows[kind].figures[field] == value


def test_nothing_is_found_where_nothing_was_published() -> None:
    assert find_rows("table1", "Weather") == ()
    assert find_rows("table99", "Control") == ()


def test_figures_lie_where_such_figures_can_lie() -> None:
    for row in [row for read in (read_tables, read_replication) for rows in read().values() for row in rows]:
        assert row.replicas in (10, 20, 25, 50, 75, 100)
        if "perplexity_sd" in row.figures:
            assert set(row.figures) == set(list_published(text=True))
            assert row.figures["ensemble_perplexity_delta"] < 0 < row.figures["perplexity_sd"] < 1
            continue
        assert set(row.figures) == set(list_published(text=False))
        assert 0 <= row.figures["accuracy_sd"] < 1
        assert 0 <= row.figures["disagreement"] < 35
        assert 0.6 < row.figures["correlation"] <= 1


def test_replicated_errors_shrink_as_theory_has_it() -> None:
    """The error of an SD over R replicas is near SD / sqrt(2R), and the bootstrap's is too small for few of them."""
    for row in read_replication()["replication"]:
        expected = row.figures["accuracy_sd"] / math.sqrt(2 * row.replicas)
        assert 0.6 < row.figures["accuracy_sd_error"] / expected < 1.3


def test_baseline_is_one_network_trained_as_the_row() -> None:
    def find(table: str, arm: str) -> dict[str, float]:
        return dict(find_rows(table, arm)[0].baseline)

    resnet = {"accuracy_mean": 90.0, "cross_entropy_mean": 0.3519}
    assert find("table1", "cuDNN") == find("table5", "Vanilla (N=1)") == resnet
    assert find("table7", "init, lr 0.40, 500 epochs") == find("reduction", "Single model") == resnet
    assert find("table4", "Random Bit Change") == {"perplexity_mean": 75.49}
    assert find("table6", "mnist-cnn: Random Bit Change") == {"accuracy_mean": 99.14}
    for table, arm in (("table5", "Snapshot"), ("table6", "vgg11: Random Bit Change"),
                       ("table7", "all, lr 0.40, 50 epochs")):  # fmt: skip
        assert find(table, arm) == {}, "another network or another training"


def test_condition_numbers_follow_from_the_published_run() -> None:
    numbers = read_condition_numbers()
    change = 2.0**-31
    assert numbers["cross_entropy"] == pytest.approx((0.3519 - 0.34335) / change, rel=0.03)
    assert numbers["accuracy"] == pytest.approx((90.12 - 90.0) / change, rel=0.02)
