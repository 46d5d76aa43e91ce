"""What names mean inside a module: variables, locals, instances of the nouns, `each` and `count`, `path`, `mlplan`.

An instance is seen as an `Entity`: its configured arguments, evaluated when they are read, under its computed attributes. What
depends on files and variables alone is evaluated once; what reads computed attributes is evaluated again when they may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.evaluate import evaluate_inner
from mlplan.lang.scope import Scope
from mlplan.lang.syntax import Attribute, Block, Expr
from mlplan.lang.values import Entity, MapValue, Unknown, Value, from_python
from mlplan.spi.schema import BlockSchema

if TYPE_CHECKING:
    from mlplan.config.program import Instance

Computed = Callable[[str], Mapping[str, Any] | None]


class Surroundings:
    """Everything of a module that scopes share. instances: by "kind.name", in key order; filled while they are expanded."""

    def __init__(
        self, root: Path, workspace: str, variables: Mapping[str, Value], locals_: Mapping[str, Attribute],
        schemas: Mapping[str, BlockSchema],
    ) -> None:  # fmt: skip
        self.root = root
        self.workspace = workspace
        self.variables = variables
        self.locals = locals_
        self.schemas = schemas
        self.instances: dict[str, list[Instance]] = {}
        self.pure: dict[tuple[str, str], Value] = {}


class ModuleScope(Scope):
    """The scope of a module, or of one instance in it. touched: whether a computed attribute was read."""

    def __init__(
        self,
        around: Surroundings,
        computed: Computed,
        extra: Mapping[str, Value] | None = None,
        module: ModuleScope | None = None,
    ) -> None:
        super().__init__({}, root=around.root, folder=around.root, budget=module.budget if module else None)
        self.around = around
        self.computed = computed
        self.touched = False
        self._extra = dict(extra or {})
        self._local_values: dict[str, Value] = module._local_values if module else {}
        self._running: list[str] = []

    def inside(self, instance: Instance | None, computed: Computed) -> ModuleScope:
        """Return the scope of an instance's body."""
        return ModuleScope(self.around, computed, instance.each if instance is not None else None)

    def names(self) -> set[str]:
        """Return every root name."""
        return {"var", "local", "path", "mlplan", *self.around.schemas, *self._extra}

    def lookup(self, name: str) -> Value:
        """Return the value of a root name. Raises KeyError."""
        if name in self._extra:
            return self._extra[name]
        if name == "var":
            return dict(self.around.variables)
        if name == "local":
            return Lazy(list(self.around.locals), self._local)
        if name == "path":
            return {"root": ".", "module": ".", "cwd": "."}
        if name == "mlplan":
            return {"workspace": self.around.workspace}
        if name in self.around.schemas:
            names = [k.partition(".")[2] for k in self.around.instances if k.startswith(name + ".")]
            return Lazy(names, lambda label: self._noun(name, label))
        raise KeyError(name)

    def _local(self, name: str) -> Value:
        if name in self._local_values:
            return self._local_values[name]
        if name in self._running:
            ring = " -> ".join(f"local.{n}" for n in [*self._running[self._running.index(name) :], name])
            span = self.around.locals[name].name_span
            raise DiagnosticError(
                Diagnostic("dependency-cycle", "Dependency cycle", f"These need each other: {ring}.", span=span)
            )
        self._running.append(name)
        before, self.touched = self.touched, False
        try:
            value = evaluate_inner(self.around.locals[name].expr, self.without_each())
        finally:
            self._running.pop()
            pure, self.touched = not self.touched, self.touched or before
        if pure:
            self._local_values[name] = value
        return value

    def without_each(self) -> ModuleScope:
        """Return a scope that shares everything but `each` and `count`: locals and other instances must not see them."""
        if not self._extra:
            return self
        return _Borrowed(self)

    def _noun(self, kind: str, name: str) -> Value:
        instances = self.around.instances[f"{kind}.{name}"]
        entities = [(i.key, self.entity(i)) for i in instances]
        if len(entities) == 1 and entities[0][0] is None:
            return entities[0][1]
        if all(isinstance(key, int) for key, _ in entities):
            return tuple(e for _, e in entities)
        return {str(key): e for key, e in entities}

    def entity(self, instance: Instance) -> Entity:
        """Return an instance as an object."""
        schema = self.around.schemas[instance.kind]
        names = [*schema.arguments, *schema.blocks, *schema.computed]
        attributes = Lazy(list(dict.fromkeys(names)), lambda name: self._attribute(instance, name))
        return Entity(instance.address, attributes)

    def _attribute(self, instance: Instance, name: str) -> Value:
        schema = self.around.schemas[instance.kind]
        if name in schema.computed:
            self.touched = True
            known = self.computed(instance.address)
            if known is not None and name in known:
                return from_python(known[name])
            if not any(name in part for part in (schema.arguments, schema.blocks)):
                return Unknown(origin=f"known after apply of {instance.address}")
        return self._configured(instance, name)

    def _configured(self, instance: Instance, name: str) -> Value:
        key = (instance.address, name)
        if key in self.around.pure:
            return self.around.pure[key]
        scope = ModuleScope(self.around, self.computed, instance.each, self)
        schema, body = self.around.schemas[instance.kind], instance.resource.block.body
        value: Value
        if name in schema.arguments:
            attribute = body.attributes.get(name)
            value = (
                evaluate_inner(attribute.expr, scope)
                if attribute
                else from_python(_plain(schema.arguments[name].default))
            )
        else:
            value = _blocks(instance.address, name, body.blocks, scope)
        self.touched = self.touched or scope.touched
        if not scope.touched:
            self.around.pure[key] = value
        return value


class _Borrowed(ModuleScope):
    """A scope without `each` and `count` that reports reads of computed attributes to the one it was borrowed from."""

    def __init__(self, owner: ModuleScope) -> None:
        super().__init__(owner.around, owner.computed, None, owner)
        self._owner = owner
        self._running = owner._running

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "touched" and value and hasattr(self, "_owner"):
            self._owner.touched = True


class Lazy(dict[str, Value]):
    """An object whose attributes are computed when they are read, each once."""

    def __init__(self, names: list[str], compute: Callable[[str], Value]) -> None:
        super().__init__()
        self._names = dict.fromkeys(names)
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


def _blocks(address: str, name: str, blocks: tuple[Block, ...], scope: Scope) -> Value:
    found: dict[str, Value] = {}
    for block in (b for b in blocks if b.type == name):
        attributes: dict[str, Value] = {n: _evaluated(a.expr, scope) for n, a in block.body.attributes.items()}
        if not block.labels:
            return attributes
        found[block.labels[0]] = Entity(f"{address}#{name}.{block.labels[0]}", attributes)
    return found


def _evaluated(expr: Expr, scope: Scope) -> Value:
    return evaluate_inner(expr, scope)


def _plain(value: Any) -> Any:
    return None if isinstance(value, MapValue) else value
