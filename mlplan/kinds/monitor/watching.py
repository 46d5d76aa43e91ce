"""Measuring the watches of a monitor: windows of the prediction log, counters of the router. Reads; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from mlplan.engine.kind import View
from mlplan.engine.types import Desired
from mlplan.kinds.monitor.answers import deployment_of
from mlplan.kinds.monitor.windows import window_of
from mlplan.ledger.evidence import Evidence, Verdict, worst
from mlplan.ledger.profile import Profile
from mlplan.ledger.records import Record
from mlplan.spi.capabilities import Measures, VersionCounters

_TRIES = 5


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
            found[name] = _drift(subject, rule, desired, deployment, view)
        else:
            found[name] = _service(subject, rule, float(desired.arguments["every"]), deployment, view)
    return found


def windows(now: float, since: float, length: float, count: int) -> list[tuple[float, float]]:
    """Return the newest `count` windows (from, until), newest first, none from before `since`. Units: seconds."""
    ends = [now - index * length for index in range(count)]
    return [(max(since, end - length), end) for end in ends if end > since]


def _drift(subject: str, rule: Mapping[str, Any], desired: Desired, deployment: Record, view: View) -> Watched:
    from mlplan.judge.drift import judge_drift

    reference_to = rule["drift"]
    limits = _rule_of(reference_to, view)
    live = deployment.attributes["live"]
    reference = _training_profile(reference_to.address, live["version"], deployment, view)
    if reference is None or limits is None:
        message = "there is no profile of the training data to compare with"
        return Watched(
            Verdict.ERROR, False, message, (Evidence(subject, "drift", Verdict.ERROR, message=message, at=view.now),)
        )
    in_a_row = int(rule.get("in_a_row") or 1)
    logs = view.services.requests / deployment.physical_name
    columns = list(limits.get("columns") or ()) or list(reference.columns)
    each: list[tuple[Verdict, list[Evidence]]] = []
    for since, until in windows(view.now, float(live["since"]), float(desired.arguments["every"]), in_a_row):
        current = _window(logs, columns, since, until, reference, live["version"])
        judged = judge_drift(
            subject, reference, current, columns, limits.get("distance"), float(limits.get("at_most") or 0.2),
            float(limits.get("false_alarm_rate") or 0.01), int(limits.get("min_rows") or 500), 0,
        )  # fmt: skip
        each.append((_verdict(judged), judged))
    return _conclude(each, in_a_row, view.now)


def _window(folder: Path, columns: list[str], since: float, until: float, reference: Profile, version: str) -> Profile:
    """Return the profile of one window; a log that is rotated while it is read is read again under its new name."""
    from mlplan.data.request_log import profile_requests

    for _ in range(_TRIES):
        try:
            return profile_requests(log_files(folder), columns, since, until, reference, version)
        except FileNotFoundError:
            continue
    return profile_requests(log_files(folder), columns, since, until, reference, version)


def _verdict(evidence: list[Evidence]) -> Verdict:
    verdicts = {e.verdict for e in evidence}
    return Verdict.FAIL if Verdict.FAIL in verdicts else worst(verdicts)


def _conclude(each: list[tuple[Verdict, list[Evidence]]], in_a_row: int, now: float) -> Watched:
    if not each:
        return Watched(Verdict.INCONCLUSIVE, False, "no window yet", ())
    verdict, newest = each[0]
    breached = len(each) >= in_a_row and all(v is Verdict.FAIL for v, _ in each[:in_a_row])
    shown = [e for e in newest if e.verdict is verdict] or newest
    message = "; ".join(e.message or e.question for e in shown[:3])
    if breached and in_a_row > 1:
        message += f" ({in_a_row} windows in a row)"
    return Watched(verdict, breached, message, tuple(replace(e, at=now) for e in newest))


def _rule_of(reference: Any, view: View) -> Mapping[str, Any] | None:
    contract = view.desired.get(reference.address)
    if contract is None or len(reference.path) != 2 or reference.path[0] != "drift":
        return None
    rule: Mapping[str, Any] | None = (contract.arguments.get("drift") or {}).get(reference.path[1])
    return rule


def _training_profile(contract: str, version: str, deployment: Record, view: View) -> Profile | None:
    model = view.record(str(deployment.attributes["model"]))
    known = ((model.attributes.get("versions") or {}) if model else {}).get(version.removeprefix("v")) or {}
    for entry in (known.get("profiles") or {}).values():
        if entry and entry["contract"] == contract and entry.get("profile"):
            data = view.blob(entry["profile"])
            return Profile.from_json(orjson.loads(data)) if data is not None else None
    return None


def log_files(folder: Path) -> list[Path]:
    """Return the prediction logs of an endpoint, the one being written included."""
    return sorted(p for p in folder.glob("*.jsonl*") if p.is_file()) if folder.is_dir() else []


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
