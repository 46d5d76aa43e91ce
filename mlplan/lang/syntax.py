"""The syntax tree: what a file says, before any value is known. Made by `parse`, read by `evaluate` and `config`.

Every node is frozen and carries the span it was read from. Nothing here computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from mlplan.lang.node import node
from mlplan.lang.source import Span


@node
class Literal:
    """A number, bool, null, or a string without interpolation."""

    value: str | Decimal | bool | None
    span: Span


@node
class Text:
    """Literal text of a template, escapes already resolved, `~` and heredoc indentation already applied."""

    value: str
    span: Span


@node
class TemplateIf:
    """A `%{ if }` directive with its two branches."""

    condition: Expr
    then: tuple[TemplatePart, ...]
    otherwise: tuple[TemplatePart, ...]
    span: Span


@node
class TemplateFor:
    """A `%{ for }` directive. `key_name` is None in its one-name form."""

    key_name: str | None
    value_name: str
    collection: Expr
    body: tuple[TemplatePart, ...]
    span: Span


@node
class Template:
    """A string with interpolations or directives. `wraps`: it is one bare `${…}`, whose value keeps its type."""

    parts: tuple[TemplatePart, ...]
    span: Span
    wraps: bool = False


@node
class TupleExpr:
    """`[a, b]`."""

    items: tuple[Expr, ...]
    span: Span


@node
class ObjectItem:
    """One `key = value`. A bare name as key is a `Literal`; a computed key is written in parentheses."""

    key: Expr
    value: Expr
    span: Span


@node
class ObjectExpr:
    """`{ a = 1 }`."""

    items: tuple[ObjectItem, ...]
    span: Span


@node
class Unary:
    """`-a` or `!a`."""

    operator: str
    operand: Expr
    span: Span


@node
class Binary:
    """`a + b` and its kin."""

    operator: str
    left: Expr
    right: Expr
    span: Span


@node
class Conditional:
    """`a ? b : c`."""

    condition: Expr
    then: Expr
    otherwise: Expr
    span: Span


@node
class ForExpr:
    """`[for …]` (key is None) or `{for …}`. `group`: the `...` form, values with equal keys make tuples."""

    key_name: str | None
    value_name: str
    collection: Expr
    key: Expr | None
    value: Expr
    condition: Expr | None
    group: bool
    span: Span


@node
class SplatItem:
    """Stands for the element at hand inside `Splat.each`."""

    span: Span


@node
class Splat:
    """`a[*].b` (full) and `a.*.b`: `each` is evaluated once for every element of `source`."""

    source: Expr
    each: Expr
    full: bool
    span: Span


@node
class Index:
    """`a[b]`, and the older `a.0`."""

    source: Expr
    key: Expr
    span: Span


@node
class GetAttr:
    """`a.b`."""

    source: Expr
    name: str
    span: Span


@node
class ScopeRef:
    """The first name of a reference, looked up in the scope."""

    name: str
    span: Span


@node
class Call:
    """`f(a, b...)`. `expand_final`: the last argument is a list whose elements are the arguments."""

    name: str
    arguments: tuple[Expr, ...]
    expand_final: bool
    span: Span
    name_span: Span


@node
class Parens:
    """`(a)`."""

    inner: Expr
    span: Span


Expr: TypeAlias = (
    Literal
    | Template
    | TupleExpr
    | ObjectExpr
    | Unary
    | Binary
    | Conditional
    | ForExpr
    | Splat
    | SplatItem
    | Index
    | GetAttr
    | ScopeRef
    | Call
    | Parens
)
TemplatePart: TypeAlias = Text | TemplateIf | TemplateFor | Expr


@node
class Attribute:
    """`name = expr`. `span` covers all of it."""

    name: str
    expr: Expr
    span: Span
    name_span: Span


@node
class Block:
    """`type "label" { … }`. `span` covers all of it, `header_span` type and labels, for messages."""

    type: str
    labels: tuple[str, ...]
    body: Body
    span: Span
    type_span: Span
    label_spans: tuple[Span, ...]

    @property
    def header_span(self) -> Span:
        """Return the place of type and labels."""
        last = self.label_spans[-1] if self.label_spans else self.type_span
        return Span(self.span.path, self.type_span.start, last.end)


@node
class Body:
    """Arguments by name, in written order, and blocks in written order."""

    attributes: Mapping[str, Attribute]
    blocks: tuple[Block, ...]
    span: Span


@node
class AttributeStep:
    """`.name` of a reference."""

    name: str


@node
class IndexStep:
    """`[key]` of a reference, with a literal key."""

    key: str | int


@node
class Traversal:
    """A reference as far as it is static: `var.a["b"].c` up to the first computed index or splat."""

    root: str
    steps: tuple[AttributeStep | IndexStep, ...]
    span: Span

    def __str__(self) -> str:
        return self.root + "".join(_step_text(step) for step in self.steps)


def _step_text(step: AttributeStep | IndexStep) -> str:
    if isinstance(step, AttributeStep):
        return f".{step.name}"
    if isinstance(step.key, str):
        escaped = step.key.replace("\\", "\\\\").replace('"', '\\"')
        return f'["{escaped}"]'
    return f"[{step.key}]"


def children(part: TemplatePart) -> Iterable[TemplatePart]:
    """Return the nodes directly below `part`, in written order (names bound by `for` are not taken into account)."""
    found = _CHILDREN.get(type(part))
    return found(part) if found is not None else ()


_CHILDREN: dict[type, Callable[[Any], Iterable[TemplatePart]]] = {
    Template: lambda n: n.parts,
    TemplateIf: lambda n: (n.condition, *n.then, *n.otherwise),
    TemplateFor: lambda n: (n.collection, *n.body),
    TupleExpr: lambda n: n.items,
    ObjectExpr: lambda n: [part for pair in n.items for part in (pair.key, pair.value)],
    Unary: lambda n: (n.operand,),
    Parens: lambda n: (n.inner,),
    GetAttr: lambda n: (n.source,),
    Binary: lambda n: (n.left, n.right),
    Splat: lambda n: (n.source, n.each),
    Index: lambda n: (n.source, n.key),
    Conditional: lambda n: (n.condition, n.then, n.otherwise),
    ForExpr: lambda n: [part for part in (n.collection, n.key, n.value, n.condition) if part is not None],
    Call: lambda n: n.arguments,
}
