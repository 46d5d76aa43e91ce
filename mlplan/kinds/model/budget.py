"""The budget gate: the packaged server under a short load, its latency, memory and the artifact's size."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from mlplan.engine.kind import Context
from mlplan.engine.types import Desired, Step
from mlplan.kinds import capabilities
from mlplan.kinds.deployment.rollout import Policy
from mlplan.kinds.deployment.spec import Place
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.spi.capabilities import UnitSpec

REQUESTS = {"p50_latency": 100, "p95_latency": 200, "p99_latency": 500}
"""Requests by quantile: enough that the interval of its order statistic has both ends inside the sample."""
WARM_UP = 20
QUANTILES = {"p50_latency": 0.5, "p95_latency": 0.95, "p99_latency": 0.99}


def judge(
    subject: str, gate: Mapping[str, Any], candidate: Any, desired: Desired, step: Step, context: Context
) -> list[Evidence]:
    """Return one piece of evidence a limit."""
    from mlplan.judge.gates import judge_budget, judge_measured

    limits = {name: float(limit) for name, limit in gate["budget"].items() if limit is not None}
    found = []
    if "size" in limits:
        found.append(judge_measured(f"{subject}.size", "size", candidate.size, limits["size"], unit="bytes"))
    if {*QUANTILES, "memory"} & set(limits):
        count = max((REQUESTS[name] for name in limits if name in REQUESTS), default=min(REQUESTS.values()))
        samples, memory, problem = _measure(candidate, desired, step, context, count)
        for name in (n for n in (*QUANTILES, "memory") if n in limits):
            where = f"{subject}.{name}"
            if problem:
                found.append(Evidence(where, f"{name} is within its limit", Verdict.ERROR, message=problem))
            elif name == "memory":
                found.append(judge_measured(where, "memory", memory, limits[name], unit="bytes"))
            else:
                found.append(
                    judge_budget(where, name, samples, limits[name] * 1000, quantile=QUANTILES[name], unit="ms")
                )
    return found


def _measure(candidate: Any, desired: Desired, step: Step, context: Context, count: int) -> tuple[Any, float, str]:
    """Return latencies in milliseconds, peak memory in bytes, and what went wrong."""
    serves = capabilities.serves(context.provider(desired.provider))
    where = Place(
        f"{step.address}.budget", step.address, context.lineage, desired.provider, None,
        "/v2/health/ready", 1, Policy(), (), {}, context.run, tuple((desired.arguments.get("package") or {}).get("trust") or ()),
    )  # fmt: skip
    unit: UnitSpec = where.unit(f"v{candidate.number}", candidate.artifact, context.services)
    try:
        serves.ensure_unit(unit)
        deadline = time.monotonic() + unit.ready_within
        while (status := serves.inspect_unit(unit.name)).state != "ready":
            if status.state == "failed" or time.monotonic() > deadline:
                return None, 0.0, f"the packaged server did not become ready: {status.reason or status.state}"
            time.sleep(0.1)
        samples, problem = _load(status.addresses[0], candidate, context, count)
        usage = serves.inspect_unit(unit.name).usage
        return samples, float(usage.get("memory_bytes", 0.0)), problem
    finally:
        serves.remove_unit(unit.name)


def _load(address: str, candidate: Any, context: Context, count: int) -> tuple[Any, str]:
    import http.client

    import numpy as np

    folder = context.services.artifact_path(candidate.artifact)
    rows = json.loads((folder / "probe.json").read_bytes())["rows"]
    host, _, port = address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    samples = []
    for number in range(WARM_UP + count):
        body = json.dumps({"instances": [rows[number % len(rows)]]})
        started = time.perf_counter()
        connection.request("POST", "/predict", body, {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            return None, f"the packaged server answered {response.status}: {text[:200].decode(errors='replace')}"
        if number >= WARM_UP:
            samples.append((time.perf_counter() - started) * 1000)
    connection.close()
    return np.asarray(samples), ""
