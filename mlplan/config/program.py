"""A loaded configuration: instances by address, and the evaluation of their bodies when their surroundings are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplan.config import decode as decoding
from mlplan.config.module import Module, Resource
from mlplan.config.scopes import ModuleScope
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.evaluate import evaluate
from mlplan.lang.source import SourceFile, Span
from mlplan.lang.syntax import Block
from mlplan.lang.values import Secret, Value, holds_secret, to_python
from mlplan.spi.schema import BlockSchema

Computed = Callable[[str], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Lifecycle:
    """The `lifecycle` block, expressions left for when they can be evaluated."""

    prevent_destroy: bool = False
    ignore_changes: tuple[str, ...] = ()
    preconditions: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Instance:
    """One instance of a noun. key: of for_each (text) or count (number). each: what `each` and `count` hold inside it."""

    address: str
    kind: str
    name: str
    key: str | int | None
    resource: Resource = field(repr=False, compare=False)
    each: Mapping[str, Value] = field(repr=False, compare=False)
    dependencies: tuple[str, ...] = ()
    provider: str | None = None
    lifecycle: Lifecycle = Lifecycle()

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
    """A `moved` block."""

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
class OutputValue:
    """An output. value: plain Python, may hold `Unknown`."""

    value: Any
    sensitive: bool
    description: str = ""


@dataclass(frozen=True)
class Program:
    """Everything that the files say. instances: each after what it depends on."""

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
    encryption: Block | None = None

    def decode(self, instance: Instance, computed: Computed) -> tuple[dict[str, Any], list[Diagnostic]]:
        """Return the arguments of an instance as its schema's decoded forms, and what is wrong with them.

        computed: computed attributes of other instances by address; None when nothing is known of one yet.
        """
        scope = self.scope.inside(instance, computed)
        arguments, problems = decoding.decode_body(
            instance.resource.block.body, self.schemas[instance.kind], scope, decoding.META_ARGUMENTS, decoding.META_BLOCKS,
            f"a {instance.kind}", instance.span,
        )  # fmt: skip
        problems += decoding.check_conditions(instance.lifecycle.preconditions, scope)
        return arguments, [p.at(address=instance.address) for p in problems]

    def outputs(self, computed: Computed) -> tuple[dict[str, OutputValue], list[Diagnostic]]:
        """Return the outputs, and what is wrong with them."""
        scope = self.scope.inside(None, computed)
        found: dict[str, OutputValue] = {}
        problems: list[Diagnostic] = []
        for name, output in self.module.outputs.items():
            problems += decoding.check_conditions(output.preconditions, scope)
            try:
                value = evaluate(output.value, scope)
            except DiagnosticError as error:
                problems += error.diagnostics
                continue
            secret = holds_secret(value)
            if secret and not output.sensitive:
                detail = f'output "{name}" holds a sensitive value. Say sensitive = true, so that it is never shown.'
                problems.append(
                    Diagnostic("sensitive-output", "An output would show a secret", detail, span=output.span)
                )
                continue
            plain = Secret("") if secret else decoding.plain_value(to_python(value))
            found[name] = OutputValue(plain, output.sensitive, output.description)
        return found, problems

    def provider_settings(self, config: ProviderConfig, schema: BlockSchema) -> tuple[dict[str, Any], list[Diagnostic]]:
        """Return the decoded arguments of a provider block."""
        return self._settings(config.block, schema, frozenset({"alias"}), f'provider "{config.type}"')

    def backend_settings(self, schema: BlockSchema) -> tuple[dict[str, Any], list[Diagnostic]]:
        """Return the decoded arguments of the backend block; the schema's defaults when there is none."""
        block = self.backend.block if self.backend is not None else None
        return self._settings(block, schema, frozenset(), "a backend")

    def encryption_settings(self, schema: BlockSchema) -> tuple[dict[str, Any] | None, list[Diagnostic]]:
        """Return the decoded arguments of the encryption block, None when there is none."""
        if self.encryption is None:
            return None, []
        return self._settings(self.encryption, schema, frozenset(), "an encryption block")

    def _settings(
        self, block: Block | None, schema: BlockSchema, meta: frozenset[str], what: str
    ) -> tuple[dict[str, Any], list[Diagnostic]]:
        if block is None:
            return {name: argument.default for name, argument in schema.arguments.items()}, []
        scope = self.scope.inside(None, lambda _: None)
        return decoding.decode_body(block.body, schema, scope, meta, frozenset(), what, block.header_span)
