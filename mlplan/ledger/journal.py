"""The journal: what a run did since the last snapshot, one line an entry. This file knows lines, `replay` knows what
they mean.

A line is `crc32 json`. The JSON carries its number (n), the checksum of the line before (p; the first line carries
the seed, taken from the snapshot it belongs to) and how many lines were durable when it was written (d). So a line
that was altered, taken out or put in is noticed, and a torn end can be told from damage: lines that were written but
never acknowledged may be torn, lines that a later line calls durable may not.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import orjson

from mlplan.ledger.damage import damaged
from mlplan.ledger.plain import canonical

EntryType = Literal[
    "run_begin", "intent", "accepted", "progress", "record", "done", "failed", "unknown", "abort", "adopt", "taint",
    "forget", "move", "evidence", "decision", "outputs", "plan_used", "swept", "run_end",
]  # fmt: skip
ENTRY_TYPES = frozenset(get_args(EntryType))
_LINE = re.compile(rb"([0-9a-f]{8}) (\{.*\})", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One entry. at: seconds since the epoch. data: plain JSON, by type:

    run_begin who, host, operation, command, serial · intent operation · accepted address, handle · progress address, document ·
    record record · done address, step, record?, removed, evidence, outcome, summary, who · failed, unknown, abort
    address, step, reason, who · adopt address, record, reason, who · taint address, reason, who · forget address,
    reason, who · move moves (old address -> new), who · evidence evidence · decision
    address, who, what, why, outcome, evidence · outputs values · plan_used id · swept runs, removed (of address and name) ·
    run_end outcome.
    """

    type: EntryType
    at: float
    run: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """A journal as read. torn: how many unacknowledged lines at the end were dropped."""

    entries: tuple[Entry, ...]
    torn: int


def seed_of(checksum: str) -> str:
    """Return what the first line of a journal carries, from the checksum of the snapshot that the journal follows."""
    return f"{zlib.crc32(checksum.encode()):08x}"


class Writer:
    """Makes the lines of one journal in order. Not thread-safe: the session holds its lock around it."""

    def __init__(self, seed: str, count: int = 0) -> None:
        self._previous = seed
        self._count = count

    def line(self, entry: Entry, durable: int) -> bytes:
        """Return the next line, without line end. The data of the entry is plain (`ledger.plain`)."""
        body = canonical(
            {
                "n": self._count,
                "p": self._previous,
                "d": durable,
                "type": entry.type,
                "at": entry.at,
                "run": entry.run,
                "data": entry.data,
            }
        )
        self._previous = f"{zlib.crc32(body):08x}"
        self._count += 1
        return self._previous.encode() + b" " + body


@dataclass(frozen=True)
class _Line:
    number: int
    previous: str
    durable: int
    checksum: str
    entry: Entry


def read(lines: Iterable[bytes], seed: str) -> Reading:
    """Return the entries of a journal.

    Raises: StoreDamaged when a line that was acknowledged is missing or altered, or the journal follows another
    snapshot.
    """
    parsed = [_parse(line) for chunk in lines for line in chunk.split(b"\n")]
    good = _prefix(parsed, seed)
    rest = parsed[len(good) :]
    if rest and rest[0] is not None and rest[0].number == 0 and not good:
        raise damaged("The journal does not follow this snapshot.", "Its first line belongs to another state document.")
    for line in rest:
        # A line after the bad one that knows of more durable lines than we could read proves that something was lost.
        if line is not None and (line.durable > len(good) or line.number <= len(good)):
            raise damaged(
                f"The journal is damaged at line {len(good) + 1} of {len(parsed)}.",
                "The line was altered, taken out or put in after it was written.",
            )
    return Reading(tuple(line.entry for line in good), len(rest))


def salvage(lines: Iterable[bytes], seed: str) -> Reading:
    """Return what can still be read of a damaged journal, from its beginning; `torn` counts the lines after that."""
    parsed = [_parse(line) for chunk in lines for line in chunk.split(b"\n")]
    good = _prefix(parsed, seed)
    return Reading(tuple(line.entry for line in good), len(parsed) - len(good))


def _prefix(parsed: list[_Line | None], seed: str) -> list[_Line]:
    """Return the lines from the first on that are whole, in order and chained."""
    good: list[_Line] = []
    previous = seed
    for number, line in enumerate(parsed):
        if line is None or line.number != number or line.previous != previous:
            break
        good.append(line)
        previous = line.checksum
    return good


def _parse(line: bytes) -> _Line | None:
    """Return a line that is whole by itself, or None."""
    match = _LINE.fullmatch(line)
    if match is None or int(match[1], 16) != zlib.crc32(match[2]):
        return None
    try:
        document = orjson.loads(match[2])
        entry = Entry(document["type"], document["at"], document["run"], document["data"])
        whole = _Line(document["n"], document["p"], document["d"], match[1].decode(), entry)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if entry.type not in ENTRY_TYPES or not isinstance(entry.data, dict):
        raise damaged(
            f'The journal has an entry "{entry.type}" that this mlplan does not know.',
            "It was written by a newer mlplan. Use that version.",
        )
    return whole
