"""`dynamic` blocks: one block for every element of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from mlplan.config.names import iterator_name
from mlplan.config.strict import only
from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.evaluate import evaluate
from mlplan.lang.scope import Scope
from mlplan.lang.source import Span
from mlplan.lang.syntax import Block, Expr, ScopeRef
from mlplan.lang.types import STRING
from mlplan.lang.values import Entity, ListValue, MapValue, Secret, SetValue, Unknown, Value, elements


def expand_dynamic(block: Block, scope: Scope, into: list[tuple[Block, Scope]]) -> list[Diagnostic]:
    """Expand a `dynamic` block: one block for every element of its for_each."""
    problems = only(block, ("for_each", "iterator", "labels"), ("content",))
    each, content = block.body.attributes.get("for_each"), [b for b in block.body.blocks if b.type == "content"]
    if each is None or len(content) != 1:
        detail = f'dynamic "{block.labels[0]}" needs for_each and one content block.'
        return [*problems, _bad_dynamic(detail, block.header_span)]
    iterator = block.body.attributes.get("iterator")
    if iterator is not None and not isinstance(iterator.expr, ScopeRef):
        problems.append(_bad_dynamic("iterator is a name without quotes, as in iterator = rule.", iterator.expr.span))
        return problems
    label_attribute = block.body.attributes.get("labels")
    try:
        for key, value in _pairs(evaluate(each.expr, scope), each.expr.span):
            inner = scope.child({iterator_name(block): {"key": key, "value": value}})
            labels = _labels(label_attribute.expr, inner) if label_attribute is not None else ()
            spans = (label_attribute.expr.span,) * len(labels) if label_attribute is not None else block.label_spans
            made = Block(block.labels[0], labels, content[0].body, block.span, block.type_span, spans)
            into.append((made, inner))
    except DiagnosticError as error:
        return [*problems, *error.diagnostics]
    return problems


def _labels(expr: Expr, scope: Scope) -> tuple[str, ...]:
    value = evaluate(expr, scope)
    items = tuple(elements(value)) if not isinstance(value, dict) else ()
    try:
        texts = [convert(item, STRING) for item in items]
    except ConversionError:
        texts = []
    if not texts or not all(isinstance(text, str) for text in texts):
        detail = (
            "labels is a list of strings that are known when planning and not sensitive, as in labels = [rule.key]."
        )
        raise DiagnosticError(_bad_dynamic(detail, expr.span))
    return tuple(str(text) for text in texts)


def _bad_dynamic(detail: str, span: Span) -> Diagnostic:
    return Diagnostic("invalid-dynamic", "This dynamic block cannot be used", detail, span=span)


def _pairs(collection: Value, span: Span) -> list[tuple[Value, Value]]:
    why = ""
    if isinstance(collection, Unknown):
        why = f"it must be known when planning, and is {collection.origin or 'known after apply'}"
    elif isinstance(collection, Secret):
        why = "it must not be sensitive, because the number and names of blocks are shown"
    elif collection is None:
        why = "it is null; use [] for none"
    elif isinstance(collection, Entity):
        collection = dict(collection.attributes)
    pairs = collection.items if isinstance(collection, MapValue) else collection
    if not why and isinstance(pairs, Mapping):
        return [(key, pairs[key]) for key in sorted(pairs)]
    if not why and isinstance(collection, SetValue):
        return [(item, item) for item in collection.items]
    if not why and isinstance(collection, (tuple, ListValue)):
        return [(Decimal(index), item) for index, item in enumerate(elements(collection))]
    detail = f"The for_each of a dynamic block is a list, set or map; {why or 'this is something else'}."
    raise DiagnosticError(Diagnostic("invalid-for-each", "This for_each cannot be used", detail, span=span))
