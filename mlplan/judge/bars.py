"""Two distributions as a few bars side by side, for plots: small enough to be kept with the evidence of a drift."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from mlplan.ledger.profile import ColumnProfile

MOST_BARS = 20
_LONGEST = 40


def bars(reference: ColumnProfile, current: ColumnProfile) -> dict[str, Any]:
    """Return shares of the rows by bar: labels, reference and current, of two profiles in the same bins.

    numeric: bars of about equal share of the reference, and its edges; below and above its range where something lies
    there. categorical: the most frequent ones, then all others. Missing values are the last bar when there are any.
    """
    groups, labels, edges = _numeric(reference) if reference.type == "numeric" else _categorical(reference, current)
    counts = [
        np.bincount(groups, weights=np.asarray(c.counts, dtype=float), minlength=len(labels))
        for c in (reference, current)
    ]
    keep = [
        i for i, label in enumerate(labels) if label not in ("below", "above", "others") or counts[0][i] + counts[1][i]
    ]
    shares = [[_share(c[i], p.n) for i in keep] for c, p in zip(counts, (reference, current), strict=True)]
    shown = [labels[i] for i in keep]
    if reference.nulls or current.nulls:
        shown.append("missing")
        shares = [[*s, _share(p.nulls, p.n)] for s, p in zip(shares, (reference, current), strict=True)]
    return {
        "type": reference.type, "labels": shown, "edges": edges, "reference": shares[0], "current": shares[1],
        "n": [reference.n, current.n],
    }  # fmt: skip


def _share(count: float, n: int) -> float:
    return round(float(count) / n, 6) if n else 0.0


def _numeric(column: ColumnProfile) -> tuple[Any, list[str], list[float]]:
    """Return the bar of each count, the names of the bars, and the edges of those inside the range."""
    if len(column.edges) < 2:
        return np.arange(len(column.counts)), ["below", "values"][: len(column.counts)], []
    inside = np.asarray(column.counts[1:-1], dtype=float)
    middle = np.cumsum(inside) - inside / 2
    bars_wanted = min(MOST_BARS, len(inside))
    group = np.minimum(bars_wanted - 1, middle * bars_wanted / max(inside.sum(), 1.0)).astype(int)
    _, group = np.unique(group, return_inverse=True)
    starts = [int(np.argmax(group == g)) for g in range(group.max() + 1)]
    edges = [column.edges[s] for s in starts] + [column.edges[-1]]
    labels = ["below", *(f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)), "above"]
    return np.concatenate([[0], group + 1, [group.max() + 2]]), labels, [float(edge) for edge in edges]


def _categorical(reference: ColumnProfile, current: ColumnProfile) -> tuple[Any, list[str], list[float]]:
    size = len(reference.categories)
    weight = np.asarray(reference.counts[:size], dtype=float) / max(reference.n, 1)
    weight = np.maximum(weight, np.asarray(current.counts[:size], dtype=float) / max(current.n, 1))
    ranked = np.argsort(-weight, kind="stable")[: MOST_BARS - 1]
    group = np.full(size + 1, len(ranked))
    group[ranked] = np.arange(len(ranked))
    names = [reference.categories[i][:_LONGEST] for i in ranked]
    # a category that is called as the rest is told from it by its quotes
    return group, [*(f'"{n}"' if n in ("others", "missing", "") else n for n in names), "others"], []
