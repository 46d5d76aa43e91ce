"""What an expression refers to, found without evaluating it."""

from __future__ import annotations

from decimal import Decimal

from mlplan.lang.syntax import (
    AttributeStep,
    Expr,
    ForExpr,
    GetAttr,
    Index,
    IndexStep,
    Literal,
    ScopeRef,
    TemplateFor,
    TemplatePart,
    Text,
    Traversal,
    children,
)


def references(expr: Expr) -> list[Traversal]:
    """Return every reference in written order, as far as it is static; names bound by `for` are no references."""
    found: list[Traversal] = []
    _collect(expr, frozenset(), found)
    return found


def as_traversal(expr: Expr) -> Traversal | None:
    """Return the expression as a static reference, or None when any part of it is something else."""
    steps: list[AttributeStep | IndexStep] = []
    inner = expr
    while True:
        if isinstance(inner, GetAttr):
            steps.append(AttributeStep(inner.name))
            inner = inner.source
        elif isinstance(inner, ScopeRef):
            steps.reverse()
            return Traversal(inner.name, tuple(steps), expr.span)
        elif isinstance(inner, Index) and isinstance(inner.key, Literal):
            key = inner.key.value
            if isinstance(key, str):
                steps.append(IndexStep(key))
            elif isinstance(key, Decimal) and key == key.to_integral_value():
                steps.append(IndexStep(int(key)))
            else:
                return None
            inner = inner.source
        else:
            return None


def _collect(node: TemplatePart, bound: frozenset[str], found: list[Traversal]) -> None:
    if isinstance(node, (Literal, Text)):
        return
    if isinstance(node, (ScopeRef, GetAttr, Index)):
        traversal = as_traversal(node)
        if traversal is not None:
            if traversal.root not in bound:
                found.append(traversal)
            return
    if isinstance(node, (ForExpr, TemplateFor)):
        _collect(node.collection, bound, found)
        names = {node.value_name} | ({node.key_name} if node.key_name is not None else set())
        inside = bound | names
        parts = node.body if isinstance(node, TemplateFor) else (node.key, node.value, node.condition)
        for part in parts:
            if part is not None:
                _collect(part, inside, found)
        return
    for child in children(node):
        _collect(child, bound, found)
