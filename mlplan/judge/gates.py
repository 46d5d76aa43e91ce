"""Gates: compare an estimate with a limit and say pass, fail or inconclusive, in words a person understands.

One rule for all: the whole interval on the right side of the limit passes, the whole interval on the wrong side fails,
an interval that straddles the limit is inconclusive and says how many rows would decide. So a pass is a statement with
the confidence of the interval, never luck. Callers add inputs, severity, owner and time with `dataclasses.replace`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from mlplan.judge.intervals import Array, Estimate, quantile_interval
from mlplan.judge.metrics import estimate
from mlplan.judge.registry import METRICS, canonical
from mlplan.ledger.evidence import Evidence, Verdict


def number(value: float) -> str:
    """Return a number as people read it: four significant digits, no exponent in ordinary ranges."""
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    digits = 4 if value == 0 or abs(value) < 1 else max(0, 3 - int(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def limit_text(value: float) -> str:
    """Return a limit as it was written: 0.9, 40, 200000000."""
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.10g}"


def judge_bound(
    subject: str,
    metric: str,
    value: Estimate,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    min_rows: int = 0,
) -> Evidence:
    """Judge an estimate against one limit: the worse end of the interval must satisfy it."""
    assert (at_least is None) != (at_most is None), "one limit, not none and not two"
    limit = at_least if at_least is not None else at_most
    assert limit is not None
    sign = "≥" if at_least is not None else "≤"
    question = f"{metric} {sign} {limit_text(limit)}"
    if not value.known:
        return _unmeasured(subject, question, value, limit)
    verdict = _compare(value, limit, upward=at_least is not None)
    details: dict[str, Any] = {"metric": metric}
    message = f"{metric} {_shown(value)}, wanted {sign} {limit_text(limit)}"
    if value.n < min_rows:
        verdict = Verdict.INCONCLUSIVE
        details["rows_needed"] = min_rows - value.n
        message += f": too few rows, {min_rows - value.n:,} more are needed"
    elif verdict is Verdict.INCONCLUSIVE:
        message += ": " + _needed(value, limit, details)
    return _evidence(subject, question, verdict, value, limit, details, message)


def judge_no_worse(
    subject: str, metric: str, difference: Estimate, margin: float, *, against: str = "live"
) -> Evidence:
    """Judge non-inferiority: candidate minus live, on the same rows, must not be worse than the margin.

    difference: of `metrics.difference(metric, y, candidate, live)`; margin: not negative, in the unit of the metric.
    """
    known = METRICS.get(canonical(metric))
    better = known is not None and known.greater_is_better
    limit = -abs(margin) if better else abs(margin)
    question = f"{metric} no worse than {against}, margin {limit_text(abs(margin))}"
    if not difference.known:
        return _unmeasured(subject, question, difference, limit)
    verdict = _compare(difference, limit, upward=better)
    details: dict[str, Any] = {"metric": metric, "against": against, "margin": abs(margin)}
    message = f"{metric} differs from {against} by {_shown(difference, sign=True)}, margin {limit_text(limit)}"
    if verdict is Verdict.INCONCLUSIVE:
        message += ": " + _needed(difference, limit, details)
    return _evidence(subject, question, verdict, difference, limit, details, message)


def judge_no_live(subject: str, metric: str, margin: float, *, against: str = "live") -> Evidence:
    """Return the evidence of a relative gate when there is nothing to compare with: it passes by rule, and says so."""
    return Evidence(
        subject, f"{metric} no worse than {against}, margin {limit_text(abs(margin))}", Verdict.PASS, method="rule",
        details={"metric": metric, "against": against},
        message=f"there is no {against} model to compare with: passes by rule",
    )  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """The rows of one slice. Shapes: y (n,), prediction (n,), score (n,) or (n, classes)."""

    y: Any
    prediction: Any = None
    score: Any = None


def judge_gap(
    subject: str,
    metric: str,
    slices: Mapping[str, Rows],
    largest_gap: float,
    *,
    across: str = "slice",
    min_rows: int = 1,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evidence:
    """Judge the largest difference of a metric between any two slices.

    A slice with fewer than `min_rows` rows, or where the metric has no value, is shown with the rows it still needs and
    does not decide; fewer than two large slices is inconclusive. Interval of a pair's difference: from both slices'
    intervals (MOVER, Zou & Donner 2008). Interval of the largest gap: its lower end is the largest lower end at
    Bonferroni's confidence 1 − α/pairs, so that no pair of many is accused by chance; its upper end the largest upper
    end at 1 − α, which needs no correction, as the pair that is truly worst is covered by its own (intersection-union,
    Berger 1982).
    """
    question = f"{metric} gap over {across} ≤ {limit_text(largest_gap)}"
    large = {str(k): r for k, r in slices.items() if len(r.y) >= min_rows}
    pairs = max(len(large) * (len(large) - 1) // 2, 1)
    levels = (confidence, 1 - (1 - confidence) / pairs)
    wide = {
        k: [estimate(metric, r.y, r.prediction, r.score, confidence=c, seed=seed) for c in levels]
        for k, r in large.items()
    }
    judged = {k: e for k, e in wide.items() if e[0].known}
    shown = {k: _slice_details(e[0]) for k, e in judged.items()}
    small: dict[str, dict[str, Any]] = {
        k: {"n": len(r.y), "rows_needed": max(min_rows - len(r.y), 0)}
        | ({"reason": wide[k][0].reason} if k in wide else {})
        for k, r in ((str(k), r) for k, r in slices.items())
        if k not in judged
    }
    details: dict[str, Any] = {"metric": metric, "across": across, "slices": shown, "too_small": small}
    n = sum(e[0].n for e in judged.values())
    if any(e[0].invalid for e in wide.values()):
        broken = next(e[0] for e in wide.values() if e[0].invalid)
        return _unmeasured(subject, question, broken, largest_gap)
    if len(judged) < 2:
        return _too_few_slices(subject, question, across, slices, min_rows, largest_gap, n, details)
    gaps = {p: [_gap(judged[p[0]][i], judged[p[1]][i]) for i in (0, 1)] for p in combinations(sorted(judged), 2)}
    worst = max(gaps, key=lambda p: gaps[p][0].value)
    low = max(g[1].low for g in gaps.values())
    high = max(g[0].high for g in gaps.values())
    total = Estimate(gaps[worst][0].value, low, high, n, "largest of all pairs (MOVER, Bonferroni)", confidence)
    top, bottom = sorted(worst, key=lambda k: -judged[k][0].value)
    details["worst_pair"] = {"highest": top, "lowest": bottom}
    message = (
        f"largest {metric} gap over {across} is {_shown(total)}, wanted ≤ {limit_text(largest_gap)}: {top} "
        f"{number(judged[top][0].value)} against {bottom} {number(judged[bottom][0].value)}"
    )
    verdict = _compare(total, largest_gap, upward=False)
    if verdict is Verdict.INCONCLUSIVE:
        message += "; " + _needed(total, largest_gap, details)
    if small:
        message += f"; too small to judge: {', '.join(sorted(small))}"
    return _evidence(subject, question, verdict, total, largest_gap, details, message)


def _too_few_slices(
    subject: str,
    question: str,
    across: str,
    slices: Mapping[str, Rows],
    min_rows: int,
    limit: float,
    n: int,
    details: Mapping[str, Any],
) -> Evidence:
    seen = ", ".join(sorted(map(str, slices))) or "no rows at all"
    message = f"fewer than two values of {across} have {min_rows:,} rows: {seen}"
    return Evidence(subject, question, Verdict.INCONCLUSIVE, n=n, limit=limit, details=details, message=message)


def judge_budget(
    subject: str,
    name: str,
    samples: Array,
    at_most: float,
    *,
    quantile: float,
    unit: str = "ms",
    confidence: float = 0.95,
) -> Evidence:
    """Judge a quantile of measured samples (latency) by its order-statistic interval. Shapes: samples (n,), any
    order."""
    question = f"{name} ≤ {limit_text(at_most)} {unit}".rstrip()
    value = quantile_interval(np.sort(np.asarray(samples, dtype=np.float64)), quantile, confidence)
    if not value.known:
        return _unmeasured(subject, question, value, at_most)
    verdict = _compare(value, at_most, upward=False)
    details: dict[str, Any] = {"quantile": quantile, "unit": unit}
    message = f"{name} {_shown(value, unit=unit)}, wanted ≤ {limit_text(at_most)} {unit}".rstrip()
    if verdict is Verdict.INCONCLUSIVE and math.isinf(value.high):
        least = math.ceil(math.log((1 - confidence) / 2) / math.log(quantile))
        details["rows_needed"] = least - value.n
        message += f": {least - value.n:,} more measurements are needed to bound it from above"
    elif verdict is Verdict.INCONCLUSIVE:
        message += ": " + _needed(value, at_most, details, what="measurements")
    return _evidence(subject, question, verdict, value, at_most, details, message)


def judge_measured(
    subject: str, name: str, value: float, at_most: float, *, unit: str = "", shown: str = ""
) -> Evidence:
    """Judge a number that is known exactly (bytes of an artifact, peak memory of a run). shown: the value as people
    write it."""
    verdict = Verdict.PASS if value <= at_most else Verdict.FAIL
    text = shown or f"{number(value)} {unit}".rstrip()
    question = f"{name} ≤ {limit_text(at_most)} {unit}".rstrip()
    message = f"{name} {text}, " + (
        "within its limit" if verdict is Verdict.PASS else f"over its limit of {limit_text(at_most)} {unit}"
    )
    return Evidence(
        subject,
        question,
        verdict,
        "measured",
        value,
        (value, value),
        n=1,
        limit=at_most,
        details={"unit": unit},
        message=message.rstrip(),
    )


def _compare(value: Estimate, limit: float, *, upward: bool) -> Verdict:
    worse, better = (value.low, value.high) if upward else (-value.high, -value.low)
    bound = limit if upward else -limit
    if worse >= bound:
        return Verdict.PASS
    return Verdict.FAIL if better < bound else Verdict.INCONCLUSIVE


def _needed(value: Estimate, limit: float, details: dict[str, Any], what: str = "rows") -> str:
    """Say how many rows more would decide, if the estimate stays: the width of an interval falls with the root of n."""
    distance = abs(value.value - limit)
    reach = value.value - value.low if value.value > limit else value.high - value.value
    if distance <= 1e-12 or not math.isfinite(reach):
        details["rows_needed"] = None
        return f"the estimate is too near the limit for any number of {what} to decide"
    more = max(math.ceil(value.n * (reach / distance) ** 2) - value.n, 1)
    details["rows_needed"] = more
    return f"not enough {what} to say, about {more:,} more would decide"


def _gap(a: Estimate, b: Estimate) -> Estimate:
    """Return |a − b| of two independent estimates. Source: Zou & Donner (2008), Statistics in Medicine 27: 1693-1702,
    eq. 3."""
    d = a.value - b.value
    low = d - math.hypot(a.value - a.low, b.high - b.value)
    high = d + math.hypot(a.high - a.value, b.value - b.low)
    return Estimate(abs(d), max(0.0, low, -high), max(abs(low), abs(high)), a.n + b.n, "mover", a.confidence)


def _slice_details(e: Estimate) -> dict[str, Any]:
    return {"estimate": e.value, "interval": list(e.interval) if e.interval else None, "n": e.n}


def _shown(value: Estimate, *, unit: str = "", sign: bool = False) -> str:
    mark = "+" if sign and value.value > 0 else ""
    head = f"{mark}{number(value.value)} {unit}".rstrip()
    if value.interval is not None:
        return f"{head} [{number(value.low)}, {number(value.high)}] (n = {value.n:,})"
    if math.isfinite(value.low):
        return f"{head} [{number(value.low)}, unknown] (n = {value.n:,})"
    return f"{head} (n = {value.n:,})"


def _unmeasured(subject: str, question: str, value: Estimate, limit: float) -> Evidence:
    verdict = Verdict.ERROR if value.invalid else Verdict.INCONCLUSIVE
    return Evidence(
        subject,
        question,
        verdict,
        value.method,
        confidence=value.confidence,
        n=value.n,
        limit=limit,
        message=f"no value: {value.reason}",
    )


def _evidence(
    subject: str,
    question: str,
    verdict: Verdict,
    value: Estimate,
    limit: float,
    details: Mapping[str, Any],
    message: str,
) -> Evidence:
    return Evidence(
        subject, question, verdict, value.method, value.value, value.interval, value.confidence, value.n, limit,
        details=details, message=message,
    )  # fmt: skip
