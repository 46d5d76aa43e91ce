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
    match expr:
        case ScopeRef(name, span):
            return Traversal(name, (), span)
        case GetAttr(source, name, span):
            inner = as_traversal(source)
            return None if inner is None else Traversal(inner.root, (*inner.steps, AttributeStep(name)), span)
        case Index(source, Literal(key), span):
            inner = as_traversal(source)
            if inner is None or not isinstance(key, (str, Decimal)):
                return None
            if isinstance(key, Decimal) and key != key.to_integral_value():
                return None
            step = IndexStep(key if isinstance(key, str) else int(key))
            return Traversal(inner.root, (*inner.steps, step), span)
    return None


def _collect(node: TemplatePart, bound: frozenset[str], found: list[Traversal]) -> None:
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
