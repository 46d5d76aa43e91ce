"""The analysis of a canary: criteria in, looks in, one verdict out. The rollout's state machine stores it and calls it
every tick.

FAIL means harm is proven: the candidate is worse than live (or over its limit) with evidence of K/α to 1 over K
guardrails, and the estimated difference is beyond the margin, so that a candidate within its margin is not rolled back
for being measurably worse. PASS means every criterion is proven at 1/β to 1 and has its `min_requests`. Everything else
is INCONCLUSIVE: wait. Chance of rolling back a candidate that is no worse: at most α over the whole life of an
analysis, however often it is looked at; chance of passing one that is worse than the margin: at most β. A rollout that
begins a new analysis at every step divides α by the number of steps. It does not read counters or clocks, and does not
decide when to give up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from mlplan.judge.anytime import difference_interval, rate_interval
from mlplan.judge.gates import limit_text, number
from mlplan.judge.sequential import Assignment, Counts, Limit, Margin, Ratio, expected_requests
from mlplan.ledger.evidence import Evidence, Verdict, digest_of
from mlplan.spi.capabilities import Histogram

CriterionMetric = Literal["error_rate", "p50_latency", "p95_latency", "p99_latency"]
QUANTILES = {"p50_latency": 0.5, "p95_latency": 0.95, "p99_latency": 0.99}


@dataclass(frozen=True)
class Criterion:
    """One guardrail of a rollout.

    no_worse_than_live: compare with the stable arm; `margin` is the difference of shares that is tolerated (0.02: two
    requests in a hundred more may fail, or be slower than live's quantile). at_most: an error share, or milliseconds
    for a latency quantile. threshold: milliseconds that `exceedances` were counted over: `at_most`, or live's quantile
    before the rollout (`past_quantile`).
    """

    name: str
    metric: CriterionMetric
    no_worse_than_live: bool = False
    margin: float = 0.0
    at_most: float | None = None
    min_requests: int = 0
    threshold: float | None = None

    @property
    def limit(self) -> float | None:
        """Return the share of events that `at_most` allows: itself for errors, 1 − q for a latency quantile."""
        if self.at_most is None:
            return None
        return self.at_most if self.metric == "error_rate" else 1 - QUANTILES[self.metric]


@dataclass(frozen=True)
class ArmCounts:
    """What one arm did within a look. exceedances: requests slower than a latency criterion's threshold, by criterion
    name."""

    requests: int
    errors: int = 0
    exceedances: Mapping[str, int] = field(default_factory=dict)

    def events(self, criterion: Criterion) -> int:
        """Return the requests that count against the criterion."""
        return self.errors if criterion.metric == "error_rate" else self.exceedances.get(criterion.name, 0)


@dataclass(frozen=True)
class Look:
    """Both arms over the same stretch of time. weight: share of the traffic (0 to 1) that the router gave the
    candidate; None leaves the sample-ratio check out (sticky splits, where requests are not assigned one by one)."""

    candidate: ArmCounts
    stable: ArmCounts
    weight: float | None = None


@dataclass(frozen=True)
class Track:
    """The state of one criterion: totals, sums for the estimated difference, and its e-processes (None where not
    asked).

    paired: Σw, Σw·(pc − ps), Σw²/nc, Σw²/ns over looks with both arms, w = nc·ns/(nc + ns) (Mantel & Haenszel).
    """

    totals: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    paired: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    worse: Ratio | None = None
    no_worse: Margin | None = None
    over: Limit | None = None
    under: Limit | None = None


@dataclass(frozen=True)
class Analysis:
    """Everything known of one canary so far: a small value, JSON in, JSON out. metric_hash: of its criteria; evidence
    gathered under other criteria must not be used with these."""

    criteria: tuple[Criterion, ...]
    tracks: tuple[Track, ...]
    metric_hash: str
    looks: int = 0
    design_effect: float = 1.0
    assignment: Assignment = field(default_factory=Assignment)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Analysis:
        """Return the analysis of a JSON document."""
        criteria = tuple(Criterion(**c) for c in document["criteria"])
        tracks = tuple(_track(t) for t in document["tracks"])
        rest = {k: document[k] for k in ("metric_hash", "looks", "design_effect")}
        return Analysis(criteria, tracks, assignment=Assignment(**document["assignment"]), **rest)


def start(criteria: Sequence[Criterion], design_effect: float = 1.0) -> Analysis:
    """Return an analysis that has seen nothing. design_effect: Fano factor of events per look on live before the
    rollout, >= 1."""
    tracks = []
    for c in criteria:
        relative = c.no_worse_than_live
        limit = c.limit
        tracks.append(
            Track(
                worse=Ratio() if relative else None,
                no_worse=Margin(margin=c.margin) if relative else None,
                over=Limit(limit=limit, side="above") if limit is not None else None,
                under=Limit(limit=limit, side="below") if limit is not None else None,
            )
        )
    return Analysis(tuple(criteria), tuple(tracks), metric_hash(criteria), design_effect=max(float(design_effect), 1.0))


def metric_hash(criteria: Sequence[Criterion]) -> str:
    """Return the digest of criteria."""
    return digest_of([asdict(c) for c in criteria])


def update(analysis: Analysis, look: Look) -> Analysis:
    """Return the analysis after one more look. A look is counted once: the caller keeps the cursor of the counters."""
    tracks = tuple(
        _advanced(t, _counts(c, look), analysis.design_effect)
        for c, t in zip(analysis.criteria, analysis.tracks, strict=True)
    )
    assignment = analysis.assignment
    if look.weight is not None and 0 < look.weight < 1:
        assignment = assignment.after(
            Counts(0, look.candidate.requests, 0, look.stable.requests).thinned(analysis.design_effect), look.weight
        )
    return replace(analysis, tracks=tracks, assignment=assignment, looks=analysis.looks + 1)


def verdict(
    analysis: Analysis, alpha: float = 0.05, beta: float = 0.05, *, subject: str = ""
) -> tuple[Verdict, list[Evidence]]:
    """Return what the looks so far say, and one piece of evidence per question.

    FAIL beats everything; then ERROR (the split is not what the router was asked for); PASS when all passed; else
    INCONCLUSIVE. subject: address that the criteria's names are appended to.
    """
    guardrails = sum((t.worse is not None) + (t.over is not None) for t in analysis.tracks)
    bars = (math.log(max(guardrails, 1) / alpha), math.log(1 / beta))
    found: list[Evidence] = []
    for criterion, track in zip(analysis.criteria, analysis.tracks, strict=True):
        name = f"{subject}.{criterion.name}" if subject else criterion.name
        if track.worse is not None:
            found.append(_relative(name, criterion, track, bars, alpha))
        if track.over is not None:
            found.append(_absolute(name, criterion, track, bars, alpha))
        if track.worse is None and track.over is None:
            found.append(_counted(name, criterion, track))
    if analysis.assignment.peak >= math.log(1000):
        found.append(_mismatch(subject, analysis.assignment))
    verdicts = {e.verdict for e in found}
    for decisive in (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE):
        if decisive in verdicts:
            return decisive, found
    return Verdict.PASS, found


def exceedances(latency: Histogram, threshold: float) -> int:
    """Return how many requests took longer than `threshold` milliseconds: exact when it is an edge of the histogram
    (that is what `EndpointSpec.latency_limits` is for), else those surely slower, counted from the next edge."""
    under = next((c for e, c in zip(latency.edges, latency.counts, strict=True) if e >= threshold * (1 - 1e-9)), None)
    return 0 if under is None else latency.total - under


def past_quantile(latency: Histogram, q: float) -> float | None:
    """Return the smallest histogram edge that at least a share q of the requests stayed under, in milliseconds; None
    without one."""
    if latency.total == 0:
        return None
    return next((e for e, c in zip(latency.edges, latency.counts, strict=True) if c >= q * latency.total), None)


def requests_to_decide(
    criteria: Sequence[Criterion],
    share: float,
    live_rate: float,
    *,
    worse: float = 2.0,
    alpha: float = 0.05,
    beta: float = 0.05,
) -> tuple[float | None, float | None]:
    """Return about how many requests of both arms it takes to pass an equal candidate, and to catch one `worse` times
    as bad as live (or as its limit); None for never. share: of the traffic at the candidate. live_rate: share of errors
    or slow requests at live. For the plan's text; with 80 % power."""
    guardrails = sum(c.no_worse_than_live + (c.at_most is not None) for c in criteria) or 1
    passing: list[float | None] = [float(max((c.min_requests for c in criteria), default=0)) / share]
    catching: list[float | None] = []
    for c in criteria:
        bad = min(live_rate * worse, 1.0)
        if c.no_worse_than_live:
            passing.append(expected_requests(Margin(margin=c.margin), live_rate, live_rate, share, 1 / beta))
            catching.append(expected_requests(Ratio(), bad, live_rate, share, guardrails / alpha))
        if c.limit is not None:
            passing.append(expected_requests(Limit(limit=c.limit, side="below"), live_rate, 0, share, 1 / beta))
            over = min(c.limit * worse, 1.0)
            catching.append(expected_requests(Limit(limit=c.limit), over, 0, share, guardrails / alpha))
    known = [n for n in passing if n is not None]
    caught = [n for n in catching if n is not None]
    return (max(known) if len(known) == len(passing) else None), min(caught, default=None)


def _counts(criterion: Criterion, look: Look) -> Counts:
    c, s = look.candidate, look.stable
    return Counts(c.events(criterion), c.requests, s.events(criterion), s.requests)


def _advanced(track: Track, counts: Counts, design_effect: float) -> Track:
    c, nc, s, ns = counts.candidate_events, counts.candidate_total, counts.stable_events, counts.stable_total
    paired = track.paired
    if nc > 0 and ns > 0:
        w = nc * ns / (nc + ns)
        gained = (w, w * (c / nc - s / ns), w * w / nc, w * w / ns)
        paired = (paired[0] + gained[0], paired[1] + gained[1], paired[2] + gained[2], paired[3] + gained[3])
    t, thin = track.totals, counts.thinned(design_effect)
    return replace(
        track,
        totals=(t[0] + c, t[1] + nc, t[2] + s, t[3] + ns),
        paired=paired,
        worse=track.worse and track.worse.after(thin),
        no_worse=track.no_worse and track.no_worse.after(thin),
        over=track.over and track.over.after(thin),
        under=track.under and track.under.after(thin),
    )


def _relative(name: str, c: Criterion, t: Track, bars: tuple[float, float], alpha: float) -> Evidence:
    assert t.worse is not None
    assert t.no_worse is not None
    value, interval = difference_interval(t.totals, t.paired, alpha)
    harm = t.worse.peak >= bars[0] and value is not None and value > c.margin
    text = f"{_share(t.totals[0], t.totals[1], c)}, live {_share(t.totals[2], t.totals[3], c)}"
    return _judged(
        name, c, t, harm, t.no_worse.peak >= bars[1], f"{c.metric} no worse than live, margin {limit_text(c.margin)}",
        "ratio and margin e-processes", (value, interval, c.margin), text,
        {"harm": _odds(t.worse.peak, bars[0]), "no_worse": _odds(t.no_worse.peak, bars[1])}, alpha,
    )  # fmt: skip


def _absolute(name: str, c: Criterion, t: Track, bars: tuple[float, float], alpha: float) -> Evidence:
    assert t.over is not None
    assert t.under is not None
    assert c.at_most is not None
    assert c.limit is not None
    value, interval = rate_interval(t.totals[0], t.totals[1], alpha)
    unit = "" if c.metric == "error_rate" else " ms"
    text = f"{_share(t.totals[0], t.totals[1], c)}, at most {100 * c.limit:.4g} % allowed"
    return _judged(
        name, c, t, t.over.peak >= bars[0], t.under.peak >= bars[1], f"{c.metric} ≤ {limit_text(c.at_most)}{unit}",
        "limit e-processes", (value, interval, c.limit), text,
        {"harm": _odds(t.over.peak, bars[0]), "no_worse": _odds(t.under.peak, bars[1])}, alpha,
    )  # fmt: skip


def _judged(
    name: str, c: Criterion, t: Track, harm: bool, fine: bool, question: str, method: str,
    measured: tuple[float | None, tuple[float, float] | None, float], text: str, odds: dict[str, Any], alpha: float,
) -> Evidence:  # fmt: skip
    requests = int(t.totals[1])
    if harm:
        result, ending = Verdict.FAIL, f"harm proven (evidence {_plain(odds['harm'])} to 1)"
    elif requests < c.min_requests:
        result, ending = Verdict.INCONCLUSIVE, f"{c.min_requests - requests:,} more requests wanted"
    elif fine:
        result, ending = Verdict.PASS, f"proven (evidence {_plain(odds['no_worse'])} to 1)"
    else:
        result = Verdict.INCONCLUSIVE
        ending = f"not decided yet (evidence {_plain(odds['no_worse'])} to 1, {odds['no_worse']['needed']:.0f} needed)"
    value, interval, limit = measured
    details = {
        "metric": c.metric, "threshold_ms": c.threshold, "evidence": odds, "candidate_requests": requests,
        "candidate_events": int(t.totals[0]), "stable_requests": int(t.totals[3]), "stable_events": int(t.totals[2]),
    }  # fmt: skip
    return Evidence(
        name, question, result, method, value, interval, 1 - alpha, requests, limit, details=details,
        message=f"{text}: {ending}",
    )  # fmt: skip


def _counted(name: str, c: Criterion, t: Track) -> Evidence:
    requests = int(t.totals[1])
    result = Verdict.PASS if requests >= c.min_requests else Verdict.INCONCLUSIVE
    return Evidence(
        name, f"at least {c.min_requests:,} requests", result, "count", requests,
        n=requests, limit=c.min_requests, message=f"{requests:,} of {c.min_requests:,} requests seen",
    )  # fmt: skip


def _mismatch(subject: str, a: Assignment) -> Evidence:
    total = a.candidate + a.stable
    share = a.candidate / total if total else 0.0
    return Evidence(
        f"{subject}.assignment" if subject else "assignment", f"candidate gets {a.weight:.4g} of the requests",
        Verdict.ERROR, "beta-binomial e-process", share, n=int(total), limit=a.weight,
        details={"evidence": _odds(a.peak, math.log(1000))},
        message=f"the candidate got {share:.2%} of the requests where its weight is {a.weight:.2%}: the arms cannot be "
        "compared",
    )  # fmt: skip


def _share(events: float, total: float, c: Criterion) -> str:
    what = "failed" if c.metric == "error_rate" else f"over {number(c.threshold)} ms" if c.threshold else "too slow"
    return f"{events / total if total else 0:.2%} of {int(total):,} requests {what}"


def _odds(log_e: float, bar: float) -> dict[str, float]:
    return {"for": math.exp(min(log_e, 300.0)), "needed": math.exp(bar)}


def _plain(odds: Mapping[str, float]) -> str:
    found = odds["for"]
    return "over 10,000" if found > 10_000 else f"{found:,.0f}" if found >= 100 else f"{found:.3g}"


def _track(document: Mapping[str, Any]) -> Track:
    def process(key: str, kind: type[Any]) -> Any:
        found = document[key]
        return None if found is None else kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()})

    return Track(
        tuple(document["totals"]), tuple(document["paired"]), process("worse", Ratio), process("no_worse", Margin),
        process("over", Limit), process("under", Limit),
    )  # fmt: skip
