"""The kind `deployment`: which version an environment shall serve, what has to move, and the steps that move it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlplan.config.addresses import key_text, short_name
from mlplan.config.quantities import duration_text
from mlplan.engine.kind import Context, View
from mlplan.engine.types import Action, Cause, Change, Desired, FieldChange, Observation, Outcome, Reason, Step
from mlplan.kinds.deployment import waiting
from mlplan.kinds.deployment.schema import SCHEMA
from mlplan.kinds.deployment.spec import Place, place, unit_name
from mlplan.kinds.deployment.wanted import Wanted, wanted_version
from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.values import Unknown
from mlplan.ledger.evidence import digest_of
from mlplan.ledger.names import physical_name, token
from mlplan.ledger.records import Operation, Record, State
from mlplan.ledger.renaming import home, origin
from mlplan.spi.capabilities import FULL_WEIGHT, Serves, Splits
from mlplan.spi.schema import BlockSchema


class DeploymentKind:
    """One model in one environment."""

    name = "deployment"
    schema: BlockSchema = SCHEMA

    def check(self, desired: Desired) -> Sequence[Diagnostic]:
        """Return nothing: its arguments are computed."""
        return ()

    def children(self, desired: Desired) -> Sequence[Desired]:
        """Return nothing."""
        return ()

    def requires(self, desired: Desired, view: View) -> Sequence[str]:
        """Return the deployment in the environment that versions come from."""
        upstream = upstream_of(desired, view.desired)
        return (upstream,) if upstream else ()

    def claims(self, record: Record, state: State) -> Iterable[str]:
        """Return the endpoint, and the units of every version that a record speaks of."""
        attributes, lineage = record.attributes, home(state.lineage, record)
        rollout: Mapping[str, Any] = attributes.get("rollout") or {}
        live: Mapping[str, Any] = attributes.get("live") or {}
        units: Mapping[str, Any] = attributes.get("units") or {}
        versions = {live.get("version"), rollout.get("target"), rollout.get("stable")} - {None}
        endpoint = physical_name(record.address, token(lineage, record.address, 1))
        made = (unit_name(origin(record.address, record), lineage, str(version)) for version in versions)
        return {record.physical_name, endpoint, *made, *(unit["name"] for unit in units.values())}

    def observe(self, desired: Desired | None, record: Record | None, view: View) -> Observation:
        """Return weights and units as they are, and what differs from the record."""
        if record is None or "url" not in record.attributes:
            return Observation()
        provider = view.provider(record.provider)
        if not isinstance(provider, Serves) or not isinstance(provider, Splits):
            return Observation()
        endpoint = provider.inspect_endpoint(record.physical_name)
        units: Mapping[str, Any] = record.attributes.get("units") or {}
        states = {version: provider.inspect_unit(unit["name"]).state for version, unit in units.items()}
        attributes = {
            "endpoint": endpoint.state,
            "weights": dict(endpoint.weights),
            "units": states,
        }
        return Observation(attributes, surprises=tuple(_surprises(record, endpoint, states)))

    def diff(self, desired: Desired | None, record: Record | None, seen: Observation, view: View) -> Change:
        """Return what moves this deployment to the version it should serve."""
        if desired is None:
            assert record is not None
            step = view.step(record, "remove", f"stop serving and remove {record.address}", {})
            return Change(record.address, "deployment", Action.REMOVE, steps=(step,))
        wanted = wanted_version(desired, record, view)
        live = (record.attributes.get("live") or {}) if record else {}
        attributes = dict(record.attributes) if record else {}
        where = self._place(desired, view)
        reasons, steps = self._repairs(desired, record, seen, where, view)
        rollout = attributes.get("rollout")
        needs_rollout = wanted.unknown or (wanted.version is not None and wanted.version != live.get("version"))
        unfinished = rollout is not None
        if not needs_rollout and not unfinished and not steps:
            return Change(
                desired.address, "deployment", Action.KEEP, planned=attributes, held=wanted.held, notes=wanted.notes
            )
        if needs_rollout or unfinished:
            steps = (*steps, self._rollout_step(desired, wanted, live, where, view))
            reasons = (*reasons, *wanted.reasons)
            if unfinished and attributes.get("abort"):
                reasons = (
                    Reason(
                        f"the rollout of {(rollout or {}).get('target')} is to be ended: {attributes['abort']}",
                        Cause.WORLD,
                    ),
                )
            if unfinished and not needs_rollout:
                reasons = (
                    *reasons,
                    Reason(f"the rollout of {(rollout or {}).get('target')} has to be ended", Cause.WORLD),
                )
        return self._change(desired, record, wanted, live, where, reasons, steps, view)

    def adopt(self, desired: Desired, identity: str, view: View) -> Change:
        """Return the change that takes over an endpoint that runs already, with the version it serves."""
        from mlplan.kinds.deployment import adopting

        return adopting.adopt(desired, identity, self._place(desired, view), view)

    def _change(
        self, desired: Desired, record: Record | None, wanted: Wanted, live: Mapping[str, Any], where: Place,
        reasons: tuple[Reason, ...], steps: tuple[Step, ...], view: View,
    ) -> Change:  # fmt: skip
        planned: dict[str, Any] = dict(record.attributes) if record else {}
        fields: tuple[FieldChange, ...] = ()
        notes: tuple[tuple[str, str], ...] = wanted.notes
        rolling = any(step.action in ("rollout", "roll_back") for step in steps)
        if rolling:
            target: Any = Unknown(origin=f"decided by the rollout of {desired.address}")
            planned.update(version=target, traffic=target, step=target)
            if "url" not in planned:
                planned["url"] = Unknown(origin=f"known after apply of {desired.address}")
            fields = (FieldChange("version", live.get("version"), wanted.shown),)
            notes = (*notes, ("traffic", describe(where)), *waiting.notes(desired, record, where, view))
        return Change(
            desired.address,
            "deployment",
            Action.ADD if record is None else Action.CHANGE,
            reasons or (Reason("not deployed yet"),),
            fields,
            steps,
            planned,
            notes=notes,
            held=wanted.held,
        )

    def _repairs(
        self, desired: Desired, record: Record | None, seen: Observation, where: Place, view: View
    ) -> tuple[tuple[Reason, ...], tuple[Step, ...]]:
        if record is None or not record.attributes.get("live"):
            return (), ()
        reasons = [Reason(surprise, Cause.WORLD) for surprise in seen.surprises]
        if record.inputs != where.serving_inputs():
            reasons.append(Reason("settings of the servers changed"))
        if not reasons:
            return (), ()
        version = record.attributes["live"]["version"]
        inputs = {"version": version, "serving": where.serving_inputs(), "found": digest_of(list(seen.surprises))}
        return tuple(reasons), (view.step(desired, "repair", f"serve {version} again as recorded", inputs),)

    def _rollout_step(
        self, desired: Desired, wanted: Wanted, live: Mapping[str, Any], where: Place, view: View
    ) -> Step:
        action = "roll_back" if wanted.rolls_back else "rollout"
        summary = f"{'roll back' if wanted.rolls_back else 'shift traffic'} to {wanted.shown}: {describe(where)}"
        inputs: dict[str, Any] = {
            "from": live.get("version"),
            "to": None if wanted.unknown else wanted.version,
            "why": wanted.why,
        }
        if wanted.asked:
            inputs["asked"] = [dict(answer) for answer in wanted.asked]
        return view.step(desired, action, summary, inputs)

    def _place(self, desired: Desired, view: View) -> Place:
        environment = view.desired[str(desired.arguments["environment"])]
        return place(desired, environment, view.state.lineage, view.record(desired.address))

    def execute(self, step: Step, resumed: Operation | None, context: Context) -> Outcome:
        """Do a step."""
        from mlplan.kinds.deployment import actions  # it brings statistics along, which a plan does without

        return actions.execute(step, context)

    def abandon(self, operation: Operation, context: Context) -> None:
        """Put traffic back to the live version and remove what the abandoned step had started."""
        from mlplan.kinds.deployment import actions

        actions.abandon(operation, context)


def upstream_of(desired: Desired, others: Mapping[str, Desired]) -> str | None:
    """Return the address of the deployment that this one's versions come from."""
    environment = others.get(str(desired.arguments["environment"]))
    promote_from = environment.arguments.get("promote_from") if environment else None
    if promote_from is None:
        return None
    model = str(desired.arguments["model"])
    address = f"{model}.deployment{key_text(short_name(str(promote_from), model))}"
    return address if address in others else None


def describe(where: Place) -> str:
    """Return the traffic policy in words."""
    policy = where.policy
    if policy.strategy == "canary":
        steps = " > ".join(f"{share / 100:g}" for share in policy.steps)
        return f"canary {steps} %, {duration_text(policy.hold)} each"
    return "blue-green, one switch" + (" after a smoke test" if policy.smoke_test else "")


def _surprises(record: Record, endpoint: Any, states: Mapping[str, str]) -> list[str]:
    live = record.attributes.get("live") or {}
    if not live or record.attributes.get("rollout"):
        return []
    found = []
    if endpoint.state != "ready":
        found.append(f"the endpoint is {endpoint.state}{': ' + endpoint.reason if endpoint.reason else ''}")
    state = states.get(live["version"], "absent")
    if state in ("absent", "failed", "unready"):
        found.append(f"the servers of {live['version']} are {state}")
    unit = (record.attributes.get("units") or {}).get(live["version"], {}).get("name")
    if endpoint.state == "ready" and dict(endpoint.weights) != {unit: FULL_WEIGHT}:
        found.append(f"traffic is not all on {live['version']}: {dict(endpoint.weights)}")
    return found
