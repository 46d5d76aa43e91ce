"""Which version a deployment shall serve: the newest that came this far and is not rejected here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlplan.engine.kind import View
from mlplan.engine.types import Cause, Change, Desired, Reason
from mlplan.kinds.monitor.answers import answers
from mlplan.lang.values import Unknown
from mlplan.ledger.records import Record


@dataclass(frozen=True)
class Wanted:
    """The answer. version: "v4", None when there is none yet. unknown: only the run can tell. held: why not the newest."""

    version: str | None = None
    unknown: bool = False
    shown: str = "nothing"
    held: str | None = None
    reasons: tuple[Reason, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    rolls_back: bool = False
    why: str = ""


def wanted_version(desired: Desired, record: Record | None, view: View) -> Wanted:
    """Return what this deployment shall serve, from its source of versions and from breaches that ask for a roll-back."""
    unfinished = (record.attributes.get("rollout") or {}) if record else {}
    if unfinished.get("back"):
        # A way back that was interrupted goes on, whatever has become newer meanwhile.
        target, why = unfinished["target"], unfinished["back"]
        reason = Reason(f"the way back to {target} is not finished: {why}", Cause.WORLD)
        return Wanted(target, False, target, reasons=(reason,), rolls_back=True, why=why)
    breach = _rollback_asked(desired, record, view)
    if breach is not None:
        return breach
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


def _rollback_asked(desired: Desired, record: Record | None, view: View) -> Wanted | None:
    if record is None or record.attributes.get("rollout"):
        return None
    previous = record.attributes.get("previous")
    live = (record.attributes.get("live") or {}).get("version")
    for answer in answers(view, "rollback"):
        if answer.deployment != desired.address or previous is None or live is None:
            continue
        reason = Reason(f"{answer.monitor}: {answer.text}", Cause.WORLD)
        return Wanted(previous, False, previous, reasons=(reason,), rolls_back=True, why=answer.text)
    return None
