"""The table of `gpu.py`, in plain text, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from engine.catalog.work import COUNTED_AS, ROW_EPOCHS, Load, estimate_s, find_gpu

HEADS = ("precision", "design", "images/s", "hours for a row", "bandwidth", "arithmetic", "GiB")


def write_table(found: dict[str, Any]) -> str:
    """What was measured and what was left out, to be read on a terminal.

    Args:
        found: What `gpu.py` writes as JSON.
    """
    records: list[dict[str, Any]] = found["records"]
    card = next(_of_kind(records, "card"), None)
    lines = ["REHEARSAL ON A CPU: no figure means anything"] if found["rehearsal"] else []
    if card is not None:
        peaks = ", ".join(f"{name} {peak / 1e12:.1f}" for name, peak in card["product_flops_per_s"].items())
        lines += [
            f"{card['name']}, {card['memory_gib']:.0f} GiB; torch {card['torch']}, CUDA {card['cuda']}, "
            f"cuDNN {card['cudnn']}, Python {card['python']}",
            f"copy {card['copy_bytes_per_s'] / 1e9:.0f} GB/s, product of matrices {peaks} TFLOP/s",
            "",
        ]
    lines += ["A row of Table 1: 100 replicas of 500 epochs, resnet14 on images like CIFAR-10's, batches of 512"]
    lines += align([HEADS, *(_row(record, records, card) for record in _of_kind(records, "design"))])
    lines += [*_estimates(records, card), "", *_claims(records)]
    lines += [f"left out: {part}: {problem}" for part, problem in found["left_out"].items()]
    return "\n".join([*lines, f"{found['seconds']:.0f} s"])


def _of_kind(records: Iterable[dict[str, Any]], kind: str) -> Iterator[Any]:
    return (record for record in records if record["kind"] == kind)


def _row(record: dict[str, Any], records: list[dict[str, Any]], card: dict[str, Any] | None) -> tuple[str, ...]:
    """A line of the table; the shares are the seconds that the card needs at its best for an epoch's work."""
    refused = " (recording failed)" if record.get("refused") else ""
    head = (record["precision"], f"{record['design']}{refused}")
    if "problem" in record:
        return (*head, record["problem"], "", "", "", "")
    shares = ("", "")
    work = _find_work(records, record["precision"])
    if card is not None and work is not None:
        moving_s = work["epoch_bytes"] / card["copy_bytes_per_s"]
        computing_s = work["epoch_flops"] / card["product_flops_per_s"][record["precision"]]
        shares = (f"{moving_s / record['epoch_s']:.0%}", f"{computing_s / record['epoch_s']:.0%}")
    return (
        *head,
        f"{record['images_per_s']:,.0f}",
        f"{record['row_hours']:.2f}",
        *shares,
        f"{record['memory_gib']:.1f}",
    )


def _find_work(records: list[dict[str, Any]], precision: str) -> dict[str, Any] | None:
    counted = _of_kind(records, "work")
    return next((record for record in counted if record["precision"] == COUNTED_AS[precision]), None)


def _estimates(records: list[dict[str, Any]], card: dict[str, Any] | None) -> list[str]:
    """What the counted model had said of this card."""
    gpu = None if card is None else find_gpu(card["name"])
    if gpu is None:
        return []
    said: list[str] = []
    for precision in ("fp32", "tf32", "bf16"):
        work = _find_work(records, precision)
        if work is not None and gpu.computes(precision):
            load = Load(flops=work["epoch_flops"], moved=work["epoch_bytes"], kernels=work["epoch_kernels"])
            row = estimate_s(load, gpu, precision).times(ROW_EPOCHS / 3600)
            said.append(f"{precision} {row.least:.1f} to {row.most:.1f} h")
    return [f"estimated for an {gpu.name} before anything was timed: {', '.join(said)}"]


def _claims(records: list[dict[str, Any]]) -> list[str]:
    """What was seen of bits: repeated, between designs, after a kill, and with free kernels."""
    lines = [
        f"{record['design']}: an epoch repeated {record['repeats']} times: {_count(record['different'], 'end')}"
        for record in _of_kind(records, "determinism")
    ]
    for record in _of_kind(records, "same bits"):
        lines.append(f"{', '.join(record['designs'])}: {'the same bits' if record['same'] else 'OTHER BITS'}")
    for record in _of_kind(records, "resume"):
        bits = "the same bits" if record["same"] else "OTHER BITS"
        lines.append(
            f"two runs side by side, killed after epoch {record['killed_after_epoch']}, resumed after epoch "
            f"{record['resumed_from_epoch']}: {bits}"
        )
    kernels = [record["digests"] for record in _of_kind(records, "kernels")]
    if kernels:
        different = len({digest for digests in kernels for digest in digests})
        lines.append(f"free kernels in {len(kernels)} processes: {_count(different, 'gradient')} of one step")
    return lines


def _count(different: int, what: str) -> str:
    """How many different ones there were, in words where they were all the same."""
    return f"{different} different {what}s" if different > 1 else f"the same {what} each time"


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose columns begin, or for numbers end, below each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
