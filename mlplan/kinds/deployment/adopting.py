"""Taking over an endpoint that runs already: what is there is looked at twice, before the plan and before it is remembered.

Nothing in the world is touched. Names stay as they are, also those that another state gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlplan.engine.kind import Context, View, new_record
from mlplan.engine.types import Action, Change, Desired, FieldChange, Outcome, Reason, Result, Step
from mlplan.kinds import capabilities
from mlplan.kinds.deployment.spec import ARTIFACT_LABEL, Place, place
from mlplan.kinds.services import Services
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.ledger.names import physical_name, token
from mlplan.ledger.records import Record, State
from mlplan.ledger.renaming import HOME, ORIGIN
from mlplan.spi.capabilities import FULL_WEIGHT, EndpointStatus, Provider, UnitStatus


@dataclass(frozen=True)
class Running:
    """What serves at an endpoint: one version that has all traffic. named, home: the address and lineage it was named under."""

    endpoint: EndpointStatus
    unit: UnitStatus
    artifact: str
    named: str
    home: str


def adopt(desired: Desired, identity: str, where: Place, view: View) -> Change:
    """Return the change that takes over the endpoint with this name or URL."""
    running = find(identity, desired, where, view.provider(where.provider), view.services, view.state)
    version = running.unit.version
    inputs = _inputs(identity, running)
    step = view.step(desired, "import", f"take over {running.endpoint.name}, which serves {version}", inputs)
    planned = {"version": version, "traffic": {version: 100}, "step": "stable", "url": running.endpoint.url}
    return Change(
        desired.address,
        "deployment",
        Action.IMPORT,
        (Reason(f"{running.endpoint.url} serves {version}"),),
        (FieldChange("version", None, version), FieldChange("url", None, running.endpoint.url)),
        (replace(step, free=True),),  # what runs needs nothing of what is to be made
        planned,
    )


def take_over(step: Step, context: Context) -> Outcome:
    """Remember an endpoint as this deployment's, when it still serves what the plan saw."""
    desired = context.desired(step.address)
    environment = context.desired(str(desired.arguments["environment"]))
    where = place(desired, environment, context.lineage, None, context.run)
    provider = context.checked(where.provider)
    running = find(str(step.inputs["id"]), desired, where, provider, context.services, context.state)
    if _inputs(str(step.inputs["id"]), running) != dict(step.inputs):
        detail = f"{running.endpoint.name} serves something else than when the plan was made. Plan again."
        raise DiagnosticError(_refused(detail, step.address))
    attributes = _attributes(running, desired, where, context)
    kept = new_record(replace(desired, provider=where.provider), None, context.lineage, attributes)
    kept = replace(kept, physical_name=running.endpoint.name, token=running.endpoint.token)
    theirs = place(desired, environment, context.lineage, kept, context.run)
    return Outcome(
        Result.DONE,
        f"{running.endpoint.name} serves {running.unit.version} and is managed here now",
        replace(kept, inputs=theirs.serving_inputs() if _as_wanted(running, where) else ""),
    )


def _as_wanted(running: Running, where: Place) -> bool:
    """Tell whether what runs has the port and the servers that the files ask for; if not, the next plan adapts it."""
    port = running.endpoint.url.rpartition(":")[2].strip("/")
    return len(running.unit.addresses) == where.replicas and (where.port is None or str(where.port) == port)


def _attributes(running: Running, desired: Desired, where: Place, context: Context) -> dict[str, Any]:
    version = running.unit.version
    attributes = {
        "model": where.model,
        "environment": str(desired.arguments["environment"]),
        "rejected": {},
        "live": {"version": version, "artifact": running.artifact, "since": context.now()},
        "previous": None,
        "version": version,
        "traffic": {version: 100},
        "step": "stable",
        "url": running.endpoint.url,
        "rollout": None,
        "units": {version: {"name": running.unit.name, "token": running.unit.token}},
        "imported": running.endpoint.name,
    }
    if running.named != desired.address:
        attributes[ORIGIN] = running.named
    if running.home != context.lineage:
        attributes[HOME] = running.home
    return attributes


def _inputs(identity: str, running: Running) -> dict[str, Any]:
    return {
        "id": identity,
        "endpoint": running.endpoint.name,
        "unit": running.unit.name,
        "version": running.unit.version,
        "artifact": running.artifact,
    }


def find(
    identity: str, desired: Desired, where: Place, provider: Provider, services: Services, state: State
) -> Running:
    """Return what runs under a name or URL. Raises: DiagnosticError (cannot-import), ProviderError."""
    address = desired.address
    serves, splits = capabilities.serves(provider), capabilities.splits(provider)
    every = splits.list_endpoints({})
    endpoint = next((e for e in every if identity.rstrip("/") in (e.name, e.url.rstrip("/"))), None)
    if endpoint is None:
        known = "".join(f"\n    {e.name}  {e.url}" for e in every) or " none"
        detail = f'There is no endpoint "{identity}" in {desired.arguments["environment"]}. What is there, by name and URL:{known}'
        raise DiagnosticError(replace(_refused(detail, address), hint=suggestion(identity, [e.name for e in every])))
    _refuse_owned(endpoint, address, state)
    if endpoint.state != "ready":
        why = f" ({endpoint.reason})" if endpoint.reason else ""
        raise DiagnosticError(_refused(f"{endpoint.name} is {endpoint.state}{why}; start it, then import it.", address))
    named, home = endpoint.labels.get("mlplan.address", ""), endpoint.labels.get("mlplan.lineage", "")
    if endpoint.name != physical_name(named, token(home, named, 1)):
        detail = f"{endpoint.name} was not made by mlplan: its name does not follow from its labels."
        raise DiagnosticError(_refused(detail, address))
    unit = _one_unit(endpoint, [serves.inspect_unit(name) for name, w in endpoint.weights.items() if w], address)
    return Running(endpoint, unit, _artifact(unit, where, services, state, address), named, home)


def _refuse_owned(endpoint: EndpointStatus, address: str, state: State) -> None:
    owner = next((r.address for r in state.records.values() if r.physical_name == endpoint.name), None)
    if owner is not None:
        detail = (
            f"{endpoint.name} belongs to {owner} in this state. A deployment that got another address is moved, not imported:\n"
            f"    mlplan state mv '{owner}' '{address}'"
        )
        raise DiagnosticError(_refused(detail, address))


def _one_unit(endpoint: EndpointStatus, units: Sequence[UnitStatus], address: str) -> UnitStatus:
    if len(units) != 1 or endpoint.weights.get(units[0].name) != FULL_WEIGHT:
        shares = ", ".join(f"{name} {weight / 100:g} %" for name, weight in endpoint.weights.items()) or "nobody"
        detail = (
            f"The traffic of {endpoint.name} goes to {shares}. Only one version that has all of it can be taken over."
        )
        raise DiagnosticError(_refused(detail, address))
    unit = units[0]
    if unit.state != "ready":
        detail = f"The servers of {unit.version} behind {endpoint.name} are {unit.state}{f' ({unit.reason})' if unit.reason else ''}."
        raise DiagnosticError(_refused(detail, address))
    return unit


def _artifact(unit: UnitStatus, where: Place, services: Services, state: State, address: str) -> str:
    """Return the digest of what a unit serves: its label says how it begins, the store has it whole."""
    begins = unit.labels.get(ARTIFACT_LABEL, "")
    if begins:
        folder: Path = services.artifacts / begins[:2]
        found = [path for path in folder.glob(f"{begins}*") if path.is_dir()]
        if len(found) == 1:
            return f"sha256:{found[0].name}"
        detail = f"{unit.name} serves the artifact sha256:{begins}…, which is not in {services.artifacts}. Put it back first."
        raise DiagnosticError(_refused(detail, address))
    model: Record | None = state.records.get(where.model)
    entry = ((model.attributes.get("versions") or {}) if model else {}).get(unit.version.removeprefix("v"))
    if entry is None:
        detail = f"{unit.name} does not say which artifact it serves, and {where.model} remembers no {unit.version}. Import the model first."
        raise DiagnosticError(_refused(detail, address))
    return str(entry["artifact"])


def _refused(detail: str, address: str) -> Diagnostic:
    return Diagnostic("cannot-import", "This cannot be imported", detail, address=address)
