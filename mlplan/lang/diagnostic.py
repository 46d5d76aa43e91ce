"""Diagnostics are values: collected everywhere, sorted and shown once. Rendering is the business of `report`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from mlplan.lang.source import Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Diagnostic:
    """One thing to tell the user.

    code: stable, kebab-case. summary: fixed sentence-case text per code. detail: full sentences saying what is wrong
    (names, values), why, and what to do; a command to copy stands alone on an indented line. values: the values of
    references in the failing expression, as (reference text, shown value), never a secret.
    """

    code: str
    summary: str
    detail: str = ""
    severity: Severity = "error"
    span: Span | None = None
    address: str | None = None
    hint: str | None = None
    values: tuple[tuple[str, str], ...] = ()

    @property
    def is_error(self) -> bool:
        """Tell whether this stops the run."""
        return self.severity == "error"

    def at(self, span: Span | None = None, address: str | None = None) -> Diagnostic:
        """Return a copy that has a place, keeping a place it already has."""
        return replace(self, span=self.span or span, address=self.address or address)


class DiagnosticError(Exception):
    """Carries diagnostics through code that cannot go on; caught at the next seam and turned back into values."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(f"{d.summary}: {d.detail}" for d in diagnostics))
        self.diagnostics = diagnostics


def is_too_costly(error: Exception) -> bool:
    """Tell whether an error says that the budget of an evaluation is spent; nothing may go on after that."""
    return isinstance(error, DiagnosticError) and any(d.code == "expression-too-costly" for d in error.diagnostics)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Tell whether any diagnostic is an error."""
    return any(d.is_error for d in diagnostics)


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return diagnostics without repeats: errors and warnings together, by file and place, those without place last."""

    def key(d: Diagnostic) -> tuple[bool, str, int, str]:
        return (d.span is None, d.span.path if d.span else "", d.span.start if d.span else 0, d.address or "")

    return sorted(dict.fromkeys(diagnostics), key=key)


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """Return a "Did you mean" sentence when a known name is close to `name`."""
    from difflib import get_close_matches  # takes a twentieth of the start, and is needed only when something is wrong

    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'Did you mean "{close[0]}"?' if close else None
