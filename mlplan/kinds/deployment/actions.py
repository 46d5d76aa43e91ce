"""Carrying out the steps of a deployment: rollout, roll back, repair, remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mlplan.config.addresses import key_text, short_name
from mlplan.engine.kind import Context, new_record
from mlplan.engine.types import Desired, Outcome, Result, Step
from mlplan.kinds import capabilities
from mlplan.kinds.deployment import adopting, waiting
from mlplan.kinds.deployment.rollout import Rollout
from mlplan.kinds.deployment.spec import Place, place
from mlplan.kinds.deployment.tick import Ticker, Version
from mlplan.kinds.deployment.wanted import offered, source_of
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.records import Operation, Record
from mlplan.ledger.renaming import home, origin
from mlplan.spi.capabilities import FULL_WEIGHT

KEPT_REJECTIONS = 20


def execute(step: Step, context: Context) -> Outcome:
    """Do a step of a deployment."""
    if step.action == "remove":
        return remove(step, context)
    if step.action == "import":
        return adopting.take_over(step, context)
    desired = context.desired(step.address)
    environment = context.desired(str(desired.arguments["environment"]))
    known = context.record(step.address)
    where = place(desired, environment, context.lineage, known, context.run)
    record = known or new_record(
        replace(desired, provider=where.provider),
        None,
        context.lineage,
        {"model": where.model, "environment": str(desired.arguments["environment"]), "rejected": {}},
    )
    if step.action == "repair":
        return repair(step, where, record, context)
    if step.action == "roll_back":
        record = _answering(record, step, context)
        record = _reject(record, record.attributes["live"]["version"], str(step.inputs["why"]), context, ())
    return roll_out(step, desired, where, record, context)


def roll_out(step: Step, desired: Desired, where: Place, record: Record, context: Context) -> Outcome:
    """Bring the wanted version to all traffic, or back."""
    source = source_of(desired, _dependencies(desired, context))
    upstream = context.record(source)
    wanted = str(step.inputs["to"]) if step.action == "roll_back" else offered(source, upstream)
    live: Mapping[str, Any] = record.attributes.get("live") or {}
    rejected: Mapping[str, Any] = record.attributes.get("rejected") or {}
    unfinished = record.attributes.get("rollout")
    if unfinished and unfinished["target"] != wanted:
        record = _end_superseded(where, record, Rollout.from_json(unfinished), step, context)
        unfinished = None
    if wanted is None or wanted == live.get("version"):
        return Outcome(
            Result.UNCHANGED,
            f"{live.get('version') or 'nothing'} stays live",
            replace(record, dependencies=desired.dependencies),
        )
    if wanted in rejected:
        return Outcome(Result.UNCHANGED, f"held at {live.get('version')}: {wanted} is rejected here", record)
    since = ((upstream.attributes.get("live") or {}) if upstream else {}).get("since")
    missing = None if unfinished or step.action == "roll_back" else waiting.unmet(
        where, record, wanted, since, context.now(), context.options.unattended
    )  # fmt: skip
    if missing:
        return Outcome(Result.WAITING, f"waiting: {missing}", record)
    versions = _versions(where, record, context, wanted, live.get("version"))
    _refuse_altered(versions[wanted], context, where.address)
    if step.action == "roll_back":
        # The version it goes back to was judged when it was live; waiting at small weights would prolong the harm.
        where = replace(
            where, policy=replace(where.policy, steps=(FULL_WEIGHT,), bake=0.0, smoke_test=None), criteria=()
        )
    rollout = _document(unfinished, record, where, wanted, live.get("version"), str(step.inputs["why"]), context.now())
    ticker = Ticker(where, replace(record, dependencies=desired.dependencies), versions, context, step.id)
    ended = ticker.run(rollout)
    return _conclude(step, where, ticker, ended, versions, context)


def _conclude(
    step: Step, where: Place, ticker: Ticker, rollout: Rollout, versions: Mapping[str, Version], context: Context
) -> Outcome:
    if rollout.phase == "finished":
        record = _finish(where, ticker.record, rollout, versions, context)
        back = step.action == "roll_back"
        return Outcome(
            Result.ROLLED_BACK if back else Result.DONE,
            f"{'rolled back: ' if back else ''}{rollout.target} has all traffic",
            record,
        )
    if rollout.phase == "rolled_back":
        record = _cleared(where, ticker.record, rollout, context)
        if not rollout.rejects:
            context.keep(record)
            problem = Diagnostic(
                "rollout-stopped",
                "A rollout could not go on",
                f"{rollout.target}: {rollout.reason}. {rollout.stable or 'Nothing'} has all traffic. This says nothing against "
                f"{rollout.target}: the next apply begins its rollout again.",
                address=where.address,
            )
            return Outcome(Result.FAILED, rollout.reason, record, diagnostics=(problem,))
        record = _reject(record, rollout.target, rollout.reason, context, record.evidence)
        if rollout.stable is None:
            return Outcome(
                Result.FAILED,
                f"{rollout.target} could not be served: {rollout.reason}",
                record,
                diagnostics=(
                    Diagnostic(
                        "deployment-failed",
                        "The first version could not be served",
                        f"{rollout.target}: {rollout.reason}. Mend it and apply again; mlplan release lets the same version be tried again.",
                        address=where.address,
                    ),
                ),
            )
        return Outcome(Result.ROLLED_BACK, f"rolled back to {rollout.stable}: {rollout.reason}", record)
    weight = ticker.record.attributes.get("step")
    return Outcome(
        Result.WAITING, f"{rollout.target} is {weight}{': ' + rollout.reason if rollout.reason else ''}", ticker.record
    )


def _finish(
    where: Place, record: Record, rollout: Rollout, versions: Mapping[str, Version], context: Context
) -> Record:
    """Return the record of a finished rollout, after the previous version was drained and removed."""
    provider = context.provider(where.provider)
    splits, serves = capabilities.splits(provider), capabilities.serves(provider)
    unit = where.unit_name(rollout.target)
    status = splits.set_weights(where.endpoint_name, {unit: FULL_WEIGHT})
    if rollout.stable:
        serves.remove_unit(where.unit_name(rollout.stable))
    now = context.now()
    live = {"version": rollout.target, "artifact": versions[rollout.target].artifact, "since": now}
    attributes = {
        **record.attributes,
        "live": live,
        "previous": rollout.stable,
        "version": rollout.target,
        "traffic": {rollout.target: 100},
        "step": "stable",
        "url": status.url,
        "rollout": None,
        "units": {rollout.target: {"name": unit, "token": where.unit_token(rollout.target)}},
        "deployed_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
    }
    return replace(record, attributes=attributes, inputs=where.serving_inputs(), physical_name=where.endpoint_name)


def _cleared(where: Place, record: Record, rollout: Rollout, context: Context) -> Record:
    provider = context.provider(where.provider)
    splits, serves = capabilities.splits(provider), capabilities.serves(provider)
    if rollout.stable:
        splits.set_weights(where.endpoint_name, {where.unit_name(rollout.stable): FULL_WEIGHT})
        serves.remove_unit(where.unit_name(rollout.target))
        return replace(record, attributes={**record.attributes, "rollout": None, "step": "stable", "abort": None})
    splits.remove_endpoint(where.endpoint_name)  # first: nothing is sent to a server that is going
    serves.remove_unit(where.unit_name(rollout.target))
    return replace(record, attributes={**record.attributes, "rollout": None, "step": "nothing live", "abort": None})


def _answering(record: Record, step: Step, context: Context) -> Record:
    """Remember whose answer this is; once, also when a killed run's step is taken up again."""
    asked = [{**answer, "at": context.now()} for answer in step.inputs.get("asked") or ()]
    if not asked or record.attributes.get("rollout"):
        return record
    kept = [*(record.attributes.get("roll_backs") or ()), *asked][-100:]
    return replace(record, attributes={**record.attributes, "roll_backs": kept})


def _reject(record: Record, version: str, reason: str, context: Context, evidence: tuple[str, ...]) -> Record:
    entry = {"reason": reason, "at": context.now(), "evidence": list(evidence[-10:])}
    rejected = {**(record.attributes.get("rejected") or {}), version: entry}
    newest = dict(list(rejected.items())[-KEPT_REJECTIONS:])
    kept = replace(record, attributes={**record.attributes, "rejected": newest})
    context.keep(kept)
    return kept


def _document(
    unfinished: Mapping[str, Any] | None,
    record: Record,
    where: Place,
    wanted: str,
    live: str | None,
    back: str,
    now: float,
) -> Rollout:
    if unfinished is not None:
        return Rollout.from_json(unfinished)
    generation = int(record.attributes.get("rollouts") or 0) + 1
    return Rollout(generation, wanted, live, since=now, started=now, steps=where.policy.steps, back=back)


def _end_superseded(where: Place, record: Record, rollout: Rollout, step: Step, context: Context) -> Record:
    versions = _versions(where, record, context, rollout.target, rollout.stable)
    ticker = Ticker(where, record, versions, context, step.id)
    ended = ticker.run(rollout, superseded="another version is wanted now")
    return _cleared(where, ticker.record, ended, context)


def _versions(where: Place, record: Record, context: Context, *names: str | None) -> dict[str, Version]:
    model = context.record(where.model)
    known: Mapping[str, Any] = (model.attributes.get("versions") or {}) if model else {}
    live: Mapping[str, Any] = record.attributes.get("live") or {}
    versions = {}
    for name in names:
        if name is None:
            continue
        entry = known.get(name.removeprefix("v")) or (live if live.get("version") == name else None)
        if entry is None:
            raise DiagnosticError(
                Diagnostic(
                    "unknown-version",
                    "Nothing is known of this version",
                    f"{where.model} has no {name} in its record. Known: {', '.join('v' + v for v in known) or 'none'}.",
                    address=where.address,
                )
            )
        versions[name] = Version(name, str(entry["artifact"]))
    return versions


def _refuse_altered(version: Version, context: Context, address: str) -> None:
    from mlplan.artifact.manifest import verify

    folder = context.services.artifact_path(version.artifact)
    problems = verify(folder, version.artifact)
    if problems:
        raise DiagnosticError(
            Diagnostic(
                "artifact-altered",
                "The artifact is not what was sealed",
                f"{version.name} ({version.artifact[:19]}…) gets no traffic: {'; '.join(problems[:3])}. Put the sealed "
                "files back, or take the artifact out of the store and train again.",
                address=address,
            )
        )


def _dependencies(desired: Desired, context: Context) -> tuple[str, ...]:
    environment = context.desired(str(desired.arguments["environment"])).arguments
    promote_from = environment.get("promote_from")
    if promote_from is None:
        return desired.dependencies
    model = str(desired.arguments["model"])
    upstream = f"{model}.deployment{key_text(short_name(str(promote_from), model))}"
    return (*desired.dependencies, upstream) if context.find_desired(upstream) else desired.dependencies


def repair(step: Step, where: Place, record: Record, context: Context) -> Outcome:
    """Make the world serve the live version again as the record says."""
    live = record.attributes["live"]
    versions = _versions(where, record, context, live["version"])
    _refuse_altered(versions[live["version"]], context, where.address)
    provider = context.provider(where.provider)
    serves, splits = capabilities.serves(provider), capabilities.splits(provider)
    unit = where.unit(live["version"], live["artifact"], context.services)
    splits.ensure_endpoint(where.endpoint())
    serves.ensure_unit(unit)
    deadline = context.now() + where.policy.ready_within
    while (status := serves.inspect_unit(unit.name)).state != "ready":
        if status.state == "failed" or context.now() > deadline or context.wait(0.25):
            return Outcome(Result.FAILED, f"{live['version']} did not become ready: {status.reason or status.state}")
    answered = splits.set_weights(where.endpoint_name, {unit.name: FULL_WEIGHT})
    attributes = {**record.attributes, "url": answered.url, "traffic": {live["version"]: 100}}
    kept = replace(record, attributes=attributes, inputs=where.serving_inputs())
    return Outcome(Result.DONE, f"{live['version']} serves again", kept)


def remove(step: Step, context: Context) -> Outcome:
    """Remove endpoint and units; traffic first, so that nothing is sent to a server that is going."""
    record = context.record(step.address)
    if record is None:
        return Outcome(Result.UNCHANGED, "nothing was there")
    provider = context.provider(record.provider)
    splits, serves = capabilities.splits(provider), capabilities.serves(provider)
    mine = {"mlplan.lineage": home(context.lineage, record), "mlplan.address": origin(step.address, record)}
    for endpoint in splits.list_endpoints(mine):
        splits.remove_endpoint(endpoint.name)
    for unit in serves.list_units(mine):
        serves.remove_unit(unit.name)
    return Outcome(Result.DONE, "stopped serving", removed=True)


def abandon(operation: Operation, context: Context) -> None:
    """Leave traffic as it is: the record holds the whole rollout, and the plan always has a step that goes on with it or ends it.

    A killed run's step often comes back under other inputs (its version is known now); ending the rollout here would throw
    the evidence of a canary away.
    """
