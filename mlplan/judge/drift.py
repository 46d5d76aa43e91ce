"""Drift: has the distribution of a column moved further than allowed, and further than chance moves it?

With a million rows every p-value says drift, with a hundred every distance is large. So a column drifts when its distance
is over the limit and beyond the noise floor: what two samples of these sizes from one distribution show, by multinomial
resampling of the pooled profile. `false_alarm_rate` bounds how often that happens by chance over all columns together
(Benjamini-Hochberg). A distance over the limit that chance explains is inconclusive. Missing values are a bin of their
own, as are values outside the reference's range and categories it did not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlplan.judge.bars import bars
from mlplan.judge.distances import (
    Counts,
    Distance,
    as_counts,
    chi_square,
    cohens_w,
    jensen_shannon,
    kolmogorov_p,
    kolmogorov_smirnov,
    psi,
    wasserstein,
)
from mlplan.judge.gates import limit_text, number
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.profile import ColumnProfile, Profile

DISTANCES = ("psi", "jensen_shannon", "wasserstein", "ks", "chi2")
_BINNED = {"psi": psi, "jensen_shannon": jensen_shannon, "chi2": cohens_w}
_WORDS = {
    "psi": "PSI", "jensen_shannon": "Jensen-Shannon", "wasserstein": "Wasserstein", "ks": "KS", "chi2": "chi-square effect",
}  # fmt: skip
_MOST_GROUPS = 20
_LEAST_GROUPS = 5
_ROWS_A_GROUP = 25
"""Bins are merged until each expects about as many rows: distances over many nearly empty bins are mostly noise."""
_REPLICATES = 1_000
_RARE = 1e-3
"""The chance at which values outside of the reference's range are no accident."""
_CONFIDENCE = 0.95


def judge_drift(
    subject: str,
    reference: Profile,
    current: Profile,
    columns: Sequence[str] | None,
    distance: str | None,
    at_most: float,
    false_alarm_rate: float = 0.01,
    min_rows: int = 500,
    seed: int = 0,
) -> list[Evidence]:
    """Return one piece of evidence a column. columns: None for all of the reference. distance: None for PSI.

    false_alarm_rate: how often columns that did not change may be called drift. min_rows: fewer current rows are
    inconclusive. seed: of the resampling, so that the same profiles give the same evidence.
    """
    method = distance or "psi"
    wanted = list(reference.columns) if columns is None else list(columns)
    measured: list[_Measured] = []
    found: list[Evidence] = []
    for position, column in enumerate(wanted):
        left, right = reference.columns.get(column), current.columns.get(column)
        problem = _problem(left, right, column)
        if problem or left is None or right is None:
            found.append(_unmeasured(f"{subject}.{column}", column, Verdict.ERROR, problem, method, at_most))
        elif min(left.n, right.n) < max(1, min_rows):
            side, n = ("the reference has", left.n) if left.n < min_rows else ("the window has", right.n)
            message = f"{column}: {side} {n:,} rows, at least {min_rows:,} are needed"
            found.append(_unmeasured(f"{subject}.{column}", column, Verdict.INCONCLUSIVE, message, method, at_most, n))
        else:
            measured.append(_measure(left, right, method, np.random.default_rng([seed, position])))
    significant = benjamini_hochberg([m.p for m in measured], false_alarm_rate)
    found += [_judge(subject, m, at_most, bool(beyond)) for m, beyond in zip(measured, significant, strict=True)]
    order = {column: position for position, column in enumerate(wanted)}
    return sorted(found, key=lambda e: order[e.details["column"]])


def benjamini_hochberg(p_values: Sequence[float], rate: float) -> NDArray[np.bool_]:
    """Return which hypotheses are rejected at a false discovery rate.

    Shapes: result (len(p_values),). Source: Y. Benjamini and Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289-300.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not p.size:
        return np.zeros(0, dtype=np.bool_)
    order = np.argsort(p, kind="stable")
    below = np.nonzero(p[order] <= rate * np.arange(1, p.size + 1) / p.size)[0]
    rejected = np.zeros(p.size, dtype=np.bool_)
    if below.size:
        rejected[order[: below[-1] + 1]] = True
    return rejected


@dataclass(frozen=True)
class _Measured:
    """One column: its distance, what chance would show, and what moved."""

    column: str
    method: str
    value: float
    interval: tuple[float, float]
    p: float
    noise: float
    floor: float
    n: int
    shares: dict[str, tuple[float, float]]
    details: dict[str, Any]


def _measure(left: ColumnProfile, right: ColumnProfile, method: str, random: np.random.Generator) -> _Measured:
    # an ordered distance has no place for a missing value: the change of their share is looked at beside it
    ordered = method in ("ks", "wasserstein") and left.type == "numeric" and len(left.edges) > 1
    with_nulls = not ordered
    reference, current = _counts(left, with_nulls), _counts(right, with_nulls)
    if ordered and method == "wasserstein":
        measure: Distance = wasserstein(np.asarray(left.edges), _spread(left))
    elif ordered:
        measure = kolmogorov_smirnov
    else:
        outside = _left_the_range(reference[:-1], current[:-1]) if left.type == "numeric" else (False, False)
        reference, current = _grouped(reference, current, left.type == "numeric", outside)
        measure = _BINNED.get(method, _total_variation)
    if ordered:
        reference, current, measure = _beside_missing(left, right, reference, current, measure)
    value = float(measure(reference, current))
    if ordered and method == "wasserstein" and any(_left_the_range(reference[:-1], current[:-1])):
        value = max(value, _mean_shift(left, right))
    null = _resampled(measure, reference, current, random)
    details: dict[str, Any] = {}
    if method == "chi2":
        details["chi2"], details["chi2_p"] = chi_square(reference, current)
    if method == "ks" and ordered:
        details["ks_p"] = kolmogorov_p(value, left.n - left.nulls, right.n - right.nulls)
    details["bars"] = bars(left, right)
    return _Measured(
        left.name, method, value, _interval(measure, reference, current, value, random), _p_value(value, null),
        float(null.mean()), float(np.quantile(null, 0.99)), right.n, _shares(left, right), details,
    )  # fmt: skip


def _counts(column: ColumnProfile, with_nulls: bool) -> Counts:
    return as_counts([*column.counts, *([column.nulls] if with_nulls else [])])


def _beside_missing(
    left: ColumnProfile, right: ColumnProfile, reference: Counts, current: Counts, measure: Distance
) -> tuple[Counts, Counts, Distance]:
    """Return counts with missing values in a last bin, and a distance that is the larger one of the values' distance
    and the change of the missing share.
    """

    def both(p: Counts, q: Counts) -> NDArray[np.float64]:
        values = measure(p[..., :-1], q[..., :-1])
        empty = (p[..., :-1].sum(axis=-1) == 0) | (q[..., :-1].sum(axis=-1) == 0)
        missing = np.abs(p[..., -1] / p.sum(axis=-1) - q[..., -1] / q.sum(axis=-1))
        return np.asarray(np.maximum(np.where(empty, 0.0, values), missing))

    return np.append(reference, float(left.nulls)), np.append(current, float(right.nulls)), both


def _total_variation(reference: Counts, current: Counts) -> NDArray[np.float64]:
    """Return half the sum of |p - q|: what the ordered distances become where values have no order."""
    p = reference / reference.sum(axis=-1, keepdims=True)
    q = current / current.sum(axis=-1, keepdims=True)
    return np.asarray(np.abs(p - q).sum(axis=-1) / 2)


def _left_the_range(reference: Counts, current: Counts) -> tuple[bool, bool]:
    """Return whether more values lie below, and above, the reference's range than chance puts there.

    The edges are the reference's own extremes, so it has no value outside and a window of the same distribution has a
    few: more than k beyond one end with a chance of (m / (n + m))^(k + 1), since all orders of the values are alike.
    """
    n, m = max(float(reference.sum()), 1.0), max(float(current.sum()), 1.0)
    most = math.log(_RARE) / math.log(m / (n + m))
    return (reference[0] > 0 or current[0] > most, reference[-1] > 0 or current[-1] > most)


def _grouped(reference: Counts, current: Counts, numeric: bool, outside: tuple[bool, bool]) -> tuple[Counts, Counts]:
    """Merge bins so that each holds enough rows to say something: neighbours of numbers, rare categories into one.

    The last count is that of missing values. outside: whether what lies below and above the range stays apart.
    """
    groups = int(np.clip(min(reference.sum(), current.sum()) // _ROWS_A_GROUP, _LEAST_GROUPS, _MOST_GROUPS))
    values = reference[:-1]
    if numeric and len(values) > 2:
        inside = np.cumsum(values[1:-1]) - values[1:-1] / 2
        label = 1 + np.minimum(groups - 1, inside * groups / max(values[1:-1].sum(), 1.0)).astype(int)
        below, above = (0 if outside[0] else label[0]), (groups + 1 if outside[1] else label[-1])
        labels = np.concatenate([[below], label, [above]])
    elif numeric:
        labels = np.arange(len(values))
    else:
        rank = np.argsort(np.argsort(-values[:-1], kind="stable"), kind="stable")
        rare = rank >= _MOST_GROUPS
        labels = np.concatenate([np.where(rare, _MOST_GROUPS, rank), [_MOST_GROUPS + 1]])
    labels = np.append(labels, groups + _MOST_GROUPS)
    _, labels = np.unique(labels, return_inverse=True)
    merged = np.stack([np.bincount(labels, weights=counts) for counts in (reference, current)])
    merged = merged[:, merged.sum(axis=0) > 0]
    return merged[0], merged[1]


def _resampled(measure: Distance, reference: Counts, current: Counts, random: np.random.Generator) -> NDArray[Any]:
    """Return the distances of pairs of samples of these sizes from the pooled distribution. Shapes: (replicates,)."""
    n, m = int(reference.sum()), int(current.sum())
    pooled = (reference + current) / (n + m)
    left = random.multinomial(n, pooled, size=_REPLICATES).astype(np.float64)
    right = random.multinomial(m, pooled, size=_REPLICATES).astype(np.float64)
    return np.asarray(measure(left, right))


def _p_value(value: float, null: NDArray[Any]) -> float:
    """Return how often chance shows as much; beyond the resampled distances, by a gamma distribution fitted to them."""
    from scipy import special

    at_least = int((null >= value).sum())
    counted = (1 + at_least) / (len(null) + 1)
    mean, variance = float(null.mean()), float(null.var())
    if at_least or mean <= 0 or variance <= 0:
        return counted
    tail = float(special.gammaincc(mean**2 / variance, value * mean / variance))
    return min(counted, tail)


def _interval(
    measure: Distance, reference: Counts, current: Counts, value: float, random: np.random.Generator
) -> tuple[float, float]:
    """Return the basic bootstrap interval of the distance: resampling both sides, reflected about the value, which
    takes back the distance that sampling alone adds.
    """
    n, m = int(reference.sum()), int(current.sum())
    left = random.multinomial(n, reference / n, size=_REPLICATES // 4).astype(np.float64)
    right = random.multinomial(m, current / m, size=_REPLICATES // 4).astype(np.float64)
    low, high = np.quantile(measure(left, right), [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return max(0.0, 2 * value - float(high)), max(0.0, 2 * value - float(low))


def _spread(column: ColumnProfile) -> float:
    if column.deviation and np.isfinite(column.deviation):
        return column.deviation
    width = column.edges[-1] - column.edges[0]
    return width if width > 0 else 1.0


def _mean_shift(left: ColumnProfile, right: ColumnProfile) -> float:
    """Return the difference of the means: never more than the distance, and exact where everything left the range."""
    if left.mean is None or right.mean is None or not left.counts or not np.isfinite(left.mean - right.mean):
        return 0.0
    return abs(right.mean - left.mean) / _spread(left)


def _shares(left: ColumnProfile, right: ColumnProfile) -> dict[str, tuple[float, float]]:
    """Return the shares that are always looked at, of the reference and of the current rows."""

    def share(column: ColumnProfile, count: int) -> float:
        return count / column.n if column.n else 0.0

    found = {"missing": (share(left, left.nulls), share(right, right.nulls))}
    if left.type == "numeric":
        outside = [c.counts[0] + c.counts[-1] if len(c.counts) > 1 else 0 for c in (left, right)]
        found["outside the range"] = (share(left, outside[0]), share(right, outside[1]))
    else:
        found["in other categories"] = (share(left, left.counts[-1]), share(right, right.counts[-1]))
    return found


def _problem(left: ColumnProfile | None, right: ColumnProfile | None, column: str) -> str:
    if left is None:
        return f"{column}: the reference has no profile of it"
    if right is None:
        return f"{column}: it is not in the current data"
    if (left.type, left.edges, left.categories) != (right.type, right.edges, right.categories):
        return f"{column}: the two profiles are counted in different bins"
    return ""


def _unmeasured(
    subject: str, column: str, verdict: Verdict, message: str, method: str, at_most: float, n: int = 0
) -> Evidence:
    question = f"{_WORDS[method]} of {column} ≤ {limit_text(at_most)}"
    return Evidence(
        subject, question, verdict, method=method, n=n, limit=at_most, message=message, details={"column": column}
    )


def _judge(subject: str, found: _Measured, at_most: float, beyond_noise: bool) -> Evidence:
    over = found.value > at_most
    verdict = Verdict.PASS if not over else Verdict.FAIL if beyond_noise else Verdict.INCONCLUSIVE
    words = _WORDS[found.method]
    message = f"{found.column} {words} {number(found.value)}, {'limit' if over else 'wanted ≤'} {limit_text(at_most)}"
    if verdict is Verdict.INCONCLUSIVE:
        message += f": too few rows to tell it from chance ({number(found.floor)} is noise with {found.n:,} rows)"
    for what, (before, now) in found.shares.items():
        if over and abs(now - before) >= 0.01:
            message += f", {what} {before:.1%} → {now:.1%}"
    more = {k: v for k, v in found.details.items() if k != "bars" or verdict is not Verdict.PASS}
    details = {
        "column": found.column, "p": found.p, "noise_mean": found.noise, "noise_floor": found.floor,
        "shares": {what: list(pair) for what, pair in found.shares.items()}, **more,
    }  # fmt: skip
    return Evidence(
        f"{subject}.{found.column}", f"{words} of {found.column} ≤ {limit_text(at_most)}", verdict, method=found.method,
        estimate=found.value, interval=found.interval, confidence=_CONFIDENCE, n=found.n, limit=at_most, details=details,
        message=message,
    )  # fmt: skip
