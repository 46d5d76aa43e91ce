"""A loaded configuration: instances by address, and the evaluation of their bodies when their surroundings are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlplan.config import conditions
from mlplan.config import decode as decoding
from mlplan.config.addresses import Key, parse_address
from mlplan.config.blocks import Resource
from mlplan.config.lifecycle import Lifecycle, lifecycle
from mlplan.config.module import Module
from mlplan.config.scopes import Computed, Evaluation, Item, ModuleScope, Surroundings
from mlplan.config.strict import article
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.source import SourceFile, Span
from mlplan.lang.syntax import Block
from mlplan.lang.values import Secret, Value, holds_secret, to_python
from mlplan.spi.schema import BlockSchema


@dataclass(frozen=True)
class Instance:
    """One instance of a noun. key: of for_each (text) or count (number). each: what `each` and `count` hold inside it.

    around: the module instance that it lies in. provider: by the name it has in the root module.
    """

    address: str
    kind: str
    name: str
    key: Key
    resource: Resource = field(repr=False, compare=False)
    each: Mapping[str, Value] = field(repr=False, compare=False)
    around: Surroundings = field(repr=False, compare=False)
    dependencies: tuple[str, ...] = ()
    provider: str | None = None
    lifecycle: Lifecycle = field(default_factory=Lifecycle)

    @property
    def span(self) -> Span:
        """Return where it is declared."""
        return self.resource.block.header_span


@dataclass(frozen=True)
class ProviderConfig:
    """A `provider` block. name: "docker" or "docker.eu" with an alias; type: what is loaded."""

    name: str
    type: str
    block: Block | None


@dataclass(frozen=True)
class Backend:
    """The `backend` block."""

    type: str
    block: Block


@dataclass(frozen=True)
class Rename:
    """A `moved` block, with full addresses."""

    source: str
    target: str
    span: Span


@dataclass(frozen=True)
class Removed:
    """A `removed` block. destroy: whether what it names is removed from the world, or only forgotten."""

    address: str
    destroy: bool
    span: Span


@dataclass(frozen=True)
class Import:
    """An `import` block. target: a full address. id: what finds the thing in the world."""

    target: str
    id: str
    span: Span


@dataclass(frozen=True)
class OutputValue:
    """An output. value: plain Python, may hold `Unknown`."""

    value: Any
    sensitive: bool
    description: str = ""


@dataclass(frozen=True)
class Program:
    """Everything that the files say. instances: each after what it depends on. modules: every module instance, the root first."""

    root: Path
    sources: Mapping[str, SourceFile]
    digest: str
    module: Module
    schemas: Mapping[str, BlockSchema]
    instances: tuple[Instance, ...]
    providers: Mapping[str, ProviderConfig]
    backend: Backend | None
    moved: tuple[Rename, ...]
    removed: tuple[Removed, ...]
    scope: ModuleScope = field(repr=False)
    imports: tuple[Import, ...] = ()
    modules: tuple[Surroundings, ...] = field(default=(), repr=False)
    encryption: Block | None = None
    output_needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """What each output of the root module reads, by address."""

    def evaluation(self, computed: Computed) -> Evaluation:
        """Return an evaluation under one state of knowledge; give it instead of `computed` to share what it works out."""
        return computed if isinstance(computed, Evaluation) else Evaluation(computed)

    def decode(self, instance: Instance, computed: Computed) -> tuple[dict[str, Any], list[Diagnostic]]:
        """Return the arguments of an instance as its schema's decoded forms, and what is wrong with them.

        computed: computed attributes of other instances by address; None when nothing is known of one yet.
        """
        scope = ModuleScope(instance.around, self.evaluation(computed), instance.each)
        arguments, problems = decoding.decode_body(
            instance.resource.block.body, self.schemas[instance.kind], scope, decoding.META_ARGUMENTS, decoding.META_BLOCKS,
            article(instance.kind), instance.span,
        )  # fmt: skip
        problems += conditions.broken(instance.lifecycle.preconditions, scope, "precondition")
        return arguments, [p if p.address else replace(p, address=instance.address) for p in problems]

    def protects(self, address: str) -> bool:
        """Tell whether a block that is in the files protects an address, or what it belongs to, against removal."""
        parsed = parse_address(address)
        node = self.scope.around.node
        for name, _ in parsed.modules if parsed is not None else ():
            if name not in node.children:
                return False
            node = node.children[name]
        resource = node.module.resources.get(parsed.block) if parsed is not None else None
        return resource is not None and lifecycle(resource)[0].prevent_destroy

    def postconditions(self, computed: Computed, addresses: frozenset[str] | None = None) -> list[Diagnostic]:
        """Return the postconditions that do not hold; one that is not known yet waits. addresses: None for all instances."""
        evaluation = self.evaluation(computed)
        found: list[Diagnostic] = []
        for instance in self.instances:
            blocks = instance.lifecycle.postconditions
            if blocks and (addresses is None or instance.address in addresses):
                extra = {**instance.each, "self": evaluation.entity(instance)}
                scope = ModuleScope(instance.around, evaluation, extra)
                found += [d.at(address=instance.address) for d in conditions.broken(blocks, scope, "postcondition")]
        return found

    def checks(self, computed: Computed) -> list[Diagnostic]:
        """Return a warning for every assertion of a `check` block that does not hold, or cannot be evaluated."""
        evaluation = self.evaluation(computed)
        found: list[Diagnostic] = []
        for around in self.modules:
            for check in around.node.module.checks.values():
                address = f"{around.prefix}check.{check.name}"
                broken = conditions.broken(check.assertions, ModuleScope(around, evaluation), "assert")
                found += [replace(d, severity="warning").at(address=address) for d in broken]
        return found

    def outputs(self, computed: Computed) -> tuple[dict[str, OutputValue], list[Diagnostic]]:
        """Return the outputs of the root module, and what is wrong with those of all modules."""
        evaluation = self.evaluation(computed)
        found: dict[str, OutputValue] = {}
        problems: list[Diagnostic] = []
        for around in self.modules:
            scope = ModuleScope(around, evaluation)
            for name, output in around.node.module.outputs.items():
                problems += conditions.broken(output.preconditions, scope, "output")
                try:
                    value = evaluation.value(Item(around, "output", name))
                except DiagnosticError as error:
                    problems += error.diagnostics
                    continue
                secret = holds_secret(value)
                if secret and not output.sensitive:
                    detail = (
                        f'output "{name}" holds a sensitive value. Say sensitive = true, so that it is never shown.'
                    )
                    problems.append(
                        Diagnostic("sensitive-output", "An output would show a secret", detail, span=output.span)
                    )
                elif around.parent is None:
                    plain = Secret("") if secret else decoding.plain_value(to_python(value))
                    found[name] = OutputValue(plain, output.sensitive, output.description)
        return found, problems

    def variable_problems(self) -> list[Diagnostic]:
        """Return the validations of variables that do not hold, in every module."""
        evaluation = Evaluation(lambda _: None)
        found: list[Diagnostic] = []
        for around in self.modules:
            scope = ModuleScope(around, evaluation)
            for variable in around.node.module.variables.values():
                broken = conditions.broken(variable.validations, scope, "validation")
                found += [d.at(address=around.address or None) for d in broken]
        return found

    def provider_settings(self, config: ProviderConfig, schema: BlockSchema) -> tuple[dict[str, Any], list[Diagnostic]]:
        """Return the decoded arguments of a provider block."""
        return self._settings(config.block, schema, frozenset({"alias"}), f'provider "{config.type}"')

    def backend_settings(self, schema: BlockSchema) -> tuple[dict[str, Any], list[Diagnostic]]:
        """Return the decoded arguments of the backend block; the schema's defaults when there is none."""
        block = self.backend.block if self.backend is not None else None
        return self._settings(block, schema, frozenset(), "a backend")

    def _settings(
        self, block: Block | None, schema: BlockSchema, meta: frozenset[str], what: str
    ) -> tuple[dict[str, Any], list[Diagnostic]]:
        if block is None:
            return {name: argument.default for name, argument in schema.arguments.items()}, []
        scope = self.scope.inside(None, lambda _: None)
        return decoding.decode_body(block.body, schema, scope, meta, frozenset(), what, block.header_span)
