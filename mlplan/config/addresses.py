"""Addresses as text and in parts: `module.regional["us"].model.this["k"].deployment["dev"]`. Keys are quoted as HCL quotes text."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PART = re.compile(r'\.?([^.\["\]\s]+)(?:\[(?:"((?:[^"\\]|\\.)*)"|(\d+))\])?')

Key = str | int | None
Part = tuple[str, Key]


@dataclass(frozen=True)
class Address:
    """An address in parts. modules: (name, key) from outside in. rest: parts below the instance. kind is "" for a module."""

    modules: tuple[Part, ...] = ()
    kind: str = ""
    name: str = ""
    key: Key = None
    rest: tuple[Part, ...] = ()

    def __str__(self) -> str:
        words = [f"module.{part_text(part)}" for part in self.modules]
        if self.kind:
            words.append(f"{self.kind}.{part_text((self.name, self.key))}")
        return ".".join([*words, *map(part_text, self.rest)])

    @property
    def module(self) -> str:
        """Return the address of the module that it lies in, "" for the root."""
        return str(Address(self.modules))

    @property
    def block(self) -> str:
        """Return "kind.name" without module and key."""
        return f"{self.kind}.{self.name}"


def parse_address(text: str) -> Address | None:
    """Return an address in parts, None when the text is none."""
    parts: list[Part] = []
    position = 0
    while position < len(text):
        found = _PART.match(text, position)
        if found is None or (text[position] == ".") != (position > 0):
            return None
        name, quoted, number = found.groups()
        key: Key = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else int(number) if number else None
        parts.append((name, key))
        position = found.end()
    modules: list[Part] = []
    while len(parts) > 1 and parts[0] == ("module", None):
        modules.append(parts[1])
        parts = parts[2:]
    if not parts:
        return Address(tuple(modules)) if modules else None
    if len(parts) < 2 or parts[0][1] is not None:
        return None
    return Address(tuple(modules), parts[0][0], parts[1][0], parts[1][1], tuple(parts[2:]))


def key_text(key: Key) -> str:
    """Return `["k"]`, `[0]` or nothing."""
    if key is None:
        return ""
    if isinstance(key, int):
        return f"[{key}]"
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'["{escaped}"]'


def part_text(part: Part) -> str:
    """Return a name with its key."""
    return part[0] + key_text(part[1])


def kind_of(address: str) -> str:
    """Return the kind that an address names, "" when it names none."""
    if not address.startswith("module."):
        return address.partition(".")[0]
    parsed = parse_address(address)
    return parsed.kind if parsed is not None else ""


def short_name(address: str, seen_from: str) -> str:
    """Return what an instance is called by another: its name, with key and module where the other needs them to tell.

    `environment.dev` is "dev" to everybody, `environment.region["us"]` is "region.us", and seen from another module
    `module.edge.environment.dev` is "edge/dev". Children of the other are keyed by it.
    """
    parsed, other = parse_address(address), parse_address(seen_from)
    if parsed is None:
        return address
    own = parsed.name if parsed.key is None else f"{parsed.name}.{parsed.key}"
    if not parsed.modules or (other is not None and parsed.modules == other.modules):
        return own
    outside = "/".join(name if key is None else f"{name}.{key}" for name, key in parsed.modules)
    return f"{outside}/{own}"


def below(address: str, ancestor: str) -> bool:
    """Tell whether an address is another one, an instance of it, or something inside it."""
    return address == ancestor or address.startswith((f"{ancestor}.", f"{ancestor}["))
