"""Measuring the watches of a monitor: windows of the prediction log, counters of the router. Reads; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlplan.engine.kind import View
from mlplan.engine.types import Desired
from mlplan.kinds.monitor.answers import deployment_of
from mlplan.kinds.monitor.drift import drift_by_window
from mlplan.kinds.monitor.windows import window_of
from mlplan.ledger.evidence import Evidence, Verdict, worst
from mlplan.ledger.records import Record
from mlplan.spi.capabilities import Measures, VersionCounters


@dataclass(frozen=True)
class Watched:
    """One watch over its newest windows. breached: the verdict was fail often enough in a row."""

    verdict: Verdict
    breached: bool
    message: str
    evidence: tuple[Evidence, ...]


def watch_all(desired: Desired, view: View) -> dict[str, Watched]:
    """Return every watch of a monitor; nothing while the deployment serves nothing."""
    deployment = view.record(deployment_of(desired))
    if deployment is None or not deployment.attributes.get("live"):
        return {}
    found = {}
    for name, rule in desired.arguments["watch"].items():
        subject = f"{desired.address}.watch.{name}"
        if rule.get("drift"):
            in_a_row = int(rule.get("in_a_row") or 1)
            found[name] = _conclude(drift_by_window(subject, rule, desired, deployment, view), in_a_row, view.now)
        else:
            found[name] = _service(subject, rule, float(desired.arguments["every"]), deployment, view)
    return found


def _verdict(evidence: list[Evidence]) -> Verdict:
    verdicts = {e.verdict for e in evidence}
    return Verdict.FAIL if Verdict.FAIL in verdicts else worst(verdicts)


def _conclude(windows: list[list[Evidence]], in_a_row: int, now: float) -> Watched:
    each = [(_verdict(evidence), evidence) for evidence in windows]
    if not each:
        return Watched(Verdict.INCONCLUSIVE, False, "no window yet", ())
    verdict, newest = each[0]
    breached = len(each) >= in_a_row and all(v is Verdict.FAIL for v, _ in each[:in_a_row])
    shown = [e for e in newest if e.verdict is verdict] or newest
    message = "; ".join(e.message or e.question for e in shown[:3])
    if breached and in_a_row > 1:
        message += f" ({in_a_row} windows in a row)"
    return Watched(verdict, breached, message, tuple(replace(e, at=now) for e in newest))


def _service(subject: str, rule: Mapping[str, Any], every: float, deployment: Record, view: View) -> Watched:
    provider = view.provider(deployment.provider)
    live = deployment.attributes["live"]["version"]
    unit = (deployment.attributes.get("units") or {}).get(live, {}).get("name")
    counters = provider.measure(deployment.physical_name).get(unit) if isinstance(provider, Measures) else None
    if counters is None:
        return Watched(Verdict.INCONCLUSIVE, False, "no request was counted yet", ())
    counters = window_of(view.services.cache / "watches" / f"{unit}.json", counters, view.now, every)
    found = list(_service_evidence(subject, rule, counters))
    verdict = _verdict(found)
    message = "; ".join(e.message for e in found if e.verdict is verdict)
    return Watched(verdict, verdict is Verdict.FAIL, message, tuple(replace(e, at=view.now) for e in found))


def _service_evidence(subject: str, rule: Mapping[str, Any], counters: VersionCounters) -> list[Evidence]:
    from mlplan.judge.analysis import exceedances
    from mlplan.judge.gates import judge_bound
    from mlplan.judge.intervals import wilson

    found = []
    if counters.requests == 0:
        return [Evidence(subject, "requests are answered", Verdict.INCONCLUSIVE, message="no request yet")]
    errors = rule.get("error_rate") or {}
    if errors.get("at_most") is not None:
        share = wilson(counters.errors, counters.requests)
        found.append(judge_bound(f"{subject}.error_rate", "error_rate", share, at_most=float(errors["at_most"])))
    latency = rule.get("p95_latency") or {}
    if latency.get("at_most") is not None:
        limit = float(latency["at_most"]) * 1000
        slow = wilson(exceedances(counters.latency, limit), max(counters.latency.total, 1))
        judged = judge_bound(f"{subject}.p95_latency", f"share over {limit:g} ms", slow, at_most=0.05)
        found.append(judged)
    return found
