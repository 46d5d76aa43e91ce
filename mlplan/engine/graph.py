"""Order of addresses and of steps. Dependencies first; removals the other way round. Linear in nodes and edges, no recursion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mlplan.engine.types import Action, Change, Step
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError


def in_order(dependencies: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the keys so that each comes after what it depends on; names that are no keys are ignored.

    Raises: DiagnosticError (dependency-cycle) naming the ring.
    """
    edges = {node: [d for d in dict.fromkeys(needs) if d in dependencies] for node, needs in dependencies.items()}
    missing = {node: len(needs) for node, needs in edges.items()}
    dependants: dict[str, list[str]] = {node: [] for node in edges}
    for node, needs in edges.items():
        for needed in needs:
            dependants[needed].append(node)
    ready = [node for node, count in missing.items() if count == 0]
    order: list[str] = []
    for node in ready:  # grows while it is walked
        order.append(node)
        for dependant in dependants[node]:
            missing[dependant] -= 1
            if missing[dependant] == 0:
                ready.append(dependant)
    if len(order) < len(edges):
        raise DiagnosticError(_ring({n: [d for d in e if missing[d]] for n, e in edges.items() if missing[n]}))
    return order


def _ring(edges: Mapping[str, Sequence[str]]) -> Diagnostic:
    path: list[str] = []
    node = min(edges)
    while node not in path:
        path.append(node)
        node = edges[node][0]
    ring = [*path[path.index(node) :], node]
    return Diagnostic(
        "dependency-cycle",
        "Dependency cycle",
        "These depend on each other, so none of them can come first: "
        + " -> ".join(ring)
        + ". Remove one of the references.",
        address=node,
    )


def closure(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Return everything reachable from `start`, itself included."""
    seen = set(start)
    queue = list(seen)
    while queue:
        for other in edges.get(queue.pop(), ()):
            if other not in seen:
                seen.add(other)
                queue.append(other)
    return seen


def reverse(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return the edges the other way round."""
    backwards: dict[str, list[str]] = {}
    for node, needs in edges.items():
        for needed in needs:
            backwards.setdefault(needed, []).append(node)
    return backwards


def link_steps(changes: Sequence[Change]) -> tuple[Step, ...]:
    """Return all steps in an order that can be executed, each with the steps it needs.

    Within an address steps follow each other. Across addresses a step needs the last steps of what it depends on; a removal
    needs the removals of its dependants.
    """
    kept = [change for change in changes if change.action is not Action.REMOVE]
    gone = [change for change in changes if change.action is Action.REMOVE]
    after = reverse({change.address: change.dependencies for change in gone})
    linked: list[Step] = []
    for group, needs_of in (
        (kept, {change.address: change.dependencies for change in kept}),
        (gone, {change.address: tuple(after.get(change.address, ())) for change in gone}),
    ):
        by_address = {change.address: change for change in group}
        last: dict[str, tuple[str, ...]] = {}
        for address in in_order(needs_of):
            before = tuple(dict.fromkeys(s for d in needs_of[address] for s in last.get(d, ())))
            for step in by_address[address].steps:
                linked.append(replace(step, needs=() if step.free else before))
                before = (step.id,)
            last[address] = before
    return tuple(linked)
