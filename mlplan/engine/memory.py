"""What references may read of addresses: computed attributes as the state remembers them, children nested in their parents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlplan.engine.kind import Kind
from mlplan.lang.values import Unknown
from mlplan.ledger.records import Record

_CHILD = re.compile(r'(.+)\.([A-Za-z_][\w-]*)\[(?:"(?:[^"\\]|\\.)*"|\d+)\]', re.DOTALL)


class Memory:
    """Looks up remembered attributes. Records are asked for one by one, so that a look-up costs only what it returns and
    sees what the run has done so far. children: addresses below each address, from `below`.
    """

    def __init__(
        self, record: Callable[[str], Record | None], kinds: Mapping[str, Kind], children: Mapping[str, Sequence[str]]
    ) -> None:
        self._record = record
        self._kinds = kinds
        self._children = children

    @staticmethod
    def of(records: Mapping[str, Record], kinds: Mapping[str, Kind]) -> Memory:
        """Return the memory of a state that does not change any more."""
        return Memory(records.get, kinds, below(records, kinds))

    def values(self, address: str) -> dict[str, Any] | None:
        """Return the computed attributes of an address, its children's included; None without a record."""
        record = self._record(address)
        if record is None:
            return None
        own = computed(self._kinds, record.kind, address, record.attributes)
        children = [r for r in map(self._record, self._children.get(address, ())) if r is not None]
        if not children:
            return own
        return with_children(
            address, own, [(c.address, computed(self._kinds, c.kind, c.address, c.attributes)) for c in children]
        )


def below(addresses: Iterable[str], kinds: Mapping[str, Kind]) -> dict[str, list[str]]:
    """Return the addresses of computed instances under the address that each belongs to: those that end in `.kind[key]`."""
    found: dict[str, list[str]] = {}
    for address in dict.fromkeys(addresses):
        match = _CHILD.fullmatch(address) if address.endswith("]") else None
        if match is not None and match[2] in kinds:
            found.setdefault(match[1], []).append(address)
    return found


def parents(address: str) -> Iterator[str]:
    """Yield every address above `address`, the nearest first."""
    cut = address.rfind(".")
    while cut > 0:
        yield address[:cut]
        cut = address.rfind(".", 0, cut)


def computed(kinds: Mapping[str, Kind], kind: str, address: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that references may read; what is not known yet is `Unknown`."""
    unknown = Unknown(origin=f"known after apply of {address}")
    return {name: attributes.get(name, unknown) for name in kinds[kind].schema.computed}


def with_children(address: str, own: dict[str, Any], children: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return `own` with children under noun and key: `model.a.deployment["dev"]` becomes own["deployment"]["dev"]."""
    for child, attributes in children:
        noun, _, key = child[len(address) + 1 :].partition("[")
        if not isinstance(own.get(noun), dict):
            own[noun] = {}
        own[noun][key.rstrip("]").strip('"')] = attributes
    return own
