"""Bootstrap intervals (BCa) of statistics that have no closed form: average precision, F1, RMSE, log loss, and their
paired differences.

A statistic is something that can be recomputed under row weights, many at a time, and that knows its own delete-one
values:

- `Moments`: a smooth function of the mean of some columns (F1 of indicator columns, RMSE of squared errors, R² of
  three);
- `AveragePrecision`: sorted once; a resample is one cumulative sum of weights along that order;
- `Difference`: of two statistics over the same rows, which share every resample.

Cost. Draws are made in chunks of at most 2 M weights (about 80 MB at the peak). Up to `EXACT_ROWS` rows, or distinct
rows of a `Moments`, every draw reweights all of them: O(draws x rows). Beyond that the statistic is replaced by its
delete-one linearisation, sorted and pressed into 2,048 cells of about equal count, which are resampled: O(rows log
rows), then constant. Its error is of order 1/rows against a width of order 1/√rows. Acceleration always comes from the
exact delete-one values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from mlplan.judge.intervals import Array, Estimate, normal_quantile

DRAWS = 2000
EXACT_ROWS = 10_000
CELLS = 2048
CHUNK = 2_000_000


class Statistic(Protocol):
    """Something a bootstrap can resample."""

    @property
    def counts(self) -> Array:
        """Return how many rows each cell stands for; their sum is n. Shapes: (cells,)."""
        ...

    def under(self, weights: Array) -> Array:
        """Return the statistic under each row of weights. Shapes: (k, cells) -> (k,)."""
        ...

    def without_one(self) -> Array:
        """Return the statistic without one row of each cell. Shapes: (cells,)."""
        ...


@dataclass(frozen=True)
class Moments:
    """f(mean of the columns). Shapes: columns (cells, c), counts (cells,); function maps (k, c) to (k,)."""

    columns: Array
    counts: Array
    function: Callable[[Array], Array]

    @staticmethod
    def of(columns: Array, function: Callable[[Array], Array]) -> Moments:
        """Return the statistic of rows (n, c), equal rows joined when that helps (indicator columns)."""
        if len(columns) > CELLS and np.array_equal(columns, columns.astype(bool)) and columns.shape[1] <= 16:
            code = columns.astype(np.int64) @ (1 << np.arange(columns.shape[1]))
            _, first, count = np.unique(code, return_index=True, return_counts=True)
            return Moments(columns[first], count.astype(np.float64), function)
        return Moments(columns, np.ones(len(columns)), function)

    def under(self, weights: Array) -> Array:
        return self.function((weights @ self.columns) / weights.sum(axis=1, keepdims=True))

    def without_one(self) -> Array:
        total = self.counts.sum()
        return self.function((self.counts @ self.columns - self.columns) / (total - 1))


class AveragePrecision:
    """AP = Σ over distinct scores, highest first, of (recall gained) x precision, as scikit-learn defines it.

    Shapes: positive (n,) of bool, score (n,).
    """

    def __init__(self, positive: Array, score: Array) -> None:
        self.counts = np.ones(len(score))
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        self._positive = positive[self._order].astype(bool)
        self._ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(score) - 1)

    def under(self, weights: Array) -> Array:
        ordered = weights[:, self._order]
        taken = np.cumsum(ordered, axis=1)[:, self._ends]
        ordered *= self._positive
        found = np.cumsum(ordered, axis=1)[:, self._ends]
        gained = np.diff(found, axis=1, prepend=0.0)
        return np.asarray((gained * (found / np.maximum(taken, 1e-300))).sum(axis=1) / np.maximum(found[:, -1], 1e-300))

    def without_one(self) -> Array:
        """Return all delete-one values in O(n): below the row that left, precision changes; above it, nothing does."""
        taken = self._ends + 1.0
        found = np.cumsum(self._positive)[self._ends].astype(np.float64)
        gained = np.diff(found, prepend=0.0)
        fewer = np.maximum(taken - 1, 1e-300)
        group = np.searchsorted(self._ends, np.arange(len(self.counts)))
        above = np.append(0.0, np.cumsum(gained * found / taken))[:-1][group]

        def from_here(terms: Array) -> Array:
            return np.append(np.cumsum(terms[::-1])[::-1], 0.0)

        negative = above + from_here(gained * found / fewer)[group]
        own = ((gained - 1) * (found - 1) / fewer)[group]
        positive = above + own + from_here(gained * (found - 1) / fewer)[group + 1]
        total = found[-1]
        ordered = np.where(self._positive, positive / max(total - 1, 1), negative / total)
        values = np.empty(len(ordered))
        values[self._order] = ordered
        return values


@dataclass(frozen=True)
class Difference:
    """First minus second, over the same rows."""

    first: Statistic
    second: Statistic

    @property
    def counts(self) -> Array:
        return self.first.counts

    def under(self, weights: Array) -> Array:
        return self.first.under(weights) - self.second.under(weights)

    def without_one(self) -> Array:
        return self.first.without_one() - self.second.without_one()


def bca(
    statistic: Statistic, method: str, *, confidence: float, seed: int, strata: Array | None = None, draws: int = DRAWS
) -> Estimate:
    """Return the bias-corrected and accelerated bootstrap interval.

    strata: (cells,) of int, resampled apart so that each keeps its number of rows; None resamples all rows together.
    Source: Efron (1987), JASA 82: 171-185; acceleration by the jackknife, Efron & Tibshirani (1993), equation 14.15.
    """
    counts = statistic.counts
    n = int(counts.sum())
    value = float(statistic.under(counts[None, :])[0])
    kept = statistic.without_one()
    influence = np.average(kept, weights=counts) - kept
    scale = float(counts @ influence**2)
    if n < 2 or scale <= 1e-24 * max(value * value, 1e-300):  # every row says the same
        return Estimate(value, value, value, n, f"{method} (no variation)", confidence)
    skew = float(counts @ influence**3) / (6 * scale**1.5)
    if len(counts) > EXACT_ROWS:
        statistic, strata = _linearised(value, influence * (n - 1), counts, strata), None
    drawn = np.concatenate([statistic.under(w) for w in _weights(statistic.counts, strata, draws, seed)])
    below = np.count_nonzero(drawn < value) + 0.5 * np.count_nonzero(drawn == value)
    bias = float(special.ndtri(np.clip(below / draws, 0.5 / draws, 1 - 0.5 / draws)))
    z = bias + np.array([-1.0, 1.0]) * normal_quantile(confidence)
    low, high = np.quantile(drawn, special.ndtr(bias + z / np.maximum(1 - skew * z, 1e-6)))
    return Estimate(value, float(low), float(high), n, method, confidence)


def _linearised(value: float, influence: Array, counts: Array, strata: Array | None) -> Moments:
    """Return value + mean(influence) over at most CELLS cells. Within a stratum the mean is fixed, so it is taken
    out."""
    centred = influence - np.average(influence, weights=counts)
    if strata is not None:
        for stratum in np.unique(strata):
            inside = strata == stratum
            centred[inside] -= np.average(centred[inside], weights=counts[inside])
    order = np.argsort(centred)
    edge = max(CELLS // 8, 1)  # the most influential rows stay alone, so that heavy tails are not averaged away
    middle = np.array_split(order[edge:-edge], CELLS - 2 * edge)
    parts = [*np.split(order[:edge], edge), *middle, *np.split(order[-edge:], edge)]
    weight = np.array([counts[part].sum() for part in parts])
    mean = np.array([counts[part] @ centred[part] for part in parts]) / weight
    return Moments(mean[:, None], weight, lambda means: value + means[:, 0])


def _weights(counts: Array, strata: Array | None, draws: int, seed: int) -> Iterator[Array]:
    """Yield chunks (k, cells) of resampled counts; every row sums to n, and within each stratum to its size."""
    random = np.random.default_rng(seed)
    cells = len(counts)
    groups = [np.arange(cells)] if strata is None else [np.flatnonzero(strata == s) for s in np.unique(strata)]
    step = max(1, min(draws, CHUNK // cells))
    for start in range(0, draws, step):
        k = min(step, draws - start)
        weights = np.empty((k, cells))
        for group in groups:
            size = int(counts[group].sum())
            if size == len(group):  # rows, not cells: drawing indices is far quicker than a multinomial
                drawn = random.integers(len(group), size=(k, size)) + np.arange(k)[:, None] * len(group)
                weights[:, group] = np.bincount(drawn.ravel(), minlength=k * len(group)).reshape(k, len(group))
            else:
                weights[:, group] = random.multinomial(size, counts[group] / size, size=k)
        yield weights
