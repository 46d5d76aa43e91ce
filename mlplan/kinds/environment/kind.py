"""The kind `environment`: a place and a policy. What runs there belongs to deployments; this only says whether it can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlplan.engine.kind import Context, View, new_record
from mlplan.engine.plain import plain
from mlplan.engine.types import Action, Change, Desired, FieldChange, Observation, Outcome, Reason, Result, Step
from mlplan.kinds.deployment.spec import check_rollout
from mlplan.kinds.deployment.waiting import parse_hours
from mlplan.kinds.environment.schema import SCHEMA
from mlplan.lang.diagnostic import Diagnostic
from mlplan.ledger.evidence import digest_of
from mlplan.ledger.records import Operation, Record
from mlplan.spi.schema import BlockSchema


class EnvironmentKind:
    """A place where models are served."""

    name = "environment"
    schema: BlockSchema = SCHEMA

    def check(self, desired: Desired) -> Sequence[Diagnostic]:
        """Return what is wrong with rollout and opening hours."""
        found = check_rollout(desired.arguments)
        hours = desired.arguments.get("open_hours")
        if hours and parse_hours(str(hours)) is None:
            detail = f'"{hours}" is not of the form "Mon-Thu 09:00-16:00 Europe/London".'
            found.append(Diagnostic("invalid-open-hours", "Opening hours cannot be read", detail))
        return found

    def children(self, desired: Desired) -> Sequence[Desired]:
        """Return nothing."""
        return ()

    def requires(self, desired: Desired, view: View) -> Sequence[str]:
        """Return nothing beyond its references."""
        return ()

    def observe(self, desired: Desired | None, record: Record | None, view: View) -> Observation:
        """Ask the provider whether it can work here."""
        if desired is None:
            return Observation(dict(record.attributes) if record else None)
        view.checked(desired.provider)
        return Observation({"ready": True})

    def diff(self, desired: Desired | None, record: Record | None, seen: Observation, view: View) -> Change:
        """Return whether policy or provider changed."""
        if desired is None:
            assert record is not None
            step = view.step(record, "remove", f"forget {record.address}", {})
            return Change(record.address, self.name, Action.REMOVE, steps=(step,))
        settings = plain(desired.arguments)
        if record is not None and record.provider == desired.provider and record.attributes.get("settings") == settings:
            return Change(desired.address, self.name, Action.KEEP, planned=dict(record.attributes))
        inputs, planned = digest_of([desired.provider, settings]), {"ready": True}
        before = (record.attributes.get("settings") or {}) if record else {}
        fields = tuple(
            FieldChange(name, _shown(before.get(name)), _shown(value))
            for name, value in settings.items()
            if before.get(name) != value and (record is not None or value not in (None, {}, [], False))
        )
        action = Action.ADD if record is None else Action.CHANGE
        reason = "not there yet" if record is None else ", ".join(f.name for f in fields) + " changed"
        step = view.step(desired, "configure", f"keep the policy of {desired.address}", {"inputs": inputs})
        return Change(desired.address, self.name, action, (Reason(reason),), fields, (step,), planned)

    def execute(self, step: Step, resumed: Operation | None, context: Context) -> Outcome:
        """Keep the policy in the state."""
        if step.action == "remove":
            return Outcome(Result.DONE, "forgotten", removed=True)
        desired = context.desired(step.address)
        context.checked(desired.provider)
        attributes = {"ready": True, "settings": plain(desired.arguments)}
        inputs = digest_of([desired.provider, attributes["settings"]])
        record = new_record(desired, context.record(step.address), context.lineage, attributes, inputs=inputs)
        return Outcome(Result.DONE, "ready", record)

    def abandon(self, operation: Operation, context: Context) -> None:
        """Nothing is left behind."""


def _shown(value: Any) -> Any:
    """Return a setting without what nobody wrote, so that a plan shows what stands in the file."""
    if isinstance(value, dict):
        kept = {k: _shown(v) for k, v in value.items() if v not in (None, {}, [], False) and k != "name"}
        return kept or None
    return value
