"""What names mean inside a module: variables, locals, module outputs, instances of the nouns, `each` and `count`, `path`.

An instance is seen as an `Entity`: its configured arguments, evaluated when they are read, under its computed attributes.
What depends on files and variables alone is evaluated once for the program; what reads computed attributes is evaluated
once an `Evaluation`, which stands for one state of knowledge about the world.

Reason for its size: scopes, evaluations and the items they evaluate need each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.config.addresses import Key
from mlplan.config.tree import Node
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.evaluate import evaluate_inner
from mlplan.lang.reference import references
from mlplan.lang.scope import Budget, Scope
from mlplan.lang.syntax import AttributeStep, Block, Expr, IndexStep, Traversal
from mlplan.lang.values import Entity, MapValue, Secret, Unknown, Value, elements, from_python, secret
from mlplan.spi.schema import BlockSchema

if TYPE_CHECKING:
    from mlplan.config.program import Instance

Computed = Callable[[str], Mapping[str, Any] | None]
Key_ = tuple[str, str, str]
"""Address of the owner, what of it, name."""

_ABSENT: Any = object()
POISON = Unknown(origin="not known, because it has a mistake")


class Shared:
    """What all modules of a program share. pure: values that depend on files and variables alone."""

    def __init__(self, root: Path, workspace: str, schemas: Mapping[str, BlockSchema]) -> None:
        self.root = root
        self.workspace = workspace
        self.schemas = schemas
        self.pure: dict[Key_, Value] = {}
        self.mentions: dict[int, list[Traversal]] = {}

    def references(self, expr: Expr) -> list[Traversal]:
        """Return the references of an expression, found once."""
        found = self.mentions.get(id(expr))
        if found is None:
            found = self.mentions[id(expr)] = references(expr)
        return found


class Surroundings:
    """One instance of a module. instances: by "kind.name" and key; children: by call and key; filled while they are expanded.

    each: what `each` and `count` mean in the inputs of the call. variables: values of the root module's variables.
    """

    def __init__(
        self, shared: Shared, node: Node, address: str, *, parent: Surroundings | None = None,
        each: Mapping[str, Value] | None = None, variables: Mapping[str, Value] | None = None,
    ) -> None:  # fmt: skip
        self.shared = shared
        self.node = node
        self.address = address
        self.parent = parent
        self.each = each or {}
        self.variables = variables or {}
        self.instances: dict[str, dict[Key, Instance]] = {}
        self.children: dict[str, dict[Key, Surroundings]] = {}
        self.inherited: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """Return what addresses inside begin with."""
        return f"{self.address}." if self.address else ""


class Evaluation:
    """Evaluates under one state of knowledge. computed: computed attributes by address, None where nothing is known yet.

    Not for several threads. What an address computes must not change once it was read.
    """

    def __init__(self, computed: Computed) -> None:
        self.computed = computed
        self.touched = 0
        self._values: dict[Key_, Value] = {}
        self._attached: dict[Key_, Value] = {}
        self._scopes: dict[str, ModuleScope] = {}
        self._roots: dict[tuple[str, str], Value] = {}
        self._running: set[Key_] = set()

    def __call__(self, address: str) -> Mapping[str, Any] | None:
        return self.computed(address)

    def scope(self, around: Surroundings) -> ModuleScope:
        """Return the scope of a module without `each` and `count`."""
        found = self._scopes.get(around.address)
        if found is None:
            found = self._scopes[around.address] = ModuleScope(around, self)
        return found

    def root(self, around: Surroundings, name: str) -> Value:
        """Return the value of a root name of a module, made once."""
        key = (around.address, name)
        if key not in self._roots:
            self._roots[key] = self._make_root(around, name)
        return self._roots[key]

    def _make_root(self, around: Surroundings, name: str) -> Value:
        module = around.node.module
        if name == "var":
            return Lazy(module.variables, lambda n: self.value(Item(around, "variable", n)))
        if name == "local":
            return Lazy(module.locals, lambda n: self.value(Item(around, "local", n)))
        if name == "module":
            return Lazy(module.calls, lambda n: self._called(around, n))
        return Lazy(module.names(name), lambda n: self._noun(around, f"{name}.{n}"))

    def _called(self, around: Surroundings, name: str) -> Value:
        child = around.node.children.get(name)
        made = around.children.get(name)
        if child is None or made is None:
            return POISON
        outputs = child.module.outputs

        def seen(inner: Surroundings) -> Value:
            return Lazy(outputs, lambda n: self.value(Item(inner, "output", n)))

        call = child.call
        return _by_key(
            made, seen, call is not None and call.count is not None, call is not None and call.for_each is not None
        )

    def _noun(self, around: Surroundings, address: str) -> Value:
        made = around.instances.get(address)
        if made is None:
            return POISON
        resource = around.node.module.resources[address]
        return _by_key(made, self.entity, resource.meta("count") is not None, resource.meta("for_each") is not None)

    def entity(self, instance: Instance) -> Entity:
        """Return an instance as an object."""
        schema = instance.around.shared.schemas[instance.kind]
        return Entity(instance.address, Lazy(_readable(schema), lambda name: self._attribute(instance, name)))

    def _attribute(self, instance: Instance, name: str) -> Value:
        schema = instance.around.shared.schemas[instance.kind]
        if name in schema.computed:
            self.touched += 1
            known = self.computed(instance.address)
            if known is not None and name in known:
                return from_python(known[name])
            if name not in schema.arguments and name not in schema.blocks:
                return Unknown(origin=f"known after apply of {instance.address}")
        return self.value(Item(instance, "attribute", name))

    def value(self, item: Item) -> Value:
        """Return a value, and evaluate before it what it mentions, so that long chains need no deep stack."""
        found: Value = self.known(item)
        if found is not _ABSENT:
            return found
        opened: set[Key_] = set()
        stack = [item]
        while True:
            top = stack[-1]
            if len(stack) > 1 and self.known(top) is not _ABSENT:
                stack.pop()
            elif top.key not in opened:
                opened.add(top.key)
                stack += [i for i in self.mentioned(top) if i.key not in opened and self.known(i) is _ABSENT]
            elif len(stack) == 1:
                return self._compute(top)
            else:
                stack.pop()
                self._try(top)

    def _try(self, item: Item) -> None:
        try:
            self._compute(item)
        except DiagnosticError:
            return  # whoever needs it gets the error again

    def known(self, item: Item) -> Any:
        """Return a value that is known already, or the mark for none."""
        key = item.key
        found = item.shared.pure.get(key, _ABSENT)
        if found is _ABSENT:
            found = self._attached.get(key, _ABSENT)
        if found is _ABSENT:
            found = self._values.get(key, _ABSENT)
            if found is not _ABSENT:
                self.touched += 1
        return found

    def poison(self, item: Item) -> None:
        """Let everything that reads a value with a mistake pass: the mistake was told already."""
        self._values[item.key] = item.shared.pure[item.key] = POISON

    def _compute(self, item: Item) -> Value:
        key = item.key
        if key in self._running:
            detail = f"{item.text} needs itself to be known."
            raise DiagnosticError(Diagnostic("dependency-cycle", "Dependency cycle", detail))
        self._running.add(key)
        before = self.touched
        try:
            value = item.compute(self)
        finally:
            self._running.discard(key)
        if self.touched != before:
            self._values[key] = value
        elif _detached(value):
            item.shared.pure[key] = value
        else:
            self._attached[key] = value
        return value

    def mentioned(self, item: Item) -> Iterator[Item]:
        """Yield the values that the expression of an item mentions by name."""
        shared = item.shared
        for expr, around in item.expressions():
            for traversal in shared.references(expr):
                yield from _items(around, traversal)


def _detached(value: Value) -> bool:
    """Tell whether nothing in a value computes further values when it is read, under the evaluation that made it."""
    if isinstance(value, Secret):
        return _detached(value.value)
    if isinstance(value, (Lazy, Entity)):
        return False
    return all(map(_detached, elements(value)))


class Item:
    """One value with a name: a variable, local or output of a module, or an attribute of an instance."""

    __slots__ = ("key", "name", "owner", "shared", "what")

    def __init__(self, owner: Surroundings | Instance, what: str, name: str) -> None:
        self.owner: Any = owner
        self.what = what
        self.name = name
        self.key: Key_ = (owner.address, what, name)
        self.shared: Shared = owner.shared if isinstance(owner, Surroundings) else owner.around.shared

    @property
    def text(self) -> str:
        """Return the item as people see it."""
        if self.what == "attribute":
            return f"{self.owner.address}.{self.name}"
        return (
            f"{self.owner.prefix}{ {'variable': 'var', 'local': 'local', 'output': 'output'}[self.what] }.{self.name}"
        )

    def expressions(self) -> Iterator[tuple[Expr, Surroundings]]:
        """Yield the expressions that make the value, with the module whose names they use."""
        if self.what == "attribute":
            body = self.owner.resource.block.body
            if self.name in body.attributes:
                yield body.attributes[self.name].expr, self.owner.around
            return
        module, owner = self.owner.node.module, self.owner
        if self.what == "local":
            yield module.locals[self.name].expr, owner
        elif self.what == "output":
            yield module.outputs[self.name].value, owner
        elif owner.parent is not None and owner.node.call is not None and self.name in owner.node.call.inputs:
            yield owner.node.call.inputs[self.name], owner.parent

    def compute(self, evaluation: Evaluation) -> Value:
        """Evaluate. Raises: DiagnosticError."""
        owner = self.owner
        if self.what == "attribute":
            return _configured(owner, self.name, evaluation)
        if self.what == "local":
            return evaluate_inner(owner.node.module.locals[self.name].expr, evaluation.scope(owner).fresh())
        if self.what == "output":
            output = owner.node.module.outputs[self.name]
            value = evaluate_inner(output.value, evaluation.scope(owner).fresh())
            return secret(value) if output.sensitive else value
        return self._variable(evaluation)

    def _variable(self, evaluation: Evaluation) -> Value:
        from mlplan.config.variables import input_value

        owner: Surroundings = self.owner
        if owner.parent is None:
            return owner.variables.get(self.name, POISON)
        call, variable = owner.node.call, owner.node.module.variables[self.name]
        assert call is not None
        expr = call.inputs.get(self.name)
        scope = ModuleScope(owner.parent, evaluation, owner.each)
        span = call.input_spans.get(self.name, call.span)
        return input_value(variable, expr, scope, span, f'module "{call.name}"')


def _items(around: Surroundings, traversal: Traversal) -> Iterator[Item]:
    steps = [s.name if isinstance(s, AttributeStep) else s for s in traversal.steps]
    name = steps[0] if steps and isinstance(steps[0], str) else None
    if name is None:
        return
    module = around.node.module
    if traversal.root == "var":
        if name in module.variables:
            yield Item(around, "variable", name)
    elif traversal.root == "local":
        if name in module.locals:
            yield Item(around, "local", name)
    elif len(steps) > 1:
        key = steps[1].key if isinstance(steps[1], IndexStep) else None
        attribute = steps[1 if key is None else 2] if len(steps) > (1 if key is None else 2) else None
        if not isinstance(attribute, str):
            return
        if traversal.root == "module":
            inner = around.children.get(name, {}).get(key)
            if inner is not None and attribute in inner.node.module.outputs:
                yield Item(inner, "output", attribute)
            return
        instance = around.instances.get(f"{traversal.root}.{name}", {}).get(key)
        if instance is not None:
            schema = around.shared.schemas[instance.kind]
            if attribute in schema.arguments and attribute not in schema.computed:
                yield Item(instance, "attribute", attribute)


def _by_key(made: Mapping[Key, Any], seen: Callable[[Any], Value], counted: bool, keyed: bool) -> Value:
    if counted:
        return tuple(seen(item) for item in made.values())
    if keyed:
        return Lazy(made, lambda key: seen(made[key]))
    return seen(made[None]) if None in made else POISON


def _readable(schema: BlockSchema) -> Mapping[str, None]:
    key = id(schema)
    found = _READABLE.get(key)
    if found is None or found[0] is not schema:
        names = dict.fromkeys([*schema.arguments, *schema.blocks, *schema.computed])
        found = _READABLE[key] = (schema, names)
    return found[1]


_READABLE: dict[int, tuple[BlockSchema, Mapping[str, None]]] = {}


class ModuleScope(Scope):
    """The scope of a module, or of one instance in it."""

    def __init__(
        self, around: Surroundings, evaluation: Evaluation, extra: Mapping[str, Value] | None = None,
        budget: Budget | None = None,
    ) -> None:  # fmt: skip
        super().__init__({}, root=around.shared.root, folder=around.node.folder, budget=budget)
        self.around = around
        self.evaluation = evaluation
        self._extra = extra or {}

    def fresh(self) -> ModuleScope:
        """Return this scope with a budget of its own."""
        return ModuleScope(self.around, self.evaluation, self._extra)

    def inside(self, instance: Instance | None, computed: Computed) -> ModuleScope:
        """Return the scope of an instance's body, or of the module, under another state of knowledge."""
        evaluation = computed if isinstance(computed, Evaluation) else Evaluation(computed)
        if instance is None:
            return ModuleScope(self.around, evaluation)
        return ModuleScope(instance.around, evaluation, instance.each)

    def names(self) -> set[str]:
        """Return every root name."""
        return {"var", "local", "module", "path", "mlplan", *self.around.shared.schemas, *self._extra}

    def lookup(self, name: str) -> Value:
        """Return the value of a root name. Raises KeyError."""
        if name in self._extra:
            return self._extra[name]
        if name in ("var", "local", "module") or name in self.around.shared.schemas:
            return self.evaluation.root(self.around, name)
        if name == "path":
            return _paths(self.around)
        if name == "mlplan":
            return {"workspace": self.around.shared.workspace}
        raise KeyError(name)

    def find(self, traversal: Traversal) -> tuple[Instance, tuple[Any, ...]] | None:
        """Return the instance that a written-out reference names, and the steps that follow; None when there is none."""
        name = traversal.steps[0] if traversal.steps else None
        if traversal.root in self._extra or not isinstance(name, AttributeStep):
            return None
        made = self.around.instances.get(f"{traversal.root}.{name.name}", {})
        second = traversal.steps[1] if len(traversal.steps) > 1 else None
        if isinstance(second, IndexStep) and second.key in made:
            return made[second.key], traversal.steps[2:]
        return (made[None], traversal.steps[1:]) if None in made and not isinstance(second, IndexStep) else None


def _paths(around: Surroundings) -> Value:
    root, folder = around.shared.root, around.node.folder
    inside = folder.relative_to(root).as_posix() if folder != root else "."
    return {"root": ".", "module": inside, "cwd": "."}


class Lazy(dict[str, Value]):
    """An object whose attributes are computed when they are read, each once. names: in their order; only looked at."""

    def __init__(self, names: Any, compute: Callable[[Any], Value]) -> None:
        super().__init__()
        self._names: Mapping[str, Any] = names if isinstance(names, Mapping) else dict.fromkeys(names)
        self._compute = compute

    def __missing__(self, name: str) -> Value:
        if name not in self._names:
            raise KeyError(name)
        value = self[name] = self._compute(name)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or `default`."""
        return self[name] if name in self._names else default

    def keys(self) -> Any:
        """Return the names."""
        return self._names.keys()

    def values(self) -> Any:
        """Return the values, all of them computed now."""
        return [self[name] for name in self._names]

    def items(self) -> Any:
        """Return the pairs, all of them computed now."""
        return [(name, self[name]) for name in self._names]


def _configured(instance: Instance, name: str, evaluation: Evaluation) -> Value:
    around = instance.around
    scope = ModuleScope(around, evaluation, instance.each)
    schema, body = around.shared.schemas[instance.kind], instance.resource.block.body
    if name not in schema.arguments:
        return _blocks(instance.address, name, body.blocks, scope)
    attribute = body.attributes.get(name)
    if attribute is None:
        return from_python(_plain(schema.arguments[name].default))
    value = evaluate_inner(attribute.expr, scope)
    return secret(value) if schema.arguments[name].sensitive and value is not None else value


def _blocks(address: str, name: str, blocks: tuple[Block, ...], scope: ModuleScope) -> Value:
    found: dict[str, Value] = {}
    for block in (b for b in blocks if b.type == name):
        attributes = Lazy(block.body.attributes, _reader(block, scope))
        if not block.labels:
            return attributes
        found[block.labels[0]] = Entity(f"{address}#{name}.{block.labels[0]}", attributes)
    return found


def _reader(block: Block, scope: ModuleScope) -> Callable[[str], Value]:
    return lambda name: evaluate_inner(block.body.attributes[name].expr, scope.fresh())


def _plain(value: Any) -> Any:
    return None if isinstance(value, MapValue) else value


def counted(index: int) -> dict[str, Value]:
    """Return what `count` means in the instance of an index."""
    return {"count": {"index": Decimal(index)}}


def keyed(key: str, value: Value) -> dict[str, Value]:
    """Return what `each` means in the instance of a key."""
    return {"each": {"key": key, "value": value}}
