"""`graph`: what depends on what, from the files alone or with what a plan would do."""

from __future__ import annotations

from mlplan.app.compose import Project
from mlplan.engine.graph import closure
from mlplan.engine.kind import Options, View
from mlplan.engine.plan import desired_of
from mlplan.engine.types import Action, Desired, Plan
from mlplan.lang.diagnostic import DiagnosticError, has_errors
from mlplan.ledger.records import State
from mlplan.report.graph_text import Graph

MOST_REDUCED = 2000
"""Beyond so many nodes arrows that others imply are kept: leaving them out costs time with the square."""


def graph_of_files(project: Project) -> Graph:
    """Return the graph of what the files declare, deployments included. Raises: DiagnosticError."""
    every: dict[str, Desired] = {}
    for instance in project.program.instances:
        arguments, problems = project.program.decode(instance, lambda _: None)
        if has_errors(problems):
            raise DiagnosticError(*problems)
        desired = desired_of(instance, arguments, None, project.kinds[instance.kind].schema)
        every[desired.address] = desired
        every |= {child.address: child for child in project.kinds[instance.kind].children(desired)}
    world = project.world()
    view = View(
        world.root,
        State(lineage=""),
        Options(refresh=False),
        world.now,
        world.provider,
        world.services,
        world.blob,
        every,
    )
    needs = {a: (*d.dependencies, *project.kinds[d.kind].requires(d, view)) for a, d in every.items()}
    return _reduced(dict.fromkeys(every, Action.KEEP), needs)


def graph_of_plan(plan: Plan) -> Graph:
    """Return the graph of a plan. Raises: DiagnosticError when the plan has errors."""
    if has_errors(plan.diagnostics):
        raise DiagnosticError(*plan.diagnostics)
    actions = {change.address: change.action if change.steps else Action.KEEP for change in plan.changes}
    return _reduced(actions, {change.address: change.dependencies for change in plan.changes})


def _reduced(actions: dict[str, Action], needs: dict[str, tuple[str, ...]]) -> Graph:
    """Return the graph without the arrows that longer ways imply."""
    ordered = dict(sorted(actions.items()))
    known = {node: tuple(sorted({n for n in needs[node] if n in actions and n != node})) for node in ordered}
    if len(known) > MOST_REDUCED:
        return Graph(ordered, known)
    kept = {}
    for node, direct in known.items():
        implied = {far for near in direct for far in closure(known[near], known)}
        kept[node] = tuple(n for n in direct if n not in implied)
    return Graph(ordered, kept)
