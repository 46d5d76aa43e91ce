"""Walks one expression in one scope. What a node means stands in `rules`; what all rules share stands here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, is_too_costly
from mlplan.lang.reference import references
from mlplan.lang.scope import Scope
from mlplan.lang.show import show_brief
from mlplan.lang.syntax import Expr
from mlplan.lang.types import BOOL, STRING
from mlplan.lang.values import Entity, ListValue, MapValue, Unknown, Value, bare, is_null

_MAX_VALUES_SHOWN = 8
RULES: dict[type, Callable[[Evaluator, Any], Value]] = {}


def rule(node: type) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Register the decorated function as the meaning of a kind of node."""

    def register(function: Callable[..., Value]) -> Callable[..., Value]:
        RULES[node] = function
        return function

    return register


class Evaluator:
    """Walks one expression in one scope; `for` and splats walk their inside in a child scope."""

    __slots__ = ("budget", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.budget = scope.budget

    def eval(self, expr: Expr) -> Value:
        """Return the value of a node. Raises DiagnosticError."""
        self.budget.step()
        return RULES[type(expr)](self, expr)

    def attempt(self, expr: Expr) -> tuple[Value, DiagnosticError | None]:
        """Return the value of a node, or None and why there is none; a spent budget is raised all the same."""
        try:
            return self.eval(expr), None
        except DiagnosticError as error:
            if is_too_costly(error):
                raise
            return None, error

    def inside(self, variables: dict[str, Value]) -> Evaluator:
        """Return an evaluator that sees `variables` first."""
        return Evaluator(self.scope.child(variables))

    def fail(
        self, expr: Expr, code: str, summary: str, detail: str, at: Expr | None = None, hint: str | None = None
    ) -> DiagnosticError:
        """Return the error for `expr`, with the values of its references."""
        shown: list[tuple[str, str]] = []
        for reference in references(expr)[:_MAX_VALUES_SHOWN]:
            try:
                value = self.traverse(reference.root, reference.steps)
            except (DiagnosticError, KeyError):
                continue
            shown.append((str(reference), show_brief(value)))
        values = tuple(dict.fromkeys(shown))
        return DiagnosticError(Diagnostic(code, summary, detail, span=(at or expr).span, hint=hint, values=values))

    def traverse(self, root: str, steps: Sequence[Any]) -> Value:
        """Return what a reference leads to. Raises KeyError where it leads nowhere; a secret on the way makes it a secret."""
        value = self.scope.lookup(root)
        for step in steps:
            key = step.name if hasattr(step, "name") else step.key
            inner, taint = bare(value)
            if taint:
                return value
            attributes = attributes_of(inner)
            if attributes is not None and str(key) in attributes:
                value = attributes[str(key)]
            elif isinstance(inner, (tuple, ListValue)) and isinstance(key, int):
                items = inner if isinstance(inner, tuple) else inner.items
                if not 0 <= key < len(items):
                    raise KeyError(key)
                value = items[key]
            else:
                raise KeyError(key)
        return value

    def condition(self, whole_expr: Expr, expr: Expr, what: str) -> tuple[Value, bool]:
        """Return a condition as bool or Unknown, and its taint."""
        value, taint = bare(self.eval(expr))
        if value is True or value is False or isinstance(value, Unknown):
            return value, taint
        if is_null(value):
            detail = f"{what} is null. Conditions must be true or false."
            raise self.fail(whole_expr, "null-value", "Null condition", detail, at=expr)
        try:
            return convert(value, BOOL), taint
        except ConversionError as error:
            detail = f"{what} cannot be used as a condition: {error}."
            raise self.fail(whole_expr, "invalid-condition", "Incorrect condition type", detail, at=expr) from None

    def key_text(self, expr: Expr, key: Value, what: str) -> str:
        """Return the key of an object or map as text."""
        if isinstance(key, str):
            return key
        if is_null(key):
            detail = f"This {what} key is null. Keys must be text."
            raise self.fail(expr, "invalid-key", "Invalid key", detail)
        try:
            text = convert(key, STRING)
        except ConversionError as error:
            detail = f"This value cannot be the key of an {what}: {error}."
            raise self.fail(expr, "invalid-key", "Invalid key", detail) from None
        assert isinstance(text, str)
        return text


def attributes_of(value: Value) -> Any:
    """Return the named parts of an object or map; None for anything else."""
    match value:
        case dict():
            return value
        case MapValue(items):
            return items
        case Entity(_, attributes):
            return attributes
    return None
