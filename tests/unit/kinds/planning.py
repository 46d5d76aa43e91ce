"""A view with what a test needs in it: what is wanted, what is remembered, what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlplan.engine.kind import Options, View
from mlplan.engine.types import Desired, Observation
from mlplan.ledger.records import Record, State
from mlplan.spi.schema import Reference

MODEL = "model.m"
ENVIRONMENT = "environment.prod"
DEPLOYMENT = 'model.m.deployment["prod"]'
MONITOR = "monitor.w"
NOW = 1_000_000.0


def reference(address: str, *path: str) -> Reference:
    """Return a reference as decoded arguments hold it."""
    return Reference(address, tuple(path))


def monitor(do: str, **answer: Any) -> Desired:
    """Return a monitor whose watch "w" has one answer."""
    arguments = {
        "model": reference(MODEL), "environment": reference(ENVIRONMENT), "every": 60.0,
        "watch": {"w": {"error_rate": {"at_most": 0.01}}},
        "on_breach": {"w": {"do": do, "cooldown": 0.0, "at_most": None, **answer}},
    }  # fmt: skip
    return Desired(MONITOR, "monitor", "w", arguments)


def breached(message: str = "errors 5 %", *, breach: bool = True) -> Observation:
    """Return what a monitor saw."""
    verdict = "fail" if breach else "pass"
    return Observation({"watches": {"w": {"verdict": verdict, "breached": breach, "message": message}}, "live": "v2"})


def model() -> Desired:
    """Return the model, trained on one contract."""
    train = {"data": {"train": reference("data_contract.rows")}}
    return Desired(MODEL, "model", "m", {"train": train, "evaluate": None, "deploy_to": (reference(ENVIRONMENT),)})


def environment(**arguments: Any) -> Desired:
    """Return the environment."""
    defaults: dict[str, Any] = {"rollout": {}, "health": {}, "port": None, "promote_from": None, "promote_when": {}}
    return Desired(ENVIRONMENT, "environment", "prod", {**defaults, **arguments})


def deployment() -> Desired:
    """Return the deployment of the model in the environment."""
    arguments = {"model": MODEL, "environment": ENVIRONMENT, "replicas": 1}
    return Desired(DEPLOYMENT, "deployment", "prod", arguments, (MODEL, ENVIRONMENT))


def model_record(version: int = 2, **attributes: Any) -> Record:
    """Return the model's record, with every version up to `version`."""
    versions = {str(v): {"artifact": f"sha256:{v:064d}", "recipe": f"r{v}"} for v in range(1, version + 1)}
    return Record(MODEL, "model", {"version": version, "versions": versions, **attributes})


def deployment_record(live: str = "v2", previous: str | None = "v1", **attributes: Any) -> Record:
    """Return the record of a deployment that serves `live`."""
    return Record(
        DEPLOYMENT, "deployment",
        {"model": MODEL, "environment": ENVIRONMENT, "live": {"version": live, "since": NOW - 500}, "previous": previous, **attributes},
    )  # fmt: skip


def view(
    desired: list[Desired], records: list[Record], seen: Mapping[str, Observation] | None = None, **options: Any
) -> View:
    """Return a view over these."""
    return View(
        Path("/nowhere"), State("lineage", records={r.address: r for r in records}), Options(**options), NOW,
        lambda name: None, None, lambda key: None, {d.address: d for d in desired}, dict(seen or {}),  # type: ignore[arg-type, return-value]
    )  # fmt: skip
