"""Outputs of the root module before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mlplan.config.program import Program
from mlplan.engine.kind import Options
from mlplan.engine.plain import plain
from mlplan.engine.types import OutputChange
from mlplan.lang.diagnostic import DiagnosticError, has_errors
from mlplan.lang.values import Unknown
from mlplan.ledger.records import State

SENSITIVE = "(sensitive)"


def output_changes(
    program: Program, state: State, options: Options, values: Callable[[str], Mapping[str, Any] | None]
) -> tuple[OutputChange, ...]:
    """Return every output's value before and after. Raises: DiagnosticError when one cannot be evaluated."""
    if options.refresh_only or (options.destroy and (options.targets or options.excludes)):
        return ()  # what is left still says what they are; they are settled by the next ordinary apply
    after: Mapping[str, Any] = {}
    if not options.destroy:
        after, diagnostics = program.outputs(values)
        if has_errors(diagnostics):
            raise DiagnosticError(*diagnostics)
    changes = []
    for name in sorted({*state.outputs, *after}):
        output = after.get(name)
        secret = output is not None and output.sensitive
        value = None if output is None else SENSITIVE if secret else _settled(output.value)
        changes.append(OutputChange(name, state.outputs.get(name), value, secret))
    return tuple(changes)


def without_left_out(
    changes: tuple[OutputChange, ...], needs: Mapping[str, tuple[str, ...]], left: set[str], done: set[str]
) -> tuple[OutputChange, ...]:
    """Return outputs, those that read what is left out, and nothing that is done, as they are remembered.

    What the files say of an address that is left out did not happen.
    """
    return tuple(
        replace(change, after=change.before)
        if not left.isdisjoint(needs.get(change.name, ())) and done.isdisjoint(needs.get(change.name, ()))
        else change
        for change in changes
    )


def _settled(value: Any) -> Any:
    """Return a value in the form in which the state keeps it, so that the two compare; one with unknown parts as it is."""
    return value if _has_unknown(value) else plain(value)


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Mapping):
        return any(_has_unknown(v) for v in value.values())
    return isinstance(value, list | tuple) and any(_has_unknown(v) for v in value)
