"""What refers to what, block by block, found without evaluating: the order of evaluation, undeclared names, rings.

A node is a variable, a local, an output, a block of a noun or a module call, at one place of the module tree. Its needs are
the nodes that its expressions mention, each with the reference that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlplan.config.blocks import Resource
from mlplan.config.strict import expression, plain_text
from mlplan.config.tree import Node as Place
from mlplan.lang.diagnostic import Diagnostic, suggestion
from mlplan.lang.reference import as_traversal, references
from mlplan.lang.source import SourceFile
from mlplan.lang.syntax import AttributeStep, Block, Body, Expr, Traversal

What = Literal["variable", "local", "output", "resource", "call"]
Node = tuple[tuple[str, ...], What, str]

_WORDS = {"variable": "var.", "local": "local.", "output": "output.", "resource": "", "call": "module."}
MOST_RINGS = 20
BUILT_IN = frozenset({"path", "mlplan", "each", "count", "self"})


@dataclass
class Names:
    """The graph of a project. needs: by node, in written order. order: each node after what it needs; ring nodes left out."""

    needs: dict[Node, dict[Node, Traversal]] = field(default_factory=dict)
    order: list[Node] = field(default_factory=list)
    stuck: set[Node] = field(default_factory=set)
    problems: list[Diagnostic] = field(default_factory=list)
    places: dict[tuple[str, ...], Place] = field(default_factory=dict)


def read_names(top: Place, kinds: frozenset[str], sources: Mapping[str, SourceFile]) -> Names:
    """Return the graph of all modules. Diagnostics in it: unknown-reference, self-reference, dependency-cycle."""
    names = Names(places={place.path: place for place in top.walk()})
    checked: set[int] = set()
    for place in names.places.values():
        reader = _Reader(names, place, kinds, quiet=id(place.module) in checked)
        checked.add(id(place.module))
        reader.read()
    _set_order(names, sources)
    return names


def text(node: Node) -> str:
    """Return a node as people see it."""
    path, what, name = node
    return "".join(f"module.{step}." for step in path) + _WORDS[what] + name


class _Reader:
    """Reads the needs of one module's blocks. quiet: the same files were read before, so their mistakes are known."""

    def __init__(self, names: Names, place: Place, kinds: frozenset[str], quiet: bool) -> None:
        self.names = names
        self.place = place
        self.kinds = kinds
        self.quiet = quiet
        self.bound: frozenset[str] = frozenset()

    def read(self) -> None:
        path, module, parent = self.place.path, self.place.module, self.place.parent
        call: Node | None = (path[:-1], "call", path[-1]) if path else None
        for name in module.variables:
            self.start((path, "variable", name), call)
            given = self.place.call.inputs.get(name) if self.place.call is not None else None
            if given is not None and parent is not None:
                outer = _Reader(self.names, parent, self.kinds, quiet=True)
                outer.expressions((path, "variable", name), given)
        for name, attribute in module.locals.items():
            self.start((path, "local", name), call)
            self.expressions((path, "local", name), attribute.expr)
        for name, output in module.outputs.items():
            node: Node = (path, "output", name)
            self.start(node, call)
            self.expressions(node, output.value)
            for block in output.preconditions:
                self.body(node, block.body)
            for traversal in output.depends_on:
                self.reference(node, traversal, whole=True)
        for name, item in module.calls.items():
            node = (path, "call", name)
            self.start(node, call)
            self.expressions(node, *(e for e in (item.count, item.for_each) if e is not None))
            for traversal in item.depends_on:
                self.reference(node, traversal, whole=True)
            for expr in item.inputs.values():
                self.loose(expr)
        for name, resource in module.resources.items():
            node = (path, "resource", name)
            self.start(node, call)
            self.resource(node, resource)
        for variable in module.variables.values():
            for block in variable.validations:
                self.loose(*(a.expr for a in block.body.attributes.values()))
        for check in module.checks.values():
            for block in check.assertions:
                self.loose(*(a.expr for a in block.body.attributes.values()))

    def start(self, node: Node, call: Node | None) -> None:
        needs: dict[Node, Traversal] = self.names.needs.setdefault(node, {})
        if call is not None and self.place.call is not None:
            needs[call] = Traversal("module", (AttributeStep(call[2]),), self.place.call.span)

    def resource(self, node: Node, resource: Resource) -> None:
        before = self.bound
        self.body(node, resource.block.body, top=True)
        self.bound = before

    def body(self, node: Node, body: Body, top: bool = False) -> None:
        for attribute in body.attributes.values():
            if top and attribute.name == "depends_on":
                for traversal in references(attribute.expr):
                    self.reference(node, traversal, whole=True)
            elif not (top and attribute.name == "provider"):
                self.expressions(node, attribute.expr)
        for block in body.blocks:
            if block.type == "lifecycle" and top:
                triggers = expression(block.body.attributes, "replace_triggered_by")
                if triggers is not None:
                    self.expressions(node, triggers)
                for inner in block.body.blocks:
                    self.body(node, inner.body)
            elif block.type == "dynamic" and block.labels:
                self.dynamic(node, block)
            else:
                self.body(node, block.body)

    def dynamic(self, node: Node, block: Block) -> None:
        attributes = block.body.attributes
        each = expression(attributes, "for_each")
        if each is not None:
            self.expressions(node, each)
        before = self.bound
        self.bound = before | {iterator_name(block)}
        labels = expression(attributes, "labels")
        if labels is not None:
            self.expressions(node, labels)
        for inner in block.body.blocks:
            self.body(node, inner.body)
        self.bound = before

    def loose(self, *exprs: Expr) -> None:
        """Look only for undeclared names: these expressions are evaluated after everything else."""
        for expr in exprs:
            for traversal in references(expr):
                for _ in self.targets(traversal):
                    pass

    def expressions(self, node: Node, *exprs: Expr) -> None:
        for expr in exprs:
            for traversal in references(expr):
                self.reference(node, traversal)

    def reference(self, node: Node, traversal: Traversal, whole: bool = False) -> None:
        needs = self.names.needs[node]
        for target in self.targets(traversal, whole):
            if target == node and node[1] == "resource":
                self.complain(
                    "self-reference", "A block refers to itself",
                    f"{node[2]} refers to itself. What it computes cannot be known before it is there; "
                    "a postcondition may say self instead.", traversal,
                )  # fmt: skip
            else:
                needs.setdefault(target, traversal)

    def targets(self, traversal: Traversal, whole: bool = False) -> Iterator[Node]:
        root, module, path = traversal.root, self.place.module, self.place.path
        if root in self.bound or root in BUILT_IN:
            return
        first = traversal.steps[0] if traversal.steps else None
        name = first.name if isinstance(first, AttributeStep) else None
        if root in ("var", "local"):
            what: What = "variable" if root == "var" else "local"
            known: Mapping[str, object] = module.variables if root == "var" else module.locals
            yield from self.named(traversal, what, name, known)
        elif root == "module":
            yield from self.module(traversal, name, whole)
        elif root in self.kinds:
            if name is None:
                yield from ((path, "resource", f"{root}.{n}") for n in module.names(root))
            elif f"{root}.{name}" in module.resources:
                yield (path, "resource", f"{root}.{name}")
            else:
                self.undeclared(traversal, f"{root}.{name}", [f"{root}.{n}" for n in module.names(root)])
        else:
            roots = ["var", "local", "module", *sorted(BUILT_IN), *sorted(self.kinds)]
            hint = "The workspace is mlplan.workspace." if root == "terraform" else suggestion(root, roots)
            detail = f'There is nothing named "{root}" here. References begin with {", ".join(roots)}; text stands in quotes.'
            self.complain("unknown-reference", "Unknown reference", detail, traversal, hint)

    def named(self, traversal: Traversal, what: What, name: str | None, known: Mapping[str, object]) -> Iterator[Node]:
        if name is None:
            yield from ((self.place.path, what, n) for n in known)
        elif name in known:
            yield (self.place.path, what, name)
        else:
            prefix = _WORDS[what]
            self.undeclared(traversal, prefix + name, [prefix + n for n in known])

    def module(self, traversal: Traversal, name: str | None, whole: bool) -> Iterator[Node]:
        calls, path = self.place.module.calls, self.place.path
        if name is None or name not in calls:
            self.undeclared(traversal, f"module.{name or ''}", [f"module.{n}" for n in calls])
            return
        child = self.place.children.get(name)
        if child is None:
            return  # its own diagnostic says why it could not be read
        yield (path, "call", name)
        output = next((s.name for s in traversal.steps[1:] if isinstance(s, AttributeStep)), None)
        if output is None:
            yield from ((child.path, "output", n) for n in child.module.outputs)
            if whole:
                yield from ((i.path, "resource", n) for i in child.walk() for n in i.module.resources)
        elif output in child.module.outputs:
            yield (child.path, "output", output)
        else:
            known = [f"module.{name}.{n}" for n in child.module.outputs]
            self.undeclared(traversal, f"module.{name}.{output}", known)

    def undeclared(self, traversal: Traversal, name: str, known: list[str]) -> None:
        shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
        detail = f"{name} is not declared. Declared: {shown or 'none of this kind'}."
        self.complain("unknown-reference", "Unknown reference", detail, traversal, suggestion(name, known))

    def complain(self, code: str, summary: str, detail: str, at: Traversal, hint: str | None = None) -> None:
        if not self.quiet:
            self.names.problems.append(Diagnostic(code, summary, detail, span=at.span, hint=hint))


def iterator_name(block: Block) -> str:
    """Return the name that a `dynamic` block gives each element."""
    given = expression(block.body.attributes, "iterator")
    traversal = as_traversal(given) if given is not None else None
    return traversal.root if traversal is not None else plain_text(given) or block.labels[0]


def _set_order(names: Names, sources: Mapping[str, SourceFile]) -> None:
    missing = {node: len(needs) for node, needs in names.needs.items()}
    dependants: dict[Node, list[Node]] = {node: [] for node in names.needs}
    for node, needs in names.needs.items():
        for needed in needs:
            dependants[needed].append(node)
    names.order = [node for node, count in missing.items() if count == 0]
    for node in names.order:  # grows while it is walked
        for dependant in dependants[node]:
            missing[dependant] -= 1
            if missing[dependant] == 0:
                names.order.append(dependant)
    names.stuck = {node for node, count in missing.items() if count}
    left = dict.fromkeys(node for node in names.needs if node in names.stuck)
    for _ in range(MOST_RINGS):
        if not left:
            break
        ring = _ring(next(iter(left)), names, left)
        if ring:
            names.problems.append(_ring_problem(ring, names, sources))
        for node in ring or list(left):
            left.pop(node, None)
        _drop_ends(left, names)


def _ring(start: Node, names: Names, left: Mapping[Node, None]) -> list[Node]:
    seen: dict[Node, int] = {}
    node = start
    path: list[Node] = []
    while node not in seen:
        seen[node] = len(path)
        path.append(node)
        following = next((n for n in names.needs[node] if n in left), None)
        if following is None:
            return []
        node = following
    return path[seen[node] :]


def _drop_ends(left: dict[Node, None], names: Names) -> None:
    """Take out what is not in a ring any more, so that each ring is told once."""
    count = {node: sum(1 for n in names.needs[node] if n in left) for node in left}
    users: dict[Node, list[Node]] = {}
    for node in left:
        for needed in names.needs[node]:
            users.setdefault(needed, []).append(node)
    free = [node for node, needs in count.items() if needs == 0]
    for node in free:  # grows while it is walked
        left.pop(node, None)
        for user in users.get(node, ()):
            count[user] -= 1
            if count[user] == 0 and user in left:
                free.append(user)


def _ring_problem(ring: list[Node], names: Names, sources: Mapping[str, SourceFile]) -> Diagnostic:
    starts = [names.needs[here][there].span.start for here, there in zip(ring, [*ring[1:], ring[0]], strict=True)]
    first = starts.index(min(starts))
    ring = [*ring[first:], *ring[:first]]
    lines = []
    for here, there in zip(ring, [*ring[1:], ring[0]], strict=True):
        span = names.needs[here][there].span
        source = sources.get(span.path)
        if source is not None:
            line, _ = source.line_column(span.start)
            shown = source.line(line).strip()
            lines.append(f"    {span.path}:{line}  {text(here)} needs {text(there)}:  {shown[:100]}")
    if len(lines) > 20:
        lines = [*lines[:10], f"    … {len(lines) - 20} more …", *lines[-10:]]
    detail = "These need each other, so none of them can come first:\n" + "\n".join(lines)
    detail += "\nTake one of the references out."
    span = names.needs[ring[0]][ring[1 % len(ring)]].span
    return Diagnostic("dependency-cycle", "Dependency cycle", detail, span=span)
