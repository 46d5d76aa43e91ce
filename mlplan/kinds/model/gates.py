"""Gates as declared: whether they make sense, their digest, and the questions they will ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlplan.config.quantities import duration_text, size_text
from mlplan.engine.plain import plain
from mlplan.lang.diagnostic import Diagnostic, suggestion
from mlplan.ledger.evidence import digest_of

FORMS = ("at_least", "at_most", "no_worse_than", "across", "budget")


def form_of(gate: Mapping[str, Any]) -> str:
    """Return which of the forms a checked gate has."""
    return next(form for form in FORMS if gate.get(form) is not None)


def check_gates(arguments: Mapping[str, Any]) -> Sequence[Diagnostic]:
    """Return what is wrong with the gates of a model."""
    found = []
    gates: Mapping[str, Any] = arguments.get("gate") or {}
    for name, gate in gates.items():
        given = [form for form in FORMS if gate.get(form) is not None]
        if len(given) != 1:
            found.append(
                _invalid(
                    f'gate "{name}" must have exactly one of {", ".join(FORMS)}; it has {", ".join(given) or "none"}.'
                )
            )
        elif given[0] != "budget":
            found += _check_metric(name, gate, str(arguments.get("task")))
        if given == ["across"] and gate.get("largest_gap") is None:
            found.append(_invalid(f'gate "{name}" compares groups and needs largest_gap.'))
    if gates and not arguments.get("evaluate") and any(g.get("budget") is None for g in gates.values()):
        found.append(_invalid("There are gates on metrics, and no evaluate block that says on which data."))
    return found


def _check_metric(name: str, gate: Mapping[str, Any], task: str) -> list[Diagnostic]:
    from mlplan.judge.registry import ALIASES, METRICS, canonical

    metric = gate.get("metric")
    if metric is None:
        return [_invalid(f'gate "{name}" needs a metric.')]
    known = METRICS.get(canonical(str(metric)))
    if known is None:
        suited = ", ".join(sorted(m.name for m in METRICS.values() if task in m.tasks))
        detail = f'gate "{name}": there is no metric "{metric}". For {task} there are {suited}.'
        return [
            Diagnostic(
                "unknown-metric", "There is no such metric", detail, hint=suggestion(str(metric), (*METRICS, *ALIASES))
            )
        ]
    if task not in known.tasks:
        return [_invalid(f'gate "{name}": {metric} says nothing about {task}; it is for {", ".join(known.tasks)}.')]
    return []


def gates_digest(arguments: Mapping[str, Any]) -> str:
    """Return the digest of what the gates ask; a changed limit asks something else."""
    gates: Mapping[str, Any] = arguments.get("gate") or {}
    slices = (arguments.get("evaluate") or {}).get("slices") or ()
    return digest_of([plain(gates), plain(slices)])


def questions(arguments: Mapping[str, Any], prior: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one line a gate for the plan, with what the live version showed."""
    lines = []
    shown: Mapping[str, Any] = prior.get("gate") or {}
    for name, gate in (arguments.get("gate") or {}).items():
        last = (shown.get(name) or {}).get("message")
        live = f" (v{prior.get('version')}: {last})" if last else ""
        lines.append(f"gate {name} ? {question(gate)}{live}")
    return tuple(lines)


def question(gate: Mapping[str, Any]) -> str:
    """Return a gate in words."""
    form, metric = form_of(gate), gate.get("metric")
    percent = f"{float(gate.get('confidence') or 0.95) * 100:g} %"
    if form == "at_least":
        return f"{metric} >= {gate['at_least']:g}, lower {percent} bound"
    if form == "at_most":
        return f"{metric} <= {gate['at_most']:g}, upper {percent} bound"
    if form == "no_worse_than":
        return f"{metric} no worse than {gate['no_worse_than']}, margin {gate.get('margin') or 0:g}, same rows"
    if form == "across":
        return f"{metric} gap over {gate['across']} <= {gate['largest_gap']:g}"
    limits = {k: v for k, v in gate["budget"].items() if v is not None}
    return "budget " + ", ".join(f"{k} <= {_with_unit(k, float(v))}" for k, v in limits.items())


def _with_unit(name: str, limit: float) -> str:
    return duration_text(limit) if name.endswith("latency") else size_text(limit)


def _invalid(detail: str) -> Diagnostic:
    return Diagnostic("invalid-gate", "This gate cannot be judged", detail)
