"""From counters to looks to verdicts: the only place where a rollout touches statistics. Counts every request once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from mlplan.judge import analysis
from mlplan.kinds.deployment.rollout import Rollout
from mlplan.kinds.deployment.spec import Place
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.spi.capabilities import FULL_WEIGHT, Histogram, VersionCounters

HISTORY = 50
"""Requests of the live version before its latency quantile can serve as the candidate's limit."""


@dataclass(frozen=True)
class Judged:
    """A rollout after one more look. harm: what is proven against the target, empty while nothing is."""

    rollout: Rollout
    step_verdict: Verdict = Verdict.INCONCLUSIVE
    harm: str = ""
    evidence: tuple[Evidence, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


def look(place: Place, rollout: Rollout, counters: Mapping[str, VersionCounters], weight: int, now: float) -> Judged:
    """Return what the requests since the cursor add to the evidence.

    counters: by version, monotone. weight: the target's share in 1/10,000, confirmed by the router for the whole look. Two
    analyses run side by side: `analysis` begins anew at each step and is what lets weight rise, `harm` goes on through the whole
    rollout and is what ends it.
    """
    totals = {v: c.requests for v, c in counters.items()}, {v: c.errors for v, c in counters.items()}
    thresholds = _thresholds(place, rollout, counters)
    if thresholds is None:
        return Judged(replace(rollout, cursor=cursors(counters)), requests=totals[0], errors=totals[1])
    criteria = tuple(
        analysis.Criterion(
            c.name,
            cast("analysis.CriterionMetric", c.metric),
            c.no_worse_than_live,
            c.margin,
            c.at_most,
            c.min_requests,
            thresholds.get(c.name),
        )
        for c in place.criteria
    )
    share = weight / FULL_WEIGHT
    seen = analysis.Look(
        _arm(criteria, counters.get(rollout.target), rollout.cursor.get(rollout.target)),
        _arm(criteria, counters.get(rollout.stable or ""), rollout.cursor.get(rollout.stable or "")),
        share if 0 < share < 1 else None,
    )
    step = analysis.update(_resumed(rollout.analysis, criteria), seen)
    harm = analysis.update(_resumed(rollout.harm, criteria), seen)
    step_verdict, evidence = analysis.verdict(step)
    harms = [e for e in analysis.verdict(harm)[1] if e.verdict is Verdict.FAIL]
    following = replace(
        rollout,
        analysis=step.to_json(),
        harm=harm.to_json(),
        thresholds=thresholds,
        cursor=cursors(counters),
        looks=rollout.looks + 1,
    )
    shown = tuple(_named(place, rollout, e, now) for e in (harms or evidence))
    reason = "; ".join(e.message or e.question for e in harms)
    return Judged(following, step_verdict, reason, shown, totals[0], totals[1])


def cursors(counters: Mapping[str, VersionCounters]) -> dict[str, Any]:
    """Return the cursor at these counters, by version."""
    return {
        version: {
            "epoch": c.epoch,
            "requests": c.requests,
            "errors": c.errors,
            "counts": list(c.latency.counts),
            "total": c.latency.total,
        }
        for version, c in counters.items()
    }


def _resumed(document: Mapping[str, Any] | None, criteria: tuple[analysis.Criterion, ...]) -> analysis.Analysis:
    if document is not None and document["metric_hash"] == analysis.metric_hash(criteria):
        return analysis.Analysis.from_json(document)
    return analysis.start(criteria)  # evidence under other criteria says nothing about these


def _thresholds(place: Place, rollout: Rollout, counters: Mapping[str, VersionCounters]) -> dict[str, float] | None:
    """Return the milliseconds that slow requests are counted over, fixed for the rollout; None while live has no history."""
    found = dict(rollout.thresholds)
    live = counters.get(rollout.stable or "")
    for criterion in place.criteria:
        if criterion.metric == "error_rate" or criterion.name in found:
            continue
        if criterion.at_most is not None:
            found[criterion.name] = criterion.at_most
            continue
        if live is None or live.latency.total < HISTORY:
            return None
        quantile = analysis.past_quantile(live.latency, analysis.QUANTILES[criterion.metric])
        found[criterion.name] = quantile if quantile is not None else live.latency.edges[-1]
    return found


def _named(place: Place, rollout: Rollout, evidence: Evidence, now: float) -> Evidence:
    return replace(
        evidence,
        subject=f"{place.address}.rollout.{evidence.subject}",
        inputs={**evidence.inputs, "candidate": rollout.target, "stable": rollout.stable or ""},
        at=now,
    )


def _arm(
    criteria: tuple[analysis.Criterion, ...], counters: VersionCounters | None, cursor: Mapping[str, Any] | None
) -> analysis.ArmCounts:
    if counters is None:
        return analysis.ArmCounts(0)
    restarted = cursor is None or cursor["epoch"] != counters.epoch
    if cursor is None or restarted or len(cursor["counts"]) != len(counters.latency.counts):
        # A counter that restarted begins at zero again; what it had counted before is in the evidence already.
        cursor = {"requests": 0, "errors": 0, "counts": [0] * len(counters.latency.counts), "total": 0}
    latency = Histogram(
        counters.latency.edges,
        tuple(new - old for new, old in zip(counters.latency.counts, cursor["counts"], strict=True)),
        counters.latency.total - cursor["total"],
    )
    slow = {c.name: analysis.exceedances(latency, c.threshold) for c in criteria if c.threshold is not None}
    requests = counters.requests - cursor["requests"]
    # Histogram and counters are read one after the other, so a request may be in one of them only.
    slow = {name: min(max(count, 0), requests) for name, count in slow.items()}
    return analysis.ArmCounts(requests, counters.errors - cursor["errors"], slow)
