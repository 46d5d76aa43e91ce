"""`console`: one expression after the other, evaluated with what the files declare and what the state remembers.

Answers equal those of `terraform console`. Works without a state, and in a folder without files.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlplan.app.compose import Settings, open_project
from mlplan.engine.memory import Memory
from mlplan.lang.console import NAME, answer, is_complete
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.evaluate import evaluate
from mlplan.lang.functions import console_functions
from mlplan.lang.parse import parse_expression
from mlplan.lang.reference import references
from mlplan.lang.scope import Scope
from mlplan.lang.source import SourceFile
from mlplan.lang.syntax import Traversal
from mlplan.lang.values import Value

_WHOLE = frozenset({"var", "local", "path", "mlplan", "module", "each", "count"})


class Console:
    """Evaluates what a person types. warnings: what was found in the files on the way."""

    def __init__(self, scope: Scope, warnings: tuple[Diagnostic, ...] = ()) -> None:
        scope.functions = console_functions()
        self._scope = scope
        self.warnings = warnings

    def is_open(self, text: str) -> bool:
        """Tell whether a bracket, a heredoc or an interpolation is still open, so that another line has to follow."""
        return not is_complete(text + "\n")

    def answer(self, text: str) -> str:
        """Return the value of an expression as `terraform console` prints it. Raises: DiagnosticError."""
        expr, _ = parse_expression(SourceFile(NAME, text))
        mentioned = references(expr) if expr is not None else []
        bare = [_incomplete(found) for found in mentioned if found.root in _WHOLE and not found.steps]
        if bare:
            raise DiagnosticError(*bare)
        self._scope.now = datetime.now(UTC)
        shown, problems = answer(text, self._scope)
        if shown is None:
            raise DiagnosticError(*problems)
        return shown

    def names(self) -> list[str]:
        """Return what can be typed first: names and functions."""
        return sorted([*self._scope.names(), *(f"{name}(" for name in self._scope.functions)])


def open_console(settings: Settings) -> Console:
    """Return a console over a project, or over nothing in a folder without files. Raises: DiagnosticError, StoreError."""
    if not any(settings.root.glob("*.mlplan.hcl")):
        return Console(_bare_scope(settings))
    project = open_project(settings)
    values: Any = lambda _: None  # noqa: E731  (nothing is remembered)
    if project.ledger.exists():
        values = Memory.of(project.ledger.open_read().records, project.kinds).values
    return Console(project.program.scope.inside(None, values), project.warnings)


def _incomplete(found: Traversal) -> Diagnostic:
    detail = f'"{found.root}" cannot be used as a whole. Name one of its attributes, as in {found.root}.NAME.'
    return Diagnostic("incomplete-reference", "This reference is incomplete", detail, span=found.span)


def _bare_scope(settings: Settings) -> Scope:
    given: dict[str, Value] = {name: _literal(text) for name, text in settings.variables.items()}
    roots: Mapping[str, Value] = {
        "var": given,
        "local": {},
        "path": {"root": ".", "module": ".", "cwd": str(Path.cwd())},
        "mlplan": {"workspace": settings.workspace},
    }
    return Scope(roots, root=settings.root)


def _literal(text: str) -> Value:
    """Return a variable without a declaration: an expression where it reads as one, otherwise the text itself."""
    expr, problems = parse_expression(SourceFile("--var", text))
    if expr is None or problems:
        return text
    try:
        return evaluate(expr, Scope({}))
    except DiagnosticError:
        return text  # a word such as "blue" reads as a reference to nothing; it is meant as text
