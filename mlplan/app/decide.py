"""Decisions of people: promote (approve), abort, release, override, unlock. Each is written to the history with who and why."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mlplan.app.compose import Project
from mlplan.app.run import holder, read_state
from mlplan.config.addresses import key_text, short_name
from mlplan.kinds.deployment.waiting import approvals_needed
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.ledger.records import Record, State


def resolve_address(name: str, state: State) -> str:
    """Return the full address of what a person wrote: `flights@production` is a deployment. Raises: DiagnosticError."""
    address = name
    model, at, environment = name.partition("@")
    if at:
        model = model if model.startswith(("model.", "module.")) else f"model.{model}"
        address = f'{model}.deployment["{environment}"]'
    if address not in state.records:
        known = sorted(state.records)
        detail = f"{name} is not in the state. Known: {', '.join(known[:12]) or 'nothing yet'}."
        raise DiagnosticError(
            Diagnostic("unknown-address", "Nothing has this address", detail, hint=suggestion(address, known))
        )
    return address


def promote(project: Project, name: str, who: str | None, why: str) -> str:
    """Approve the version that waits to come into an environment; return what was approved."""

    def decide(record: Record, state: State) -> tuple[Record, str]:
        environment = next(
            (i for i in project.program.instances if i.address == record.attributes["environment"]), None
        )
        arguments: Mapping[str, Any] = project.program.decode(environment, lambda _: None)[0] if environment else {}
        approver = who or holder("", "promote").who
        allowed = (arguments.get("promote_when") or {}).get("approved_by") or ()
        if allowed and approver not in allowed:
            detail = f"{approver} may not approve here; {', '.join(allowed)} may."
            raise DiagnosticError(Diagnostic("not-an-approver", "This person may not approve", detail))
        version = _waiting_version(record, arguments, state)
        approvals = dict(record.attributes.get("approvals") or {})
        given = [a for a in approvals.get(version, ()) if a["who"] != approver]
        approvals[version] = [*given, {"who": approver, "why": why}]
        needed = approvals_needed(arguments, unattended=False)
        kept = replace(record, attributes={**record.attributes, "approvals": approvals})
        return kept, f"{approver} approved {version} ({len(approvals[version])} of {max(needed, 1)})"

    return _decide(project, name, "promote", decide, why, who)


def release(project: Project, name: str, why: str) -> str:
    """Forget what was rejected at an address, so that the next apply may try it again; return what was released."""

    def decide(record: Record, state: State) -> tuple[Record, str]:
        rejected: Mapping[str, Any] = record.attributes.get("rejected") or {}
        refused = record.attributes.get("refused")
        if not rejected and not refused:
            detail = f"{record.address} holds nothing back."
            raise DiagnosticError(Diagnostic("nothing-rejected", "Nothing is rejected here", detail))
        kept = replace(record, attributes={**record.attributes, "rejected": {}, "refused": None})
        names = [f"v{v['version']}" if "version" in v else key for key, v in rejected.items()]
        return kept, f"released {', '.join(names) or 'the refused snapshot'}"

    return _decide(project, name, "release", decide, why, None)


def abort(project: Project, name: str, why: str) -> str:
    """Ask for the end of a rollout that is on its way; the next apply gives all traffic back and rejects its version."""

    def decide(record: Record, state: State) -> tuple[Record, str]:
        rollout: Mapping[str, Any] = record.attributes.get("rollout") or {}
        if not rollout or rollout["phase"] in ("finished", "rolled_back"):
            detail = f"{record.address} has no rollout on its way."
            raise DiagnosticError(Diagnostic("nothing-to-abort", "No rollout is on its way", detail))
        words = f"aborted by {holder('', 'abort').who}{': ' + why if why else ''}"
        kept = replace(record, attributes={**record.attributes, "abort": words})
        return kept, f"the rollout of {rollout['target']} will be ended"

    return _decide(project, name, "abort", decide, why, None)


def override(project: Project, gate: str, why: str, who: str | None) -> str:
    """Let the newest rejected recipe of a model pass one gate; recorded with the reason. gate: model.NAME.gate.GATE."""
    model, found, gate_name = gate.partition(".gate.")
    if not found or not why.strip():
        detail = 'An override names a gate and a reason, as in: mlplan override model.fraud.gate.fair --reason "…"'
        raise DiagnosticError(Diagnostic("invalid-override", "This override is incomplete", detail))

    def decide(record: Record, state: State) -> tuple[Record, str]:
        rejected: dict[str, Any] = dict(record.attributes.get("rejected") or {})
        if not rejected:
            detail = f"{model} has no rejected version."
            raise DiagnosticError(Diagnostic("nothing-rejected", "Nothing is rejected here", detail))
        recipe, entry = list(rejected.items())[-1]
        overrides = dict(record.attributes.get("overrides") or {})
        overrides[recipe] = {**overrides.get(recipe, {}), gate_name: {"why": why, "who": who or holder("", "").who}}
        del rejected[recipe]
        candidate = {**entry["candidate"], "stage": "sealed"}
        attributes = {**record.attributes, "overrides": overrides, "rejected": rejected, "candidate": candidate}
        return replace(record, attributes=attributes), f"v{entry['version']} may pass gate {gate_name}"

    return _decide(project, model, "override", decide, why, who)


def _waiting_version(record: Record, environment: Mapping[str, Any], state: State) -> str:
    source = environment.get("promote_from")
    address = str(record.attributes["model"])
    if source is not None:
        upstream = f"{address}.deployment{key_text(short_name(str(source), address))}"
        live = (state.records[upstream].attributes.get("live") or {}) if upstream in state.records else {}
        version = live.get("version")
    else:
        number = state.records[address].attributes.get("version")
        version = f"v{number}" if number is not None else None
    present = (record.attributes.get("live") or {}).get("version")
    if version is None or version == present:
        detail = f"{present or 'Nothing'} is live and nothing newer waits to come here."
        raise DiagnosticError(Diagnostic("nothing-to-promote", "No version waits here", detail))
    return str(version)


def _decide(
    project: Project,
    name: str,
    what: str,
    decide: Callable[[Record, State], tuple[Record, str]],
    why: str,
    who: str | None,
) -> str:
    read_state(project)
    run = uuid.uuid4().hex[:12]
    with project.ledger.begin(run, holder(run, what), what, 0.0, what) as session:
        address = resolve_address(name, session.state)
        record, words = decide(session.state.records[address], session.state)
        session.put_record(record)
        session.decision(address, what, why, who or "", words)
        session.end(words)
    return words
