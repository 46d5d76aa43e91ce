"""`explain`, `history` and `show` of the state: the memory in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from mlplan.app.decide import resolve_address
from mlplan.engine.types import Plan
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.records import Happening, Record, State
from mlplan.report.plan_text import evidence_lines, value_text
from mlplan.report.safe import one_line

SHOWN = {
    "data_contract": ("snapshot", "rows", "newest", "verdict", "owner"),
    "model": ("version", "recipe", "artifact", "trained_at", "metrics"),
    "deployment": ("version", "previous", "traffic", "step", "url", "deployed_at"),
    "environment": ("ready",),
    "monitor": ("verdict", "since", "breached"),
}


def happenings(
    state: State, name: str | None, at: str | None, lines: Sequence[Happening] | None = None
) -> list[Happening]:
    """Return the history, of one address and up to a moment when asked. lines: instead of those that the state holds.

    Raises: DiagnosticError.
    """
    found = list(state.history if lines is None else lines)
    if name is not None:
        known = {h.address for h in found}
        address = name if name in known else resolve_address(name, state)
        found = [h for h in found if h.address == address]
    if at is not None:
        try:
            moment = datetime.fromisoformat(at)
        except ValueError as error:
            detail = f'"{at}" is no moment. Write 2026-01-31, or 2026-01-31T18:00:00+00:00.'
            raise DiagnosticError(Diagnostic("invalid-option", "An option cannot be used", detail)) from error
        limit = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        found = [h for h in found if h.at <= limit]
    return found


def happening_json(happening: Happening) -> dict[str, Any]:
    """Return one line of history as JSON."""
    return asdict(happening)


def happening_text(happening: Happening) -> str:
    """Return one line of history in words: when, where, what, how it ended, why, who."""
    moment = datetime.fromtimestamp(happening.at, UTC).isoformat(sep=" ", timespec="seconds")
    words = one_line(happening.summary, 400)
    who = f"  ({one_line(happening.who, 60)})" if happening.who else ""
    return f"{moment}  {happening.address or '-'}  {happening.action}  {one_line(happening.outcome, 200)}: {words}{who}"


def state_text(state: State) -> str:
    """Return everything remembered, briefly."""
    lines = [f"# lineage {state.lineage}, serial {state.serial}", ""]
    for record in state.records.values():
        lines += [*record_lines(record), ""]
    if state.outputs:
        lines += ["Outputs:", *(f"  {k} = {value_text(v)}" for k, v in state.outputs.items())]
    return "\n".join(lines) + "\n"


def record_lines(record: Record) -> list[str]:
    """Return what matters of a record."""
    lines = [f"{record.address}" + (" (tainted)" if record.status == "tainted" else "")]
    for name in SHOWN.get(record.kind, tuple(record.attributes)):
        value = record.attributes.get(name)
        if value not in (None, "", {}, []):
            lines.append(f"  {name:<12} {value_text(value)}")
    return lines


def explain(state: State, plan: Plan, name: str) -> str:
    """Return the chain of why for one address: memory, evidence, rejections, what it came from, what would change."""
    address = resolve_address(name, state)
    lines: list[str] = []
    seen: set[str] = set()
    queue = [address]
    while queue:
        current = queue.pop(0)
        record = state.records.get(current)
        if current in seen or record is None:
            continue
        seen.add(current)
        lines += _chapter(record, state, plan)
        queue += record.dependencies
    return "\n".join(lines) + "\n"


def _chapter(record: Record, state: State, plan: Plan) -> list[str]:
    lines = record_lines(record)
    evidence = [state.evidence[d] for d in record.evidence if d in state.evidence]
    if evidence:
        lines += ["  on the evidence of", *(f"  {line}" for line in evidence_lines(evidence[-12:]))]
    rejected: Mapping[str, Any] = record.attributes.get("rejected") or {}
    for key, entry in rejected.items():
        label = f"v{entry['version']}" if "version" in entry else key
        lines.append(f"  rejected {label}: {one_line(entry['reason'], 400)}")
    change = plan.change(record.address)
    if change is not None and change.held:
        lines.append(f"  {one_line(change.held, 400)}")
    if change is not None and change.steps:
        lines.append(f"  would {change.action}: {one_line('; '.join(r.text for r in change.reasons), 400)}")
    told = [h for h in state.history if h.address == record.address][-5:]
    for item in told:
        moment = datetime.fromtimestamp(item.at, UTC).isoformat(sep=" ", timespec="seconds")
        lines.append(f"  {moment} {item.action} {item.outcome}: {one_line(item.summary, 300)}")
    if record.dependencies:
        lines.append(f"  from {', '.join(record.dependencies)}")
    return [*lines, ""]
