"""What a record is under another address: the same thing in the world, with every mention of an address brought up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlplan.ledger.records import Record

ORIGIN = "origin"
"""Attribute: the address under which the things in the world were named; they keep these names."""
HOME = "home"
"""Attribute of what was taken over: the lineage of the state under which the things in the world were named."""


def renamed_record(record: Record, moves: Mapping[str, str]) -> Record:
    """Return a record as it is after the moves: its address, its dependencies, and addresses among its attributes."""
    attributes = _renamed(record.attributes, moves)
    address = moves.get(record.address, record.address)
    if address != record.address:
        attributes = {**attributes, ORIGIN: record.attributes.get(ORIGIN) or record.address}
    return replace(
        record,
        address=address,
        dependencies=tuple(moves.get(d, d) for d in record.dependencies),
        attributes=attributes,
    )


def origin(address: str, record: Record | None) -> str:
    """Return the address that names what belongs to an address in the world."""
    return str((record.attributes.get(ORIGIN) if record is not None else None) or address)


def home(lineage: str, record: Record | None) -> str:
    """Return the lineage that names what belongs to a record in the world: the state's own, unless it was taken over."""
    return str((record.attributes.get(HOME) if record is not None else None) or lineage)


def _renamed(value: Any, moves: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _renamed_text(value, moves) if "." in value else value
    if isinstance(value, Mapping):
        return {key: item if key == ORIGIN else _renamed(item, moves) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(item, moves) for item in value]
    return value


def _renamed_text(text: str, moves: Mapping[str, str]) -> str:
    if text in moves:
        return moves[text]
    head = text
    while "." in head:
        head = head.rpartition(".")[0]
        if head in moves:
            return moves[head] + text[len(head) :]
    return text
