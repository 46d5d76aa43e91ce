"""What a deployment is made of: policy, criteria, names of units and endpoint, from the arguments of model and environment."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplan.config.addresses import parse_address
from mlplan.config.quantities import parse_duration, parse_fraction
from mlplan.engine.types import Desired
from mlplan.kinds.deployment.rollout import Policy
from mlplan.kinds.services import Services
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.evidence import digest_of
from mlplan.ledger.names import labels, physical_name, token
from mlplan.ledger.records import Record
from mlplan.ledger.renaming import home, origin
from mlplan.spi.capabilities import FULL_WEIGHT, EndpointSpec, UnitSpec

ARTIFACT_LABEL = "mlplan.artifact"
"""Label of units: the beginning of the digest of what they serve, so that they can be taken over without the state."""
ARTIFACT_DIGITS = 40
"""Hex digits of it; Kubernetes takes 63 characters in a label."""
DEFAULT_HEALTH = {"path": "/v2/health/ready", "within": 60.0}
LATENCY_EDGES = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0)
"""Milliseconds; limits of criteria and watches are added, so that what exceeds them is counted exactly."""


@dataclass(frozen=True)
class Success:
    """One criterion. at_most: a fraction for error_rate, milliseconds for latencies; None when compared with live."""

    name: str
    metric: str
    no_worse_than_live: bool
    margin: float
    at_most: float | None
    min_requests: int


@dataclass(frozen=True)
class Place:
    """Everything about one deployment that does not depend on a version.

    named: the address that names endpoint and units; it stays when the deployment moves to another one.
    """

    address: str
    model: str
    lineage: str
    provider: str | None
    port: int | None
    health_path: str
    replicas: int
    policy: Policy
    criteria: tuple[Success, ...]
    environment: Mapping[str, Any]
    run: str = ""
    trust: tuple[str, ...] = ()
    named: str = ""

    @property
    def endpoint_name(self) -> str:
        """Return the physical name of the endpoint."""
        return physical_name(self.named, self.endpoint_token)

    @property
    def endpoint_token(self) -> str:
        """Return the token of the endpoint."""
        return token(self.lineage, self.named, 1)

    def unit_token(self, version: str) -> str:
        """Return the token of a version's unit."""
        return unit_token(self.named, self.lineage, version)

    def unit_name(self, version: str) -> str:
        """Return the physical name of a version's unit."""
        return unit_name(self.named, self.lineage, version)

    def endpoint(self) -> EndpointSpec:
        """Return what the provider is asked for."""
        limits = {c.at_most for c in self.criteria if c.at_most is not None and c.metric != "error_rate"}
        return EndpointSpec(
            self.endpoint_name,
            self.endpoint_token,
            self.model,
            self.port,
            self.health_path,
            tuple(sorted({*LATENCY_EDGES, *limits})),
            labels(self.lineage, self.named, self.endpoint_token, self.run),
        )

    def unit(self, version: str, artifact: str, services: Services) -> UnitSpec:
        """Return the unit that serves an artifact as `version`."""
        logs = services.requests / self.endpoint_name
        command = (
            services.python, "-m", "mlplan.serve",
            "--artifact", str(services.artifact_path(artifact)), "--model", served_name(self.model),
            "--version", version, "--endpoint", self.endpoint_name, "--log-dir", str(logs),
            "--digest", artifact, *(word for name in self.trust for word in ("--trust", name)),
        )  # fmt: skip
        return UnitSpec(
            self.unit_name(version),
            self.unit_token(version),
            self.endpoint_name,
            version,
            command,
            replicas=self.replicas,
            health_path=self.health_path,
            ready_within=self.policy.ready_within,
            labels={
                **labels(self.lineage, self.named, self.unit_token(version), self.run),
                "version": version,
                ARTIFACT_LABEL: artifact.removeprefix("sha256:")[:ARTIFACT_DIGITS],
            },
        )

    def serving_inputs(self) -> str:
        """Return the digest of what the running units and the endpoint depend on; another value means they must be adapted."""
        return digest_of([self.port, self.health_path, self.replicas, list(self.endpoint().latency_limits)])


def unit_token(named: str, lineage: str, version: str) -> str:
    """Return the token of the unit that serves a version. named: see `Place`."""
    return token(lineage, f"{named}@{version}", 1)


def unit_name(named: str, lineage: str, version: str) -> str:
    """Return the physical name of the unit that serves a version. named: see `Place`."""
    return physical_name(f"{named}@{version}", unit_token(named, lineage, version))


def place(desired: Desired, environment: Desired, lineage: str, record: Record | None, run: str = "") -> Place:
    """Return the place of a deployment from its own arguments and its environment's.

    Raises: DiagnosticError (invalid-criterion).
    """
    arguments, policies = desired.arguments, environment.arguments
    label, rollout = _rollout_of(policies)
    health = {**DEFAULT_HEALTH, **{k: v for k, v in (policies.get("health") or {}).items() if v is not None}}
    return Place(
        address=desired.address,
        model=str(arguments["model"]),
        lineage=home(lineage, record),
        provider=environment.provider,
        port=policies.get("port"),
        health_path=str(health["path"]),
        replicas=int(arguments.get("replicas", 1)),
        policy=policy(label, rollout, float(health["within"])),
        criteria=tuple(success(name, body) for name, body in (rollout.get("success") or {}).items()),
        environment=policies,
        run=run,
        trust=tuple(arguments.get("trust") or ()),
        named=origin(desired.address, record),
    )


def served_name(model: str) -> str:
    """Return the name under which a model is asked for: that of its block, with its key."""
    address = parse_address(model)
    if address is None:
        return model
    return address.name if address.key is None else f"{address.name}.{address.key}"


def _rollout_of(environment: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    blocks: Mapping[str, Mapping[str, Any]] = environment.get("rollout") or {}
    return next(iter(blocks.items())) if blocks else ("blue_green", {})


def policy(strategy: str, rollout: Mapping[str, Any], ready_within: float) -> Policy:
    """Return the policy of a rollout block."""
    steps = tuple(round(float(step) * FULL_WEIGHT / 100) for step in rollout.get("steps") or (100,))
    if strategy != "canary":
        steps = (FULL_WEIGHT,)
    hold = float(rollout.get("hold") or 0.0)
    return Policy(
        strategy=strategy,
        steps=steps,
        hold=hold,
        bake=float(rollout.get("bake") or (hold if strategy == "canary" else 0.0)),
        give_up_after=float(rollout.get("give_up_after") or 3600.0),
        look_every=float(rollout.get("look_every") or 2.0),
        ready_within=ready_within,
        on_inconclusive=str(rollout.get("on_inconclusive") or "hold"),
        compares=bool(rollout.get("success")),
        smoke_test=rollout.get("smoke_test"),
    )


def success(name: str, body: Mapping[str, Any]) -> Success:
    """Return a criterion; the limit is read in the unit of its metric."""
    metric, limit = str(body["metric"]), body.get("at_most")
    if limit is not None:
        limit = parse_fraction(limit) if metric == "error_rate" else parse_duration(limit) * 1000.0
    relative = body.get("no_worse_than") == "live"
    if relative == (limit is not None):
        raise DiagnosticError(
            Diagnostic(
                "invalid-criterion",
                "A criterion needs one limit",
                f'success "{name}" must have exactly one of no_worse_than = "live" and at_most.',
            )
        )
    return Success(name, metric, relative, float(body.get("margin") or 0.0), limit, int(body.get("min_requests") or 0))


def check_rollout(environment: Mapping[str, Any]) -> list[Diagnostic]:
    """Return what is wrong with the rollout block of an environment."""
    found: list[Diagnostic] = []
    blocks = environment.get("rollout") or {}
    if len(blocks) > 1:
        found.append(_invalid(f"An environment has one rollout; here are {', '.join(blocks)}."))
    for label, rollout in blocks.items():
        if label not in ("blue_green", "canary"):
            found.append(
                _invalid(f'"{label}" is no strategy that can be carried out yet. Use "blue_green" or "canary".')
            )
        steps = [float(s) for s in rollout.get("steps") or (100,)]
        rising = all(a < b for a, b in itertools.pairwise(steps))
        if not steps or not rising or steps[0] <= 0 or not math.isclose(steps[-1], 100):
            found.append(_invalid(f"steps must rise and end at 100 percent, and do not: {rollout.get('steps')}."))
        for name, body in (rollout.get("success") or {}).items():
            try:
                success(name, body)
            except DiagnosticError as error:
                found.extend(error.diagnostics)
    return found


def _invalid(detail: str) -> Diagnostic:
    return Diagnostic("invalid-rollout", "This rollout cannot be carried out", detail)


def artifact_folder(services: Services, digest: str) -> Path:
    """Return where a sealed artifact lies."""
    return services.artifact_path(digest)
