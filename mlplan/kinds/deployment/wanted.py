"""Which version a deployment shall serve: the newest that came this far and is not rejected here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlplan.engine.kind import View
from mlplan.engine.types import Cause, Change, Desired, Reason
from mlplan.kinds.monitor.answers import Answer, answers
from mlplan.lang.values import Unknown
from mlplan.ledger.records import Record


@dataclass(frozen=True)
class Wanted:
    """The answer. version: "v4", None when there is none yet. unknown: only the run can tell. held: why not the newest.

    asked: the answers of monitors that this is, for their budgets.
    """

    version: str | None = None
    unknown: bool = False
    shown: str = "nothing"
    held: str | None = None
    reasons: tuple[Reason, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    rolls_back: bool = False
    why: str = ""
    asked: tuple[Mapping[str, Any], ...] = ()


def wanted_version(desired: Desired, record: Record | None, view: View) -> Wanted:
    """Return what this deployment shall serve, from its source of versions and from breaches that ask for a roll-back."""
    unfinished = (record.attributes.get("rollout") or {}) if record else {}
    if unfinished.get("back"):
        # A way back that was interrupted goes on, whatever has become newer meanwhile.
        target, why = unfinished["target"], unfinished["back"]
        reason = Reason(f"the way back to {target} is not finished: {why}", Cause.WORLD)
        return Wanted(target, False, target, reasons=(reason,), rolls_back=True, why=why)
    back, notes = _rollback_asked(desired, record, view)
    if back is not None:
        return back
    return replace(_newest(desired, record, view), notes=notes)


def _newest(desired: Desired, record: Record | None, view: View) -> Wanted:
    source = desired.dependencies and _source(desired, view)
    assert source, "a deployment always depends on its model"
    change = view.changes.get(source)
    version = offered(source, view.record(source))
    if change is not None and _moves(change):
        number = change.planned.get("version")
        shown = f"{_guess(change, version)} ?"
        unknown = isinstance(number, Unknown) or number is None
        version = None if unknown else _name(number)
        if unknown:
            return Wanted(None, True, shown, reasons=(Reason(f"{source} will have a new version", change.cause),))
    rejected: Mapping[str, Any] = (record.attributes.get("rejected") or {}) if record else {}
    live = ((record.attributes.get("live") or {}) if record else {}).get("version")
    if version is not None and version in rejected:
        reason = rejected[version]["reason"]
        return Wanted(live, False, live or "nothing", held=_held(live, version, reason))
    if version is None:
        return Wanted(live, False, live or "nothing", held=f"nothing to serve yet: {source} has no accepted version")
    reasons = () if version == live else (Reason(f"{version} is ready in {source}"),)
    return Wanted(version, False, version, reasons=reasons)


def offered(source: str, record: Record | None) -> str | None:
    """Return the version that a model or an upstream deployment offers now."""
    if record is None:
        return None
    if record.kind == "deployment":
        live = record.attributes.get("live") or {}
        return live.get("version")
    return _name(record.attributes.get("version"))


def source_of(desired: Desired, dependencies: tuple[str, ...]) -> str:
    """Return the address that offers versions: the upstream deployment, else the model."""
    upstream = [d for d in dependencies if d.startswith(f"{desired.arguments['model']}.deployment[")]
    return upstream[0] if upstream else str(desired.arguments["model"])


def _source(desired: Desired, view: View) -> str:
    return source_of(desired, desired.dependencies)


def _name(number: Any) -> str | None:
    return None if number is None else number if isinstance(number, str) else f"v{number}"


def _moves(change: Change) -> bool:
    return any(step.action in ("rollout", "roll_back", "evaluate", "reuse") for step in change.steps)


def _held(live: str | None, version: str, reason: str) -> str:
    return (
        f"held at {live} ({version} rejected: {reason})" if live else f"nothing served ({version} rejected: {reason})"
    )


def _guess(change: Change, version: str | None) -> str:
    for field in change.fields:
        if field.name == "version" and field.after is not None:
            return "v" + str(field.after).rstrip(" ?").removeprefix("v")
    return version or "the new version"


def _rollback_asked(
    desired: Desired, record: Record | None, view: View
) -> tuple[Wanted | None, tuple[tuple[str, str], ...]]:
    """Return the way back that a breach asks for; else notes that say why none is gone."""
    if record is None or record.attributes.get("rollout"):
        return None, ()
    notes: list[tuple[str, str]] = []
    previous = record.attributes.get("previous")
    for answer in answers(view, "rollback"):
        if answer.deployment != desired.address or not record.attributes.get("live"):
            continue
        refused = _cannot_go_back(previous, record, answer)
        if not refused:
            reason = Reason(f"{answer.monitor}: {answer.text}", Cause.WORLD)
            asked = (answer.to_json(),)
            back = Wanted(previous, False, str(previous), None, (reason,), (), True, answer.text, asked)
            return back, ()
        notes.append(("cannot answer", f"{answer.monitor}: {refused}"))
    return None, tuple(notes)


def _cannot_go_back(previous: Any, record: Record, answer: Answer) -> str:
    """Return why a breach cannot be answered by going back; empty when it can."""
    if previous is None:
        return "there is no version to go back to"
    if previous in (record.attributes.get("rejected") or {}):
        return f"{previous}, the version before, is rejected"
    return "" if answer.allowed else f"not now ({answer.budget})"
