"""Blocks to instances: `count`, `for_each`, dependencies by reference, and an order in which each comes after what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from mlplan.config.module import Module, Resource, literal, unknown_arguments
from mlplan.config.program import Instance, Lifecycle
from mlplan.config.scopes import ModuleScope, Surroundings
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.lang.evaluate import evaluate, references
from mlplan.lang.reference import as_traversal
from mlplan.lang.source import SourceFile, Span
from mlplan.lang.syntax import AttributeStep, Body, Expr, IndexStep, Traversal, TupleExpr
from mlplan.lang.values import Entity, MapValue, Secret, SetValue, Unknown, Value

MOST_INSTANCES = 100_000


def expand(
    module: Module, around: Surroundings, sources: Mapping[str, SourceFile]
) -> tuple[tuple[Instance, ...], list[Diagnostic]]:
    """Return every instance in dependency order, and what is wrong.

    Diagnostics: unknown-reference, dependency-cycle, invalid-count, invalid-for-each, and those of lifecycle blocks.
    """
    problems: list[Diagnostic] = []
    needs: dict[str, dict[str, Traversal]] = {}
    for address, resource in module.resources.items():
        needs[address], wrong = _needs(resource, module, around)
        problems += wrong
    order, ring = _order(needs, module, sources)
    problems += ring
    if problems:
        return (), problems
    for address in order:
        try:
            made = list(_instances(module.resources[address], around))
        except DiagnosticError as error:
            problems += [d.at(module.resources[address].block.header_span, address) for d in error.diagnostics]
            made = []
        around.instances[address] = made
    found: list[Instance] = []
    for address in order:
        for instance in around.instances[address]:
            dependencies = _dependencies(needs[address], around)
            found.append(replace(instance, dependencies=tuple(d for d in dependencies if d != instance.address)))
    lifecycles = {a: _lifecycle(r) for a, r in module.resources.items()}
    problems += [p for _, wrong in lifecycles.values() for p in wrong]
    finished = [replace(i, lifecycle=lifecycles[i.resource.address][0]) for i in found]
    for instance in finished:
        listed = around.instances[instance.resource.address]
        listed[next(n for n, i in enumerate(listed) if i.address == instance.address)] = instance
    return tuple(finished), problems


def _needs(resource: Resource, module: Module, around: Surroundings) -> tuple[dict[str, Traversal], list[Diagnostic]]:
    found: dict[str, Traversal] = {}
    problems: list[Diagnostic] = []
    for traversal in _through_locals(resource.block.body, module):
        if traversal.root not in around.schemas:
            continue
        step = traversal.steps[0] if traversal.steps else None
        name = step.name if isinstance(step, AttributeStep) else None
        target = f"{traversal.root}.{name}"
        if name is not None and target not in module.resources:
            known = [a for a in module.resources if a.startswith(traversal.root + ".")]
            detail = f"{resource.address} refers to {target}, which is not declared. Declared: {', '.join(known) or 'none of this kind'}."
            problems.append(
                Diagnostic(
                    "unknown-reference",
                    "Nothing of this name is declared",
                    detail,
                    span=traversal.span,
                    hint=suggestion(target, known),
                )
            )
        elif name is None:
            found |= {a: traversal for a in module.resources if a.startswith(traversal.root + ".")}
        else:
            found.setdefault(target, traversal)
    return found, problems


def _through_locals(body: Body, module: Module) -> Iterator[Traversal]:
    """Yield every reference of a body, and those of the locals it uses."""
    queue = list(_expressions(body))
    seen: set[str] = set()
    while queue:
        for traversal in references(queue.pop()):
            if traversal.root == "local" and traversal.steps and isinstance(traversal.steps[0], AttributeStep):
                name = traversal.steps[0].name
                if name in module.locals and name not in seen:
                    seen.add(name)
                    queue.append(module.locals[name].expr)
            else:
                yield traversal


def _expressions(body: Body) -> Iterator[Expr]:
    for attribute in body.attributes.values():
        if attribute.name != "provider":
            yield attribute.expr
    for block in body.blocks:
        if block.type != "lifecycle":
            yield from _expressions(block.body)
        else:
            for inner in block.body.blocks:
                yield from _expressions(inner.body)


def _order(
    needs: Mapping[str, Mapping[str, Traversal]], module: Module, sources: Mapping[str, SourceFile]
) -> tuple[list[str], list[Diagnostic]]:
    missing = {a: sum(1 for n in wanted if n in needs and n != a) for a, wanted in needs.items()}
    dependants: dict[str, list[str]] = {a: [] for a in needs}
    for address, wanted in needs.items():
        for needed in wanted:
            if needed in needs and needed != address:
                dependants[needed].append(address)
    ready = [a for a, count in missing.items() if count == 0]
    order: list[str] = []
    for address in ready:  # grows while it is walked
        order.append(address)
        for dependant in dependants[address]:
            missing[dependant] -= 1
            if missing[dependant] == 0:
                ready.append(dependant)
    stuck = {a for a, count in missing.items() if count}
    selfish = [a for a, wanted in needs.items() if a in wanted]
    if not stuck and not selfish:
        return order, []
    return order, [_ring(stuck or {selfish[0]}, needs, sources)]


def _ring(
    stuck: set[str], needs: Mapping[str, Mapping[str, Traversal]], sources: Mapping[str, SourceFile]
) -> Diagnostic:
    path: list[str] = []
    address = min(stuck)
    while address not in path:
        path.append(address)
        address = next(n for n in needs[address] if n in stuck)
    ring = path[path.index(address) :]
    lines = []
    for here, there in zip(ring, [*ring[1:], ring[0]], strict=True):
        span = needs[here][there].span
        source = sources.get(span.path)
        if source is not None:
            line, _ = source.line_column(span.start)
            lines.append(f"    {span.path}:{line}  {here} needs {there}:  {source.line(line).strip()}")
    detail = (
        "These need each other, so none of them can come first:\n"
        + "\n".join(lines)
        + "\nTake one of the references out."
    )
    return Diagnostic("dependency-cycle", "Dependency cycle", detail, span=needs[ring[0]][[*ring[1:], ring[0]][0]].span)


def _instances(resource: Resource, around: Surroundings) -> Iterator[Instance]:
    count, for_each = resource.meta("count"), resource.meta("for_each")
    provider = _provider(resource)
    if count is not None and for_each is not None:
        raise DiagnosticError(_wrong("invalid-count", "count and for_each exclude each other.", count.span))
    scope = ModuleScope(around, lambda _: None)
    if count is not None:
        for index in range(_count(evaluate(count, scope), count.span)):
            each: dict[str, Value] = {"count": {"index": Decimal(index)}}
            yield Instance(
                f"{resource.address}[{index}]", resource.kind, resource.name, index, resource, each, provider=provider
            )
    elif for_each is not None:
        for key, value in _each(evaluate(for_each, scope), for_each.span):
            address = f'{resource.address}["{key}"]'
            each = {"each": {"key": key, "value": value}}
            yield Instance(address, resource.kind, resource.name, key, resource, each, provider=provider)
    else:
        yield Instance(resource.address, resource.kind, resource.name, None, resource, {}, provider=provider)


def _count(value: Value, span: Span) -> int:
    if isinstance(value, Decimal) and value == value.to_integral_value() and 0 <= value <= MOST_INSTANCES:
        return int(value)
    raise DiagnosticError(
        _wrong("invalid-count", "count must be a whole number that is known when planning, and not sensitive.", span)
    )


def _each(value: Value, span: Span) -> list[tuple[str, Value]]:
    if isinstance(value, Unknown | Secret):
        detail = "for_each must be known when planning, and not sensitive: its keys become addresses."
        raise DiagnosticError(_wrong("invalid-for-each", detail, span))
    if isinstance(value, SetValue) and all(isinstance(item, str) for item in value.items):
        return [(str(item), item) for item in value.items]
    pairs = value.items if isinstance(value, MapValue) else value.attributes if isinstance(value, Entity) else value
    if isinstance(pairs, Mapping) and len(pairs) <= MOST_INSTANCES:
        return [(key, pairs[key]) for key in sorted(pairs)]
    raise DiagnosticError(
        _wrong("invalid-for-each", "for_each must be a map, or a set of strings: toset([...]).", span)
    )


def _provider(resource: Resource) -> str | None:
    expr = resource.meta("provider")
    if expr is None:
        return None
    traversal = as_traversal(expr)
    if traversal is None or len(traversal.steps) > 1:
        detail = "provider names a provider without quotes, as in provider = local or provider = docker.eu."
        raise DiagnosticError(_wrong("invalid-provider", detail, expr.span))
    return str(traversal)


def _lifecycle(resource: Resource) -> tuple[Lifecycle, list[Diagnostic]]:
    blocks = [b for b in resource.block.body.blocks if b.type == "lifecycle"]
    if not blocks:
        return Lifecycle(), []
    block = blocks[0]
    problems = unknown_arguments(block, ("prevent_destroy", "ignore_changes"), ("precondition", "postcondition"))
    if len(blocks) > 1:
        problems.append(_wrong("block-repeated", "A block has one lifecycle.", blocks[1].header_span))
    names: tuple[str, ...] = ()
    ignore = block.body.attributes.get("ignore_changes")
    if ignore is not None and isinstance(ignore.expr, TupleExpr):
        names = tuple(str(t) for t in map(as_traversal, ignore.expr.items) if t is not None)
    conditions = tuple(b for b in block.body.blocks if b.type in ("precondition", "postcondition"))
    return Lifecycle(literal(block.body.attributes, "prevent_destroy") is True, names, conditions), problems


def _dependencies(needs: Mapping[str, Traversal], around: Surroundings) -> list[str]:
    found: list[str] = []
    for address, traversal in needs.items():
        key = traversal.steps[1] if len(traversal.steps) > 1 else None
        instances = around.instances[address]
        if isinstance(key, IndexStep) and instances and instances[0].key is not None:
            instances = [i for i in instances if i.key == key.key]
        found += [i.address for i in instances]
    return list(dict.fromkeys(found))


def _wrong(code: str, detail: str, span: Span) -> Diagnostic:
    summary = {
        "invalid-count": "This count cannot be used",
        "invalid-for-each": "This for_each cannot be used",
        "invalid-provider": "This is no provider",
        "block-repeated": "A block is repeated",
    }[code]
    return Diagnostic(code, summary, detail, span=span)
