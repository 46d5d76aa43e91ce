"""Block schemas: what a block may hold. Kinds and providers declare them; `config` decodes by them; docs are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Semantic = Literal[
    "string", "number", "integer", "bool", "any",
    "duration",   # "90s", "30m", "7d"          -> float, seconds
    "size",       # "1Gi", "200MiB", 1024       -> int, bytes
    "rate",       # "50/s", "4/month"           -> Rate(count, per_seconds)
    "fraction",   # 0.05 or "5%"                -> float
    "list", "map", "object", "reference", "provider",
]  # fmt: skip


@dataclass(frozen=True)
class ArgumentType:
    """The type of an argument. `of`: element type of list and map; `fields`: of object; `kinds`: what a reference may name.

    Decoded forms: string str, number int|float, list tuple, map and object dict, reference `Reference`, provider str
    (the local name in required_providers, with alias as "docker.eu").
    """

    semantic: Semantic
    of: ArgumentType | None = None
    fields: Mapping[str, Argument] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the type as shown in messages and reference docs."""
        if self.semantic in ("list", "map") and self.of is not None:
            return f"{self.semantic}({self.of.text()})"
        if self.semantic == "reference":
            return " or ".join(f"{kind} reference" for kind in self.kinds) or "reference"
        return self.semantic


@dataclass(frozen=True)
class Argument:
    """One argument of a block. `choices`: the only allowed strings. `default` is already in decoded form."""

    type: ArgumentType
    description: str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    sensitive: bool = False


@dataclass(frozen=True)
class NestedBlock:
    """A block inside a block. `labels`: how many; labelled blocks decode to a dict by label, others by `most`:
    most == 1 gives one value or None, otherwise a tuple. A label is offered to the body as key "name"."""

    schema: BlockSchema
    labels: int = 0
    least: int = 0
    most: int | None = None
    description: str = ""


@dataclass(frozen=True)
class BlockSchema:
    """What a block may hold: arguments, nested blocks, and attributes that only a run can know.

    open_arguments: any further argument is allowed, with this type (`params`-like blocks).
    computed: attribute name -> description; what references may read besides arguments.
    """

    description: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    blocks: Mapping[str, NestedBlock] = field(default_factory=dict)
    computed: Mapping[str, str] = field(default_factory=dict)
    open_arguments: ArgumentType | None = None


@dataclass(frozen=True)
class Reference:
    """A decoded reference to an instance, or to a part of it: `data_contract.flights.drift.since_training` has
    address "data_contract.flights" and path ("drift", "since_training")."""

    address: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.address, *self.path))


@dataclass(frozen=True)
class Rate:
    """So many per so long. Units: `per` in seconds."""

    count: float
    per: float


STRING = ArgumentType("string")
NUMBER = ArgumentType("number")
INTEGER = ArgumentType("integer")
BOOL = ArgumentType("bool")
ANY = ArgumentType("any")
DURATION = ArgumentType("duration")
SIZE = ArgumentType("size")
RATE = ArgumentType("rate")
FRACTION = ArgumentType("fraction")
PROVIDER = ArgumentType("provider")


def list_of(of: ArgumentType) -> ArgumentType:
    """Return the type of a list."""
    return ArgumentType("list", of=of)


def map_of(of: ArgumentType) -> ArgumentType:
    """Return the type of a map with string keys."""
    return ArgumentType("map", of=of)


def object_of(**fields: Argument) -> ArgumentType:
    """Return the type of an object with the given fields; an unknown field is an error."""
    return ArgumentType("object", fields=fields)


def reference_to(*kinds: str) -> ArgumentType:
    """Return the type of a reference to an instance of one of `kinds`."""
    return ArgumentType("reference", kinds=kinds)
