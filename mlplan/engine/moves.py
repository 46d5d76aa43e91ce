"""Renames: a `moved` block gives a record another address without touching anything in the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlplan.config.program import Program
from mlplan.ledger.records import State


def moved_addresses(program: Program, state: State) -> dict[str, str]:
    """Return old address -> new address for every record that a `moved` block renames, children included."""
    moves: dict[str, str] = {}
    for block in program.moved:
        for address in state.records:
            if under(address, block.source):
                target = block.target + address[len(block.source) :]
                if target not in state.records:
                    moves[address] = target
    return moves


def renamed(state: State, moves: Mapping[str, str]) -> State:
    """Return the state with records under their new addresses; names and tokens of what they stand for stay."""
    records = {}
    for address, record in state.records.items():
        moved = replace(
            record,
            address=moves.get(address, address),
            dependencies=tuple(moves.get(d, d) for d in record.dependencies),
        )
        records[moved.address] = moved
    return replace(state, records=records)


def under(address: str, other: str) -> bool:
    """Tell whether `address` is `other`, an instance of it, or something inside it."""
    return address.startswith(other) and address[len(other) : len(other) + 1] in ("", ".", "[")
