"""States, diagnostics and their kin as JSON documents with a version. Plans have a file of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mlplan.engine.plain import plain
from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.source import SourceFile
from mlplan.ledger.records import State
from mlplan.report.diagnostics import diagnostic_json

FORMAT_VERSION = "0.1"
VALIDATE_VERSION = "1.0"
"""Of what `validate --json` says: the form of Terraform's."""


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
        "format_version": VALIDATE_VERSION,
        "valid": errors == 0,
        "error_count": errors,
        "warning_count": len(diagnostics) - errors,
        "diagnostics": [diagnostic_json(d, sources) for d in diagnostics],
    }


def dumps(document: Any, *, indent: bool = True) -> str:
    """Return JSON text."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 if indent else 0).decode()
