"""Plans, records and evidence as JSON documents with a version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mlplan.engine.plain import plain
from mlplan.engine.planfile import plan_document
from mlplan.engine.types import Plan
from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.source import SourceFile
from mlplan.ledger.records import State
from mlplan.report.diagnostics import diagnostic_json

FORMAT_VERSION = "0.1"


def plan_json(plan: Plan, sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    """Return a plan for programs: changes with reasons, steps, evidence; diagnostics with places."""
    document = plan_document(plan)
    document["format_version"] = FORMAT_VERSION
    document["empty"] = plan.is_empty
    document["diagnostics"] = [diagnostic_json(d, sources) for d in plan.diagnostics]
    for change, made in zip(document["changes"], plan.changes, strict=True):
        change["diagnostics"] = [diagnostic_json(d, sources) for d in made.diagnostics]
    return document


def state_json(state: State) -> dict[str, Any]:
    """Return a state for programs."""
    return {
        "format_version": FORMAT_VERSION,
        "lineage": state.lineage,
        "serial": state.serial,
        "outputs": plain(state.outputs),
        "records": [
            {
                "address": r.address,
                "kind": r.kind,
                "status": r.status,
                "generation": r.generation,
                "attributes": plain(r.attributes),
                "dependencies": list(r.dependencies),
                "evidence": [state.evidence[d].to_json() for d in r.evidence if d in state.evidence],
            }
            for r in state.records.values()
        ],
        "pending": [{"address": o.address, "action": o.action, "run": o.run} for o in state.operations.values()],
    }


def diagnostics_json(diagnostics: tuple[Diagnostic, ...], sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    """Return the result of `validate`."""
    errors = sum(d.is_error for d in diagnostics)
    return {
        "format_version": FORMAT_VERSION,
        "valid": errors == 0,
        "error_count": errors,
        "warning_count": len(diagnostics) - errors,
        "diagnostics": [diagnostic_json(d, sources) for d in diagnostics],
    }


def dumps(document: Any, *, indent: bool = True) -> str:
    """Return JSON text."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 if indent else 0).decode()
