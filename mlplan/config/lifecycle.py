"""The `lifecycle` block of a noun: what it asks for, and whether that can mean anything there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlplan.config.blocks import Resource, conditions, traversals
from mlplan.config.strict import article, expression, known_words, literal_bool, only, problem, single
from mlplan.lang.diagnostic import Diagnostic, suggestion
from mlplan.lang.reference import as_traversal
from mlplan.lang.source import Span
from mlplan.lang.syntax import AttributeStep, Block, Expr, ScopeRef, Traversal, TupleExpr
from mlplan.spi.schema import ArgumentType, BlockSchema

if TYPE_CHECKING:
    from mlplan.config.program import Instance

ARGUMENTS = ("prevent_destroy", "ignore_changes", "replace_triggered_by", "create_before_destroy")
NOT_IGNORABLE = ("count", "for_each", "depends_on", "provider", "lifecycle")
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Lifecycle:
    """What a `lifecycle` block says. ignored: paths of arguments whose changes do not count; the empty path is all of them.

    replace_triggered_by: what, when it changes, makes this be made anew.
    """

    prevent_destroy: bool = False
    ignored: tuple[Path, ...] = ()
    replace_triggered_by: tuple[Traversal, ...] = ()
    preconditions: tuple[Block, ...] = ()
    postconditions: tuple[Block, ...] = ()


def lifecycle(resource: Resource) -> tuple[Lifecycle, list[Diagnostic]]:
    """Read the `lifecycle` block of a noun."""
    block, found = single(resource.block, "lifecycle")
    if block is None:
        return Lifecycle(), found
    found += only(block, ARGUMENTS, ("precondition", "postcondition"))
    literal_bool(block, "create_before_destroy", False, found)
    return Lifecycle(
        literal_bool(block, "prevent_destroy", False, found),
        _ignored(expression(block.body.attributes, "ignore_changes"), found),
        traversals(block, "replace_triggered_by", "invalid-lifecycle", "This lifecycle cannot be used", found),
        conditions(block, "precondition", found),
        conditions(block, "postcondition", found),
    ), found


def _ignored(expr: Expr | None, found: list[Diagnostic]) -> tuple[Path, ...]:
    if expr is None:
        return ()
    if isinstance(expr, ScopeRef) and expr.name == "all":
        return ((),)
    listed = [as_traversal(item) for item in expr.items] if isinstance(expr, TupleExpr) else [None]
    if None in listed:
        detail = (
            "ignore_changes is a list of argument names without quotes, as in [owner, train.seed], or the word all."
        )
        found.append(_invalid(detail, expr.span))
        return ()
    return tuple(_path(t) for t in listed if t is not None)


def _path(traversal: Traversal) -> Path:
    return (traversal.root, *(s.name if isinstance(s, AttributeStep) else s.key for s in traversal.steps))


def check_lifecycles(instances: Iterable[Instance], schemas: Mapping[str, BlockSchema]) -> list[Diagnostic]:
    """Return what cannot be meant in lifecycle blocks, each block told once."""
    found: list[Diagnostic] = []
    seen: set[int] = set()
    for instance in instances:
        resource = instance.resource
        if id(resource) in seen:
            continue
        seen.add(id(resource))
        block = single(resource.block, "lifecycle")[0]
        if block is not None:
            found += _check(block, instance, schemas[instance.kind])
    return found


def _check(block: Block, instance: Instance, schema: BlockSchema) -> Iterator[Diagnostic]:
    said = instance.lifecycle
    ignore = expression(block.body.attributes, "ignore_changes")
    for path in said.ignored:
        assert ignore is not None
        if path:
            yield from _unknown(path, instance.kind, schema, ignore.span)
    early = block.body.attributes.get("create_before_destroy")
    if early is not None:
        detail = (
            "A rollout always starts the new version, and gives it traffic, before the old one goes; create_before_destroy changes "
            "nothing. Take it out."
        )
        yield without_effect(detail, early.name_span)
    triggers = expression(block.body.attributes, "replace_triggered_by")
    for traversal in said.replace_triggered_by:
        assert triggers is not None
        if traversal.root not in instance.around.shared.schemas:
            detail = (
                f"replace_triggered_by takes what can change in the world or in the state: a block, or an attribute of one. "
                f"{traversal} is neither."
            )
            yield _invalid(detail, triggers.span)


def _unknown(path: Path, kind: str, schema: BlockSchema, span: Span) -> Iterator[Diagnostic]:
    """Yield an error when a path leads to nothing that a file can say."""
    where, inner = article(kind), schema
    for depth, name in enumerate(path):
        if not isinstance(name, str):
            return
        if depth == 0 and name in NOT_IGNORABLE:
            detail = f"{name} says which instances there are and how they are handled; its changes cannot be ignored."
            yield _invalid(detail, span)
            return
        if name in inner.blocks:
            nested = inner.blocks[name]
            if nested.labels:
                yield from _labelled(path[depth + 2 :], name, nested.schema, span)
                return
            where, inner = f'"{name}"', nested.schema
        elif name in inner.arguments:
            yield from _fields(path[depth + 1 :], inner.arguments[name].type, span)
            return
        elif depth == 0 and name in inner.computed:
            detail = (
                f"{name} is worked out by a run, and is never a change of the files. Take it out of ignore_changes."
            )
            yield without_effect(detail, span)
            return
        else:
            if inner.open_arguments is None:
                known = [*inner.arguments, *inner.blocks]
                yield _invalid(
                    f'{where[:1].upper()}{where[1:]} has no argument "{name}".', span, suggestion(name, known)
                )
            return


def _labelled(rest: Path, name: str, schema: BlockSchema, span: Span) -> Iterator[Diagnostic]:
    if rest:
        yield from _unknown(rest, name, schema, span)


def _fields(rest: Path, type_: ArgumentType, span: Span) -> Iterator[Diagnostic]:
    if rest and type_.semantic == "object" and rest[0] not in type_.fields:
        yield known_words("field", str(rest[0]), type_.fields, "this object", span)


def without_effect(detail: str, span: Span | None, address: str | None = None) -> Diagnostic:
    """Return the warning about a part of a lifecycle that means nothing where it stands."""
    return Diagnostic("lifecycle-without-effect", "This lifecycle has no effect", detail, "warning", span, address)


def _invalid(detail: str, span: Span, hint: str | None = None) -> Diagnostic:
    return problem("invalid-lifecycle", "This lifecycle cannot be used", detail, span, hint)
