"""The blocks of one module, sorted by what they are. Reads syntax; evaluates nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlplan.lang.diagnostic import Diagnostic, suggestion
from mlplan.lang.source import Span
from mlplan.lang.syntax import Attribute, Block, Body, Expr

META = ("mlplan", "provider", "variable", "locals", "output", "module", "moved", "removed", "import", "check")
NOT_YET = {
    "module": "Modules cannot be used yet; declare its blocks in this folder.",
    "import": "Import blocks cannot be used yet.",
    "check": "Check blocks cannot be used yet; a quality rule of a contract, or a precondition, may do.",
}


@dataclass(frozen=True)
class Variable:
    """A `variable` block, expressions unevaluated."""

    name: str
    type: Expr | None
    default: Expr | None
    description: str
    sensitive: bool
    nullable: bool
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
    span: Span


@dataclass(frozen=True)
class Resource:
    """A block of one of the nouns."""

    kind: str
    name: str
    block: Block

    @property
    def address(self) -> str:
        """Return the address without a key."""
        return f"{self.kind}.{self.name}"

    def meta(self, name: str) -> Expr | None:
        """Return the expression of a meta argument."""
        attribute = self.block.body.attributes.get(name)
        return attribute.expr if attribute is not None else None


@dataclass
class Module:
    """The blocks of one folder by kind and name."""

    variables: dict[str, Variable] = field(default_factory=dict)
    locals: dict[str, Attribute] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    settings: list[Block] = field(default_factory=list)
    providers: list[Block] = field(default_factory=list)
    moved: list[Block] = field(default_factory=list)
    removed: list[Block] = field(default_factory=list)


def collect(bodies: Iterable[Body], kinds: Iterable[str]) -> tuple[Module, list[Diagnostic]]:
    """Sort the blocks of all files of a module; report unknown, misplaced and repeated ones."""
    module, found = Module(), []
    nouns = tuple(kinds)
    for body in bodies:
        found += [
            _problem(
                "unexpected-argument",
                "An argument cannot stand here",
                f'"{name}" stands outside of any block.',
                a.name_span,
            )
            for name, a in body.attributes.items()
        ]
        for block in body.blocks:
            found += _place(module, block, nouns)
    return module, found


def _place(module: Module, block: Block, nouns: tuple[str, ...]) -> list[Diagnostic]:
    kind = block.type
    if kind in NOT_YET:
        return [_problem("not-yet", "This cannot be used yet", NOT_YET[kind], block.header_span)]
    if kind not in META and kind not in nouns:
        detail = f'There is no block "{kind}". Known: {", ".join((*nouns, *META))}.'
        return [
            _problem(
                "unknown-block", "There is no such block", detail, block.type_span, suggestion(kind, (*nouns, *META))
            )
        ]
    wanted = 1 if kind in nouns or kind in ("variable", "output", "provider") else 0
    if len(block.labels) != wanted:
        words = "one label, its name" if wanted else "no label"
        return [
            _problem(
                "wrong-labels",
                "A block has the wrong labels",
                f'"{kind}" takes {words}; here are {len(block.labels)}.',
                block.header_span,
            )
        ]
    if kind in nouns:
        resource = Resource(kind, block.labels[0], block)
        return _once(module.resources, resource.address, resource, block)
    if kind == "variable":
        variable, found = _variable(block)
        return found + _once(module.variables, variable.name, variable, block)
    if kind == "output":
        output, found = _output(block)
        return found + (_once(module.outputs, output.name, output, block) if output else [])
    if kind == "locals":
        return [p for a in block.body.attributes.values() for p in _once(module.locals, a.name, a, block, a.name_span)]
    {"mlplan": module.settings, "provider": module.providers, "moved": module.moved, "removed": module.removed}[
        kind
    ].append(block)
    return []


def _once(
    known: dict[str, Any],
    name: str,
    item: object,
    block: Block,
    span: Span | None = None,
) -> list[Diagnostic]:
    if name in known:
        detail = f'"{name}" is declared twice. Names must differ within a folder.'
        return [_problem("duplicate-block", "Something is declared twice", detail, span or block.header_span)]
    known[name] = item
    return []


def _variable(block: Block) -> tuple[Variable, list[Diagnostic]]:
    attributes = block.body.attributes
    found = unknown_arguments(
        block, ("type", "default", "description", "sensitive", "nullable", "ephemeral"), ("validation",)
    )
    return Variable(
        block.labels[0],
        _expr(attributes, "type"),
        _expr(attributes, "default"),
        str(literal(attributes, "description") or ""),
        bool(literal(attributes, "sensitive") or literal(attributes, "ephemeral") or False),
        literal(attributes, "nullable") is not False,
        tuple(b for b in block.body.blocks if b.type == "validation"),
        block.header_span,
    ), found


def _output(block: Block) -> tuple[Output | None, list[Diagnostic]]:
    attributes = block.body.attributes
    found = unknown_arguments(
        block, ("value", "description", "sensitive", "depends_on", "ephemeral"), ("precondition",)
    )
    value = _expr(attributes, "value")
    if value is None:
        detail = f'output "{block.labels[0]}" needs a value.'
        return None, [*found, _problem("missing-argument", "A required argument is missing", detail, block.header_span)]
    return Output(
        block.labels[0],
        value,
        str(literal(attributes, "description") or ""),
        bool(literal(attributes, "sensitive") or False),
        tuple(b for b in block.body.blocks if b.type == "precondition"),
        block.header_span,
    ), found


def unknown_arguments(block: Block, arguments: tuple[str, ...], blocks: tuple[str, ...]) -> list[Diagnostic]:
    """Return a diagnostic for every argument and block inside `block` that is not among those named."""
    found = []
    for name, attribute in block.body.attributes.items():
        if name not in arguments:
            detail = f'"{block.type}" has no argument "{name}". Known: {", ".join(arguments)}.'
            found.append(
                _problem(
                    "unknown-argument",
                    "There is no such argument",
                    detail,
                    attribute.name_span,
                    suggestion(name, arguments),
                )
            )
    for inner in block.body.blocks:
        if inner.type not in blocks:
            detail = f'"{block.type}" has no block "{inner.type}".' + (
                f" Known: {', '.join(blocks)}." if blocks else ""
            )
            found.append(
                _problem(
                    "unknown-block", "There is no such block", detail, inner.type_span, suggestion(inner.type, blocks)
                )
            )
    return found


def literal(attributes: Mapping[str, Attribute], name: str) -> object:
    """Return the value of an argument that must be a literal, None when it is absent or something else."""
    expr = _expr(attributes, name)
    return getattr(expr, "value", None) if expr is not None and type(expr).__name__ == "Literal" else None


def _expr(attributes: Mapping[str, Attribute], name: str) -> Expr | None:
    return attributes[name].expr if name in attributes else None


def _problem(code: str, summary: str, detail: str, span: Span, hint: str | None = None) -> Diagnostic:
    return Diagnostic(code, summary, detail, span=span, hint=hint)
