"""What references may read of addresses: computed attributes as the state remembers them, children nested in their parents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlplan.engine.kind import Kind
from mlplan.lang.values import Unknown
from mlplan.ledger.records import Record


class Memory:
    """Looks up remembered attributes; built once over all records, so that each look-up costs only what it returns."""

    def __init__(self, records: Mapping[str, Record], kinds: Mapping[str, Kind]) -> None:
        self._records = records
        self._kinds = kinds
        self._below: dict[str, list[Record]] = {}
        for record in records.values():
            parent, found, _ = record.address.rpartition(f".{record.kind}[")
            if found and parent in records:
                self._below.setdefault(parent, []).append(record)

    def children(self, address: str) -> list[Record]:
        """Return the records of computed instances below an address."""
        return self._below.get(address, [])

    def values(self, address: str) -> dict[str, Any] | None:
        """Return the computed attributes of an address, its children's included; None without a record."""
        record = self._records.get(address)
        if record is None:
            return None
        return with_children(
            address,
            computed(self._kinds, record.kind, address, record.attributes),
            [(c.address, computed(self._kinds, c.kind, c.address, c.attributes)) for c in self.children(address)],
        )


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
