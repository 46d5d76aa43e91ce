"""A plan as JSON for programs, close to Terraform's plan JSON so that policies and dashboards need few changes.

The schema is docs/reference/plan.schema.json. Within one major `format_version` fields are added, never taken away or given another
meaning. What Terraform has no word for stands beside: reasons, evidence, steps, rollouts, held versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from mlplan import __version__
from mlplan.engine.address import parts
from mlplan.engine.plain import plain
from mlplan.engine.types import Action, Change, OutputChange, Plan
from mlplan.lang.source import SourceFile
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.report import json_values
from mlplan.report.diagnostics import diagnostic_json

FORMAT_VERSION = "1.0"
ACTIONS = {
    Action.KEEP: ["no-op"],
    Action.MOVE: ["no-op"],
    Action.IMPORT: ["no-op"],
    Action.ADD: ["create"],
    Action.CHANGE: ["update"],
    Action.RETRAIN: ["update"],
    Action.REPLACE: ["delete", "create"],
    Action.REMOVE: ["delete"],
    Action.FORGET: ["forget"],
}
STATUS = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.ERROR: "error", Verdict.INCONCLUSIVE: "unknown"}
WORST = ("error", "fail", "unknown", "pass")


def plan_json(plan: Plan, sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    """Return the document of a plan; diagnostics with their places."""
    errored = any(d.is_error for d in plan.diagnostics)
    kept = [c for c in plan.changes if c.action not in (Action.REMOVE, Action.FORGET)]
    return {
        "format_version": FORMAT_VERSION,
        "mlplan_version": __version__,
        "timestamp": datetime.fromtimestamp(plan.created, UTC).isoformat(timespec="seconds"),
        "id": plan.id,
        "workspace": plan.workspace,
        "applyable": not errored and not plan.is_empty,
        "complete": not plan.left and not plan.targets and not plan.excludes,
        "errored": errored,
        "mode": "destroy" if plan.destroy else "refresh-only" if plan.refresh_only else "normal",
        "unattended": plan.unattended,
        "variables": {name: {"value": value} for name, value in sorted(plan.given.variables.items())},
        "made_from": {
            "lineage": plan.lineage, "serial": plan.serial, "state": plan.head, "config": plan.config, "pins": plan.pins
        },
        "planned_values": {
            "outputs": {o.name: _output_value(o.after, o) for o in plan.outputs if o.after is not None},
            "root_module": _modules([_resource(c, c.after) for c in kept]),
        },
        "resource_drift": [_drift(c) for c in plan.changes if c.surprises or c.breach],
        "resource_changes": [_resource_change(c, sources) for c in plan.changes],
        "output_changes": {o.name: _output_change(o) for o in plan.outputs},
        "prior_state": {
            "format_version": FORMAT_VERSION,
            "mlplan_version": __version__,
            "values": {
                "outputs": {o.name: _output_value(o.before, o) for o in plan.outputs if o.before is not None},
                "root_module": _modules([_resource(c, c.before) for c in plan.changes if c.before is not None]),
            },
        },
        "checks": _checks(plan.changes),
        "rollouts": [_rollout(c) for c in plan.changes if c.kind == "deployment" and c.steps],
        "steps": [
            {"id": s.id, "address": s.address, "action": s.action, "summary": s.summary, "needs": list(s.needs)}
            for s in plan.steps
        ],
        "pending": [{"address": o.address, "action": o.action, "run": o.run} for o in plan.pending],
        "unswept": list(plan.unswept),
        "left": list(plan.left),
        "diagnostics": [diagnostic_json(d, sources) for d in plan.diagnostics],
    }  # fmt: skip


def _resource(change: Change, values: Mapping[str, Any] | None) -> dict[str, Any]:
    found = _identity(change)
    found["values"] = json_values.known(values or {})
    found["sensitive_values"] = json_values.sensitive(values or {}) or {}
    return found


def _identity(change: Change) -> dict[str, Any]:
    split = parts(change.address, change.kind)
    found: dict[str, Any] = {"address": change.address, "mode": "managed", "type": change.kind, "name": split.name}
    if split.module:
        found["module_address"] = split.module
    if split.key is not None:
        found["index"] = split.key
    if split.parent is not None:
        found["parent"] = split.parent
    return found


def _resource_change(change: Change, sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    found = _identity(change)
    if change.moved_from:
        found["previous_address"] = change.moved_from
    before, after = change.before, change.after
    found["action"] = str(change.action)
    found["change"] = {
        "actions": ACTIONS[change.action],
        "before": json_values.known(before) if before is not None else None,
        "after": json_values.known(after) if after is not None else None,
        "after_unknown": (json_values.unknown(after) or {}) if after is not None else {},
        "before_sensitive": (json_values.sensitive(before) or {}) if before is not None else False,
        "after_sensitive": (json_values.sensitive(after) or {}) if after is not None else False,
    }
    if change.importing is not None:
        found["change"]["importing"] = {"id": change.importing}
    found["unknown_origins"] = json_values.origins(after)
    found["reasons"] = [{"text": r.text, "cause": str(r.cause)} for r in change.reasons]
    found["fields"] = [
        {"name": f.name, "before": json_values.known(f.before), "after": json_values.known(f.after)}
        for f in change.fields
    ]
    found["steps"] = [{"id": s.id, "action": s.action, "summary": s.summary} for s in change.steps]
    found["questions"] = list(change.questions)
    found["notes"] = [{"label": label, "text": text} for label, text in change.notes]
    found["evidence"] = _evidence(change)
    found["held"] = change.held
    found["breach"] = change.breach
    found["dependencies"] = list(change.dependencies)
    found["diagnostics"] = [diagnostic_json(d, sources) for d in change.diagnostics]
    return found


def _evidence(change: Change) -> list[dict[str, Any]]:
    blocking = list(change.blocked)
    every = [*blocking, *(e for e in change.evidence if e not in blocking)]
    return [{**evidence_json(e), "blocks": e in blocking} for e in every]


def evidence_json(evidence: Evidence) -> dict[str, Any]:
    """Return evidence with the digest under which the state keeps it."""
    return {**evidence.to_json(), "digest": evidence.digest()}


def _drift(change: Change) -> dict[str, Any]:
    found = _identity(change)
    found["surprises"] = list(change.surprises)
    found["breach"] = change.breach
    return found


def _output_value(value: Any, output: OutputChange) -> dict[str, Any]:
    if output.sensitive:
        return {"sensitive": True}
    return {"sensitive": False, "value": json_values.known(value)}


def _output_change(output: OutputChange) -> dict[str, Any]:
    if output.before == output.after:
        actions = ["no-op"]
    elif output.before is None:
        actions = ["create"]
    else:
        actions = ["delete"] if output.after is None else ["update"]
    return {
        "actions": actions,
        "before": None if output.sensitive else json_values.known(output.before),
        "after": None if output.sensitive else json_values.known(output.after),
        "after_unknown": json_values.unknown(output.after),
        "before_sensitive": output.sensitive,
        "after_sensitive": output.sensitive,
    }


def _modules(resources: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return resources as a tree of modules, each with its own."""
    root: dict[str, Any] = {"resources": []}
    made: dict[str, dict[str, Any]] = {"": root}

    def module(address: str) -> dict[str, Any]:
        if address not in made:
            above = address.rpartition(".module.")[0]
            made[address] = {"address": address, "resources": []}
            module(above).setdefault("child_modules", []).append(made[address])
        return made[address]

    for resource in resources:
        module(str(resource.get("module_address", "")))["resources"].append(resource)
    return root


def _checks(changes: Iterable[Change]) -> list[dict[str, Any]]:
    found = []
    for change in changes:
        blocking = list(change.blocked)
        instances = [_check(e) for e in (*blocking, *(e for e in change.evidence if e not in blocking))]
        instances += [
            {"address": {"to_display": change.address}, "status": "unknown", "problems": [], "question": question}
            for question in change.questions
        ]
        if instances:
            split = parts(change.address, change.kind)
            status = min((i["status"] for i in instances), key=WORST.index)
            address = {"kind": "resource", "mode": "managed", "type": change.kind, "name": split.name}
            found.append(
                {"address": {**address, "to_display": change.address}, "status": status, "instances": instances}
            )
    return found


def _check(evidence: Evidence) -> dict[str, Any]:
    failed = evidence.verdict is not Verdict.PASS
    return {
        "address": {"to_display": evidence.subject},
        "status": STATUS[evidence.verdict],
        "problems": [{"message": evidence.message or evidence.question}] if failed else [],
        "question": evidence.question,
    }


def _rollout(change: Change) -> dict[str, Any]:
    version = next((f for f in change.fields if f.name == "version"), None)
    return {
        "address": change.address,
        "model": str((change.after or {}).get("model", "")),
        "environment": str((change.after or {}).get("environment", "")),
        "from": plain(version.before) if version is not None else None,
        "to": json_values.known(version.after) if version is not None else None,
        "traffic": next((text for label, text in change.notes if label == "traffic"), None),
        "waits_for": [text for label, text in change.notes if label == "waits for"],
        "steps": [s.id for s in change.steps],
    }
