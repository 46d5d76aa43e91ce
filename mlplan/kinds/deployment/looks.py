"""From counters to looks to verdicts: the only place where a rollout touches statistics. Counts every request once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlplan.judge import analysis
from mlplan.kinds.deployment.rollout import Rollout
from mlplan.kinds.deployment.spec import Place
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.spi.capabilities import Histogram, VersionCounters


@dataclass(frozen=True)
class Judged:
    """The rollout's evidence after one more look."""

    step: Mapping[str, Any]
    harm: Mapping[str, Any]
    cursor: Mapping[str, Any]
    step_verdict: Verdict
    harm_reason: str
    evidence: tuple[Evidence, ...]
    requests: Mapping[str, int]
    errors: Mapping[str, int]


def look(place: Place, rollout: Rollout, counters: Mapping[str, VersionCounters], now: float) -> Judged:
    """Return what the requests since the cursor add to the evidence.

    counters: by version, monotone. A counter that restarted (another epoch) begins at zero again; what it had counted before
    is in the evidence already.
    """
    criteria = tuple(
        analysis.Criterion(c.name, c.metric, c.no_worse_than_live, c.margin, c.at_most, c.min_requests)
        for c in place.criteria
    )
    fresh = analysis.start(criteria)
    step = analysis.from_json(rollout.analysis, criteria) if rollout.analysis else fresh
    harm = analysis.from_json(rollout.harm, criteria) if rollout.harm else fresh
    candidate = _arm(counters.get(rollout.target), rollout.cursor.get(rollout.target))
    stable = _arm(counters.get(rollout.stable or ""), rollout.cursor.get(rollout.stable or ""))
    seen = analysis.Look(candidate, stable)
    step, harm = analysis.update(step, seen), analysis.update(harm, seen)
    step_verdict, evidence = analysis.verdict(step)
    harm_verdict, harms = analysis.verdict(harm)
    worse = [e for e in harms if e.verdict is Verdict.FAIL]
    named = tuple(_named(place, rollout, e, now) for e in (worse or evidence))
    return Judged(
        analysis.to_json(step),
        analysis.to_json(harm),
        {version: _cursor(c) for version, c in counters.items()},
        step_verdict,
        "; ".join(e.message or e.question for e in worse) if harm_verdict is Verdict.FAIL else "",
        named,
        {version: c.requests for version, c in counters.items()},
        {version: c.errors for version, c in counters.items()},
    )


def _named(place: Place, rollout: Rollout, evidence: Evidence, now: float) -> Evidence:
    from dataclasses import replace

    return replace(
        evidence,
        subject=f"{place.address}.rollout.{evidence.subject}",
        inputs={**evidence.inputs, "candidate": rollout.target, "stable": rollout.stable or ""},
        at=now,
    )


def _cursor(counters: VersionCounters) -> dict[str, Any]:
    return {
        "epoch": counters.epoch,
        "requests": counters.requests,
        "errors": counters.errors,
        "counts": list(counters.latency.counts),
        "total": counters.latency.total,
    }


def _arm(counters: VersionCounters | None, cursor: Mapping[str, Any] | None) -> analysis.ArmCounts:
    if counters is None:
        return analysis.ArmCounts(0, 0, Histogram((), (), 0))
    if cursor is None or cursor["epoch"] != counters.epoch or len(cursor["counts"]) != len(counters.latency.counts):
        cursor = {"requests": 0, "errors": 0, "counts": [0] * len(counters.latency.counts), "total": 0}
    latency = Histogram(
        counters.latency.edges,
        tuple(now - then for now, then in zip(counters.latency.counts, cursor["counts"], strict=True)),
        counters.latency.total - cursor["total"],
    )
    return analysis.ArmCounts(
        counters.requests - cursor["requests"], counters.errors - cursor["errors"], latency
    )


def cursors(counters: Mapping[str, VersionCounters]) -> dict[str, Any]:
    """Return the cursor at these counters, by version."""
    return {version: _cursor(c) for version, c in counters.items()}
