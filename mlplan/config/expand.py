"""The module tree to instances: `count` and `for_each` of modules and nouns, and what each instance depends on.

Goes through the graph of names in order, so that whatever a block mentions is there before it; a value with a mistake becomes
unknown, so that the mistake is told once and the rest can still be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from mlplan.config import blocks
from mlplan.config.addresses import Key, key_text
from mlplan.config.blocks import Resource, provider_name
from mlplan.config.lifecycle import Lifecycle, lifecycle
from mlplan.config.names import Names, Node, What
from mlplan.config.program import Instance
from mlplan.config.scopes import Evaluation, Item, ModuleScope, Surroundings, counted, keyed
from mlplan.config.strict import problem
from mlplan.config.variables import NOT_GIVEN
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.evaluate import evaluate
from mlplan.lang.reference import as_traversal
from mlplan.lang.source import Span
from mlplan.lang.syntax import AttributeStep, Expr, IndexStep, Traversal
from mlplan.lang.types import NUMBER, STRING
from mlplan.lang.values import Entity, MapValue, Secret, SetValue, Unknown, Value

MOST_INSTANCES = 100_000
"""Of all nouns and modules of a program together."""

_SUMMARIES = {
    "invalid-count": "This count cannot be used",
    "invalid-for-each": "This for_each cannot be used",
    "invalid-provider": "This is no provider",
}

_SOME: Mapping[str, Value] = {
    "each": {"key": Unknown(STRING, NOT_GIVEN), "value": Unknown(origin=NOT_GIVEN)},
    "count": {"index": Unknown(NUMBER, NOT_GIVEN)},
}
"""What `each` and `count` mean in a block of which nobody knows how many there are."""


class Expander:
    """Expands one program. problems: what is wrong; instances: in dependency order."""

    def __init__(self, top: Surroundings, names: Names) -> None:
        self.problems: list[Diagnostic] = []
        self.instances: list[Instance] = []
        self.modules: dict[tuple[str, ...], list[Surroundings]] = {(): [top]}
        self._names = names
        self._evaluation = Evaluation(lambda _: None)
        self._reach: dict[tuple[str, What, str], tuple[str, ...]] = {}
        self._lifecycles: dict[int, Lifecycle] = {}
        self._made = 0

    def run(self) -> None:
        """Make every module instance and every instance."""
        failed = list(self._names.stuck)
        for path, what, name in failed:
            for around in self.modules.get(path, ()):
                if what not in ("resource", "call"):
                    self._evaluation.poison(Item(around, what, name))
        for node in self._names.order:
            self._node(node)

    def _node(self, node: Node) -> None:
        path, what, name = node
        for around in self.modules.get(path, ()):
            self._reach[(around.address, what, name)] = self._reached(node, around)
            if what == "call":
                self._call(around, name)
            elif what == "resource":
                self._resource(node, around)
            else:
                self._value(Item(around, what, name))

    def _value(self, item: Item) -> None:
        try:
            self._evaluation.value(item)
        except DiagnosticError as error:
            address = item.owner.address or None
            self.problems += [d.at(address=address) for d in error.diagnostics]
            self._evaluation.poison(item)

    # modules

    def _call(self, around: Surroundings, name: str) -> None:
        child = around.node.children.get(name)
        if child is None or child.call is None:
            return
        call = child.call
        scope = self._evaluation.scope(around)
        made: dict[Key, Surroundings] = {}
        before = (*around.inherited, *self._reach[(around.address, "call", name)])
        try:
            for key, each in self._keys(call.count, call.for_each, scope, call.span):
                address = f"{around.prefix}module.{name}{key_text(key)}"
                made[key] = Surroundings(around.shared, child, address, parent=around, each=each)
                made[key].inherited = tuple(dict.fromkeys(before))
        except DiagnosticError as error:
            self.problems += [d.at(call.span, around.address or None) for d in error.diagnostics]
            return
        around.children[name] = made
        self.modules.setdefault(child.path, []).extend(made.values())

    # instances

    def _resource(self, node: Node, around: Surroundings) -> None:
        resource = around.node.module.resources[node[2]]
        scope = self._evaluation.scope(around)
        address = around.prefix + resource.address
        made: dict[Key, Instance] = {}
        try:
            provider = self._provider(resource, around)
            dependencies = self._reach[(around.address, "resource", node[2])]
            if around.inherited:
                dependencies = tuple(dict.fromkeys([*dependencies, *around.inherited]))
            lifecycle = self._lifecycle(resource)
            count, for_each = resource.meta("count"), resource.meta("for_each")
            for key, each in self._keys(count, for_each, scope, resource.span):
                made[key] = Instance(
                    address + key_text(key), resource.kind, resource.name, key, resource, each, around,
                    dependencies, provider, lifecycle,
                )  # fmt: skip
        except DiagnosticError as error:
            if all(NOT_GIVEN in d.detail for d in error.diagnostics):
                # How many there are is not known; what stands in the block can be looked at all the same.
                self.instances.append(
                    Instance(
                        address, resource.kind, resource.name, None, resource, _SOME, around, (), None,
                        self._lifecycle(resource),
                    )
                )  # fmt: skip
                return
            self.problems += [d.at(resource.span, address) for d in error.diagnostics]
            return
        around.instances[resource.address] = made
        self.instances += made.values()

    def _lifecycle(self, resource: Resource) -> Lifecycle:
        found = self._lifecycles.get(id(resource))
        if found is None:
            found, problems = lifecycle(resource)
            blocks.depends_on(resource.block, problems)
            self.problems += problems
            self._lifecycles[id(resource)] = found
        return found

    def _keys(
        self, count: Expr | None, for_each: Expr | None, scope: ModuleScope, span: Span
    ) -> Iterator[tuple[Key, Mapping[str, Value]]]:
        if count is not None and for_each is not None:
            raise _wrong("invalid-count", "count and for_each exclude each other.", count.span)
        if count is not None:
            number = _count(evaluate(count, scope), count.span)
            self._limit(number, count.span)
            yield from ((index, counted(index)) for index in range(number))
        elif for_each is not None:
            pairs = each_of(evaluate(for_each, scope), for_each.span)
            self._limit(len(pairs), for_each.span)
            yield from ((key, keyed(key, value)) for key, value in pairs)
        else:
            self._limit(1, span)
            yield None, {}

    def _limit(self, count: int, span: Span) -> None:
        self._made += count
        if self._made > MOST_INSTANCES:
            detail = f"A project may have {MOST_INSTANCES:,} instances; count and for_each of modules multiply."
            raise DiagnosticError(problem("too-many-instances", "Too many instances", detail, span))

    def _provider(self, resource: Resource, around: Surroundings) -> str | None:
        expr = resource.meta("provider")
        if expr is None:
            return None
        name = provider_name(as_traversal(expr))
        if name is None:
            detail = "provider names a provider without quotes, as in provider = local or provider = docker.eu."
            raise _wrong("invalid-provider", detail, expr.span)
        return _outer_provider(name, around)

    # dependencies

    def output_needs(self) -> dict[str, tuple[str, ...]]:
        """Return the addresses that each output of the root module reads, directly or by way of something else."""
        return {
            name: addresses for (owner, what, name), addresses in self._reach.items() if not owner and what == "output"
        }

    def _reached(self, node: Node, around: Surroundings) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for target, traversal in self._names.needs[node].items():
            found.update(dict.fromkeys(self._addresses(node, around, target, traversal)))
        return tuple(found)

    def _addresses(self, node: Node, around: Surroundings, target: Node, traversal: Traversal) -> Iterable[str]:
        path, what, name = target
        home = around
        if node[1] == "variable" and around.parent is not None:
            home = around.parent  # what a module is given is written in its caller
        if path == home.node.path:
            if what == "resource":
                yield from _instances(home, name, traversal)
            elif what != "call":
                yield from self._reach.get((home.address, what, name), ())
            return
        key = traversal.steps[1] if len(traversal.steps) > 1 and traversal.root == "module" else None
        for inner in _descend(home, path[len(home.node.path) :], key.key if isinstance(key, IndexStep) else None):
            if what == "resource":
                yield from (i.address for i in inner.instances.get(name, {}).values())
            elif what != "call":
                yield from self._reach.get((inner.address, what, name), ())


def _descend(home: Surroundings, path: tuple[str, ...], key: Key) -> Iterator[Surroundings]:
    """Yield the module instances at a path below `home`, those of one key of the first call when it is written out."""
    made = home.children.get(path[0], {}) if path else {}
    for inner_key, inner in made.items():
        if key is not None and inner_key != key:
            continue
        if len(path) == 1:
            yield inner
        else:
            yield from _descend(inner, path[1:], None)


def _instances(around: Surroundings, name: str, traversal: Traversal) -> Iterator[str]:
    made = around.instances.get(name, {})
    steps = list(traversal.steps[1:])
    key = steps[0] if steps else None
    if isinstance(key, IndexStep) and None not in made:
        made = {k: i for k, i in ((key.key, made.get(key.key)),) if i is not None}
        steps = steps[1:]
    for instance in made.values():
        yield instance.address
        noun, child = (steps[0], steps[1]) if len(steps) > 1 else (None, None)
        if isinstance(noun, AttributeStep) and isinstance(child, IndexStep):
            # A computed child, such as a deployment: what reads it has to come after it, too.
            computed = around.shared.schemas[instance.kind].computed
            yield from () if noun.name not in computed else (f"{instance.address}.{noun.name}{key_text(child.key)}",)


def _outer_provider(name: str, around: Surroundings) -> str:
    """Return what a provider's name in a module means in the root."""
    while around.parent is not None:
        call = around.node.call
        given = call.providers.get(name) if call is not None and call.providers is not None else None
        name = provider_name(given) or name
        around = around.parent
    return name


def _count(value: Value, span: Span) -> int:
    if isinstance(value, Unknown):
        detail = f"count must be known when planning, because it makes addresses; it is {value.origin or 'known after apply'}."
        raise _wrong("invalid-count", detail, span)
    if isinstance(value, Secret):
        raise _wrong("invalid-count", "count must not be sensitive: it is shown in addresses.", span)
    if value is None:
        raise _wrong("invalid-count", "count is null. Say how many, 0 for none.", span)
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except ArithmeticError:
            raise _wrong("invalid-count", f'count must be a whole number, and is "{value}".', span) from None
    if isinstance(value, Decimal) and value == value.to_integral_value() and value >= 0:
        if value > MOST_INSTANCES:
            raise _wrong("invalid-count", f"count is {value:,}; the most is {MOST_INSTANCES:,}.", span)
        return int(value)
    shown = f", and is {value:f}" if isinstance(value, Decimal) else ""
    raise _wrong("invalid-count", f"count must be a whole number, zero or more{shown}.", span)


def each_of(value: Value, span: Span) -> list[tuple[str, Value]]:
    """Return the keys and values that a for_each stands for. Raises: DiagnosticError (invalid-for-each)."""
    if isinstance(value, Unknown):
        detail = (
            "for_each must be known when planning, because its keys become addresses; "
            f"it is {value.origin or 'known after apply'}. Use keys that stand in the files, and let the values be unknown."
        )
        raise _wrong("invalid-for-each", detail, span)
    if isinstance(value, Secret):
        detail = "for_each must not be sensitive: its keys become addresses, which are shown. nonsensitive(…) says that they may be."
        raise _wrong("invalid-for-each", detail, span)
    if value is None:
        raise _wrong("invalid-for-each", "for_each is null. Use {} for none.", span)
    if isinstance(value, SetValue):
        return [(_set_key(item, span), item) for item in value.items]
    pairs = value.items if isinstance(value, MapValue) else value.attributes if isinstance(value, Entity) else value
    if isinstance(pairs, Mapping):
        return [(key, pairs[key]) for key in sorted(pairs)]
    detail = "for_each must be a map, or a set of strings."
    if isinstance(value, tuple) or type(value).__name__ == "ListValue":
        detail += " This is a list, whose elements have no keys: make it a set with toset([...])."
    raise _wrong("invalid-for-each", detail, span)


def _set_key(item: Value, span: Span) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, Unknown):
        why = f"one is {item.origin or 'known after apply'}"
    elif isinstance(item, Secret):
        why = "one is sensitive"
    elif item is None:
        why = "one is null"
    else:
        why = "one is something else; use a map, with keys of your choice"
    raise _wrong(
        "invalid-for-each", f"The elements of a for_each set must be strings known when planning; {why}.", span
    )


def _wrong(code: str, detail: str, span: Span) -> DiagnosticError:
    return DiagnosticError(problem(code, _SUMMARIES[code], detail, span))
