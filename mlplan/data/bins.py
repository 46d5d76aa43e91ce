"""Expression trees that count a column into bins and categories, and the counts back from their answers.

The only place that knows how the embedded engine spells a histogram; `profile` decides what is counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlplan.data.relation import call, text
from mlplan.data.trees import cast, grouped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlglot import Expr

_MARK = "="
"""Stands before every category: the engine calls the bin of all other values "", which is a possible value too."""


_TAILS = (0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
"""Further edges at both ends: the last hundredth of a skewed column reaches further than all others, and distances that are
measured in values live there.
"""


@dataclass(frozen=True)
class Histogram:
    """What to count of a value: numbers by `edges`, texts by `categories` when it is None."""

    value: Expr
    edges: tuple[float, ...] | None = None
    categories: tuple[str, ...] = ()


def count_in(histogram: Histogram) -> Expr:
    """Return the embedded engine's aggregate for a histogram; read its answer with `counts_in`."""
    if histogram.edges is not None:
        return count_bins(histogram.value, histogram.edges)
    return count_categories(histogram.value, histogram.categories)


def counts_in(answer: Any, histogram: Histogram) -> tuple[int, ...]:
    """Return counts of shape (edges + 1,): below, in each bin, above; or (categories + 1,): of each, then of all others."""
    if histogram.edges is not None:
        return bin_counts(answer, histogram.edges)
    return category_counts(answer, histogram.categories)


def edges_of(values: Sequence[float] | NDArray[np.float64], bins: int) -> tuple[float, ...]:
    """Return sorted, different edges at the quantiles of sampled finite values; () when there is no value.

    Where many values are equal to the largest one it gets a bin of its own, so that a column of zeros and ones has two.
    """
    import numpy as np

    if not len(values):
        return ()
    sample = np.asarray(values, dtype=np.float64)
    cut = np.quantile(sample, np.linspace(0, 1, bins + 1), method="inverted_cdf")
    tails = [share for share in _TAILS if share * bins < 1]
    far = np.quantile(sample, [0.0, *tails, *(1 - share for share in tails)], method="inverted_cdf")
    edges = np.unique(np.concatenate([cut, far]))
    if len(edges) == 1 or cut[-2] == cut[-1]:
        edges = np.append(edges, np.nextafter(edges[-1], np.inf))
    return tuple(float(edge) for edge in edges if math.isfinite(edge))


def count_bins(value: Expr, edges: Sequence[float]) -> Expr:
    """Return the aggregate that counts numbers into the bins of `edges`; read its answer with `bin_counts`.

    The engine's bins include their upper end and ours their lower one, so it counts the negated values. The last bin is
    closed: its upper edge moves to the next number.
    """
    from sqlglot import exp

    uppers = ", ".join(repr(-edge) for edge in reversed(shifted(edges)))
    # one text that the engine takes apart: a tree of a hundred casts a column takes longer to write than many rows to count
    return call("HISTOGRAM", exp.Neg(this=grouped(value.copy())), cast(text(f"[{uppers}]"), "DOUBLE[]"))


def bin_counts(answer: Mapping[float, int] | None, edges: Sequence[float]) -> tuple[int, ...]:
    """Return counts of shape (edges + 1,): below the first edge, in each bin, above the last edge."""
    counted = answer or {}
    inside = [int(counted.get(-low, 0)) for low in shifted(edges)]  # inside[i]: edge_i <= value < edge_i+1; last: above
    below = sum(int(n) for n in counted.values()) - sum(inside)
    return (below, *inside)


def count_categories(value: Expr, categories: Sequence[str]) -> Expr:
    """Return the aggregate that counts texts by category; read its answer with `category_counts`."""
    from sqlglot import exp

    marked = exp.DPipe(this=text(_MARK), expression=value.copy())
    return call("HISTOGRAM_EXACT", marked, exp.Array(expressions=[text(_MARK + c) for c in categories]))


def category_counts(answer: Mapping[str, int] | None, categories: Sequence[str]) -> tuple[int, ...]:
    """Return counts of shape (categories + 1,): of each, then of all other values."""
    counted: dict[str, Any] = dict(answer or {})
    known = [int(counted.get(_MARK + category, 0)) for category in categories]
    return (*known, sum(int(n) for n in counted.values()) - sum(known))


def shifted(edges: Sequence[float]) -> list[float]:
    """Return the edges as they are compared: the last bin is closed, so its upper edge moves to the next number."""
    return [*edges[:-1], math.nextafter(edges[-1], math.inf)]
