"""Addresses taken apart: `module.eu.model.fraud["a"].deployment["production"]` into module, type, name and key."""

from __future__ import annotations

import re
from dataclasses import dataclass

_KEY = r'(?:\[(?P<key>"(?:[^"\\]|\\.)*"|\d+)\])?'
_OWN = re.compile(rf"(?P<above>.*?)\b(?P<type>[A-Za-z_][\w-]*)\.(?P<name>[A-Za-z_][\w-]*){_KEY}", re.DOTALL)
_MODULE = re.compile(r'module\.[A-Za-z_][\w-]*(?:\[(?:"(?:[^"\\]|\\.)*"|\d+)\])?\.', re.DOTALL)


@dataclass(frozen=True)
class Parts:
    """What an address says. module: "" for the root. key: of for_each, of count, or of a computed child. parent: of a child."""

    module: str
    type: str
    name: str
    key: str | int | None
    parent: str | None = None


def parts(address: str, kind: str) -> Parts:
    """Return the parts of an address of a kind. A computed child has its parent's name: it has none of its own."""
    rest, modules = address, ""
    while (match := _MODULE.match(rest)) is not None:
        modules += match[0]
        rest = rest[match.end() :]
    module = modules.rstrip(".")
    own = _OWN.fullmatch(rest)
    if own is not None and own["type"] == kind and not own["above"]:
        return Parts(module, kind, own["name"], _key(own["key"]))
    cut = rest.rfind(f".{kind}[")
    if cut > 0:
        above = rest[:cut]
        match = _OWN.fullmatch(above)
        name = match["name"] if match is not None else above
        return Parts(module, kind, name, _key(rest[cut + len(kind) + 2 : -1]), modules + above)
    return Parts(module, kind, rest.removeprefix(kind + "."), None)


def _key(text: str | None) -> str | int | None:
    if text is None:
        return None
    return int(text) if text.isdigit() else text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
