"""Measures between two replicas, for all pairs at once: R x R matrices from R sets of logits.

What scipy would do per pair is done per replica: ranks are computed once, and all correlations are one matrix
product, as are all disagreements. Only the ensembles of two have to be formed pair by pair.

Shapes: R replicas, N examples, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.metrics.formulas import UndefinedError
from engine.metrics.logits import Logits
from engine.metrics.outputs import IMAGE_FORMULAS, PART_VALUES, ImageOutputs
from engine.metrics.pairs import ROWS_AT_ONCE, Matrix, find_groups, mirror
from engine.metrics.parallel import each_in_parallel
from engine.metrics.ranks import RANK_BYTES, choose_type, rank_replicas

PRODUCT_VALUES = 2**19
"""Numbers of all rows whose products are formed in one step: in float64 they have to fit the processor's cache."""

NEARLY_ONE = 1.0 - 1e-9


STREAMS = 8
"""Sums that are formed beside each other and then added up, as many on every machine: the result has the same bits."""


class Products:
    """Adds up the products of rows (R, M) that come a block of columns at a time, float64 (R, R)."""

    def __init__(self, rows: int) -> None:
        """Begin without columns."""
        self._sum: Matrix = np.zeros((rows, rows), order="F")

    def add(self, part: np.ndarray) -> None:
        """Add a block of columns, any numbers (R, B)."""
        block = np.ascontiguousarray(part, dtype=np.float64)
        if len(block) <= ROWS_AT_ONCE:
            self._sum += block @ block.T  # lets other threads go on, which the other does not
        else:
            from scipy.linalg import blas  # noqa: PLC0415 - takes as long to load as all else here

            # Only the upper triangle is formed, in place.
            self._sum = blas.dsyrk(1.0, block.T, beta=1.0, c=self._sum, trans=1, overwrite_c=1)

    def finish(self) -> Matrix:
        """Return the products of all columns, symmetric."""
        return mirror(self._sum)


def add_products(rows: int, blocks: Sequence[slice], take: Callable[[slice], np.ndarray]) -> Matrix:
    """Return the products of rows, float64 (R, R), summed over blocks of columns.

    Args:
        rows: R.
        blocks: Where the blocks lie.
        take: Gives a block (R, B); is called from several threads.
    """
    streams = STREAMS if rows <= ROWS_AT_ONCE else 1  # of many rows, one sum is large
    sums = [Products(rows) for _ in range(streams)]

    def add(stream: int) -> None:
        for block in blocks[stream::streams]:
            sums[stream].add(take(block))

    each_in_parallel(add, range(streams))
    return sum((products.finish() for products in sums[1:]), start=sums[0].finish())


def split_columns(rows: int, columns: int) -> range:
    """Return the starts of blocks of columns whose products are formed in one step; its step is their length."""
    return range(0, columns, max(1, PRODUCT_VALUES // rows))


def correlate(products: Matrix, are_equal: Callable[[int, int], bool]) -> Matrix:
    """Turn the products of rows of mean zero into their correlations, in place.

    Args:
        products: float64 (R, R).
        are_equal: Tells whether two rows hold the same numbers: their correlation is exactly 1.

    Returns:
        NaN where a row is constant.
    """
    squares = np.diagonal(products).copy()
    constant = squares <= 1e-300
    sizes = np.sqrt(np.where(constant, 1.0, squares))
    products /= sizes[:, None]
    products /= sizes[None, :]
    np.clip(products, -1.0, 1.0, out=products)
    group = find_groups(len(products), lambda i: np.flatnonzero(products[i, :i] > NEARLY_ONE), are_equal)
    np.fill_diagonal(products, 1.0)
    for first in np.unique(group[group != np.arange(len(group))]):
        members = np.flatnonzero(group == first)
        products[np.ix_(members, members)] = 1.0
    products[constant, :] = np.nan
    products[:, constant] = np.nan
    return products


def rank_correlation_matrix(logits: Logits) -> Matrix:
    """Return Spearman's rank correlation of two replicas' flattened logits, ties at their average rank.

    Returns:
        float64 (R, R); 1 where all ranks agree, NaN for a replica whose logits are all equal.

    Source: paper, section 3.1, "average correlation"; scipy.stats.spearmanr per pair.
    """
    replicas, examples, classes = logits.shape
    held = RANK_BYTES // (choose_type(examples * classes).itemsize * examples * classes)
    if held < replicas:
        return _correlate_in_turn(logits, max(1, held))
    ranks = rank_replicas(logits, range(replicas))
    return correlate(multiply_rows(ranks), lambda i, j: np.array_equal(ranks[i], ranks[j]))


def _correlate_in_turn(logits: Logits, held: int) -> Matrix:
    """Return correlations of ranks that cannot all be held: of some replicas at a time with each later one.

    The ranks of a replica are computed once for each group of `held` before it, which takes no more memory.
    """
    replicas = logits.shape[0]
    products, same = np.zeros((replicas, replicas)), np.eye(replicas, dtype=bool)
    for start in range(0, replicas, held):
        _multiply_group(logits, slice(start, min(start + held, replicas)), products, same)
    return correlate(products, lambda i, j: bool(same[i, j]))


def _multiply_group(logits: Logits, own: slice, products: Matrix, same: np.ndarray) -> None:
    """Fill in the products of some replicas' ranks with their own and all later ones', and which ranks are the same."""
    ranks = rank_replicas(logits, range(own.start, own.stop))
    products[own, own] = multiply_rows(ranks)
    squares = np.diagonal(products)[own]

    def compare(j: int, later: np.ndarray) -> None:
        along, square = multiply_row(ranks, later)
        products[own, j] = products[j, own] = along
        for i in np.flatnonzero(along > NEARLY_ONE * np.sqrt(squares * square)):
            same[own.start + i, j] = same[j, own.start + i] = np.array_equal(ranks[i], later)

    for j in range(own.start, len(products)):
        # Nothing here holds the ranks of one replica while those of the next are computed.
        compare(j, ranks[j - own.start] if j < own.stop else rank_replicas(logits, [j])[0])


def multiply_rows(rows: np.ndarray) -> Matrix:
    """Return the products of all pairs of rows (R, M), summed in float64; exact for ranks up to M of 200,000."""
    starts = split_columns(*rows.shape)
    blocks = [slice(start, start + starts.step) for start in starts]
    return add_products(len(rows), blocks, lambda block: rows[:, block])


def multiply_row(rows: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the products of rows (G, M) with one more, float64 (G,), and of that one with itself."""
    starts = split_columns(*rows.shape)
    along, square = np.zeros(len(rows)), 0.0
    for start in starts:
        part = row[start : start + starts.step].astype(np.float64)
        along += rows[:, start : start + starts.step].astype(np.float64) @ part
        square += float(part @ part)
    return along, square


def correlation_matrix(logits: Logits) -> Matrix:
    """Return Pearson's correlation of two replicas' flattened logits; see `rank_correlation_matrix`.

    Raises:
        UndefinedError: If a replica masks classes: it has no mean logit.
    """
    replicas, examples, classes = logits.shape
    means = np.empty(replicas)

    def average(replica: int) -> None:
        # Distances from one of the values are averaged, so that equal logits have exactly their value as mean.
        first = float(logits.read(replica, slice(0, 1))[0, 0])
        with np.errstate(invalid="ignore"):
            distances = (
                np.subtract(logits.read(replica, rows), first, dtype=np.float64).sum()
                for rows in logits.iterate_parts(PART_VALUES)
            )
            means[replica] = first + sum(distances) / (examples * classes)

    each_in_parallel(average, range(replicas))
    masked = np.flatnonzero(~np.isfinite(means))
    if len(masked):
        which = ", ".join(str(replica + 1) for replica in masked)
        raise UndefinedError(f"undefined: logits of −inf in replica {which}")
    blocks = list(logits.iterate_blocks(PRODUCT_VALUES))
    products = add_products(
        replicas, blocks, lambda rows: logits.take_block(rows).reshape(replicas, -1) - means[:, None]
    )
    return correlate(products, logits.are_equal)


@IMAGE_FORMULAS.computes("disagreement")
def measure_disagreement(outputs: ImageOutputs) -> Matrix:
    """Return the disagreement of all pairs."""
    return outputs.find_disagreements()


@IMAGE_FORMULAS.computes("correlation")
def measure_rank_correlation(outputs: ImageOutputs) -> Matrix:
    """Return the rank correlation of all pairs."""
    return _refuse_constants(rank_correlation_matrix(outputs.logits))


@IMAGE_FORMULAS.computes("pearson")
def measure_correlation(outputs: ImageOutputs) -> Matrix:
    """Return the linear correlation of all pairs."""
    return _refuse_constants(correlation_matrix(outputs.logits))


def _refuse_constants(correlations: Matrix) -> Matrix:
    """Return the correlations where all of them exist.

    Raises:
        UndefinedError: If the logits of a replica are all equal.
    """
    constant = np.flatnonzero(~np.isfinite(np.diagonal(correlations)))
    if len(constant):
        which = ", ".join(str(replica + 1) for replica in constant)
        raise UndefinedError(f"undefined: all logits of replica {which} are equal")
    return correlations
