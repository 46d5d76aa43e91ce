"""The meta blocks as values: variable, output, module, check, and the nouns as they are written. Expressions stay unevaluated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mlplan.config.strict import expression, literal_bool, literal_text, only, problem, required
from mlplan.lang.constraint import parse_type
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.reference import as_traversal
from mlplan.lang.source import Span
from mlplan.lang.syntax import AttributeStep, Block, Expr, IndexStep, ObjectExpr, ScopeRef, Traversal, TupleExpr
from mlplan.lang.types import ANY, Type

NAME = re.compile(r"[^\W\d][\w-]*")
CALL_META = ("source", "version", "count", "for_each", "depends_on", "providers")
RESERVED_VARIABLES = frozenset(CALL_META) | {"locals", "lifecycle"}


@dataclass(frozen=True)
class Variable:
    """A `variable` block. literal: a value given as text is taken as it is, not read as an expression."""

    name: str
    type: Type
    literal: bool
    default: Expr | None
    description: str
    sensitive: bool
    nullable: bool
    ephemeral: bool
    validations: tuple[Block, ...]
    span: Span


@dataclass(frozen=True)
class Output:
    """An `output` block."""

    name: str
    value: Expr
    description: str
    sensitive: bool
    preconditions: tuple[Block, ...]
    depends_on: tuple[Traversal, ...]
    span: Span


@dataclass(frozen=True)
class Call:
    """A `module` block. inputs: its other arguments. providers: the module's name -> ours; None when left out."""

    name: str
    source: str
    inputs: Mapping[str, Expr]
    input_spans: Mapping[str, Span]
    count: Expr | None
    for_each: Expr | None
    depends_on: tuple[Traversal, ...]
    providers: Mapping[str, Traversal] | None
    source_span: Span
    span: Span


@dataclass(frozen=True)
class Check:
    """A `check` block: assertions that warn and never block."""

    name: str
    assertions: tuple[Block, ...]
    span: Span


@dataclass(frozen=True)
class Resource:
    """A block of one of the nouns."""

    kind: str
    name: str
    block: Block

    @property
    def address(self) -> str:
        """Return the address within its module, without a key."""
        return f"{self.kind}.{self.name}"

    @property
    def span(self) -> Span:
        """Return the place of type and labels."""
        return self.block.header_span

    def meta(self, name: str) -> Expr | None:
        """Return the expression of a meta argument."""
        return expression(self.block.body.attributes, name)


def variable(block: Block) -> tuple[Variable | None, list[Diagnostic]]:
    """Read a `variable` block."""
    found = only(
        block, ("type", "default", "description", "sensitive", "nullable", "ephemeral", "deprecated"), ("validation",)
    )
    name = block.labels[0]
    if name in RESERVED_VARIABLES:
        detail = f'"{name}" means something in every module block, so no variable can have this name.'
        found.append(problem("invalid-name", "This cannot be a name", detail, block.label_spans[0]))
    type_: Type = ANY
    literal = True
    expr = expression(block.body.attributes, "type")
    if expr is not None:
        try:
            type_ = parse_type(expr)
            literal = isinstance(expr, ScopeRef) and expr.name in ("string", "number", "bool")
        except DiagnosticError as error:
            found += error.diagnostics
    validations = conditions(block, "validation", found)
    return Variable(
        name,
        type_,
        literal,
        expression(block.body.attributes, "default"),
        literal_text(block, "description", found) or "",
        literal_bool(block, "sensitive", False, found),
        literal_bool(block, "nullable", True, found),
        literal_bool(block, "ephemeral", False, found),
        validations,
        block.header_span,
    ), found


def output(block: Block) -> tuple[Output | None, list[Diagnostic]]:
    """Read an `output` block."""
    found = only(
        block, ("value", "description", "sensitive", "depends_on", "ephemeral", "deprecated"), ("precondition",)
    )
    found += required(block, "value")
    value = expression(block.body.attributes, "value")
    description = literal_text(block, "description", found) or ""
    sensitive = literal_bool(block, "sensitive", False, found) | literal_bool(block, "ephemeral", False, found)
    preconditions = conditions(block, "precondition", found)
    after = depends_on(block, found)
    if value is None:
        return None, found
    return Output(block.labels[0], value, description, sensitive, preconditions, after, block.header_span), found


def call(block: Block) -> tuple[Call | None, list[Diagnostic]]:
    """Read a `module` block."""
    found = only(block, tuple(block.body.attributes), ())
    found += required(block, "source")
    attributes = block.body.attributes
    source = literal_text(block, "source", found)
    if "version" in attributes:
        detail = "There is no registry of modules; a git source chooses its version with ?ref=."
        span = attributes["version"].name_span
        found.append(problem("unknown-argument", "There is no such argument", detail, span))
    count, for_each = expression(attributes, "count"), expression(attributes, "for_each")
    after = depends_on(block, found)
    providers = _providers(expression(attributes, "providers"), found)
    if source is None:
        return None, found
    inputs = {name: a for name, a in attributes.items() if name not in CALL_META}
    return Call(
        block.labels[0],
        source,
        {name: a.expr for name, a in inputs.items()},
        {name: a.name_span for name, a in inputs.items()},
        count,
        for_each,
        after,
        providers,
        attributes["source"].expr.span,
        block.header_span,
    ), found


def check(block: Block) -> tuple[Check | None, list[Diagnostic]]:
    """Read a `check` block."""
    found = only(block, (), ("assert",))
    assertions = conditions(block, "assert", found)
    if not assertions and not found:
        detail = f'check "{block.labels[0]}" needs an "assert" block.'
        found.append(problem("missing-block", "A required block is missing", detail, block.header_span))
    return Check(block.labels[0], assertions, block.header_span), found


def depends_on(block: Block, found: list[Diagnostic]) -> tuple[Traversal, ...]:
    """Return the references of `depends_on`."""
    return traversals(block, "depends_on", "invalid-depends-on", "This depends_on cannot be used", found)


def traversals(block: Block, name: str, code: str, summary: str, found: list[Diagnostic]) -> tuple[Traversal, ...]:
    """Return the references that an argument lists; what is none goes to `found`."""
    expr = expression(block.body.attributes, name)
    if expr is None:
        return ()
    if isinstance(expr, TupleExpr):
        listed = [as_traversal(item) for item in expr.items]
        if None not in listed:
            return tuple(t for t in listed if t is not None)
    detail = f"{name} is a list of references without quotes, as in [model.fraud, module.data]."
    found.append(problem(code, summary, detail, expr.span))
    return ()


def conditions(block: Block, name: str, found: list[Diagnostic]) -> tuple[Block, ...]:
    """Return the inner blocks that state a condition and a message; what is wrong with them goes to `found`."""
    inner = tuple(b for b in block.body.blocks if b.type == name)
    for condition in inner:
        found += only(condition, ("condition", "error_message"))
        found += required(condition, "condition", "error_message")
    return tuple(b for b in inner if {"condition", "error_message"} <= b.body.attributes.keys())


def _providers(expr: Expr | None, found: list[Diagnostic]) -> dict[str, Traversal] | None:
    if expr is None:
        return None
    pairs: dict[str, Traversal] = {}
    if isinstance(expr, ObjectExpr):
        for item in expr.items:
            ours = as_traversal(item.value)
            name = provider_name(as_traversal(item.key)) or getattr(item.key, "value", None)
            if provider_name(ours) is None or not isinstance(name, str):
                break
            assert ours is not None
            pairs[name] = ours
        else:
            return pairs
    detail = "providers gives the module's providers ours, as in providers = { local = local.eu }."
    found.append(problem("invalid-provider", "This is no provider", detail, expr.span))
    return None


def provider_name(traversal: Traversal | None) -> str | None:
    """Return "local" or "local.eu"."""
    if traversal is None or len(traversal.steps) > 1 or any(isinstance(s, IndexStep) for s in traversal.steps):
        return None
    return ".".join([traversal.root, *(s.name for s in traversal.steps if isinstance(s, AttributeStep))])
