"""What a run still had to tell when its store failed, kept on disk, and brought in later by `mlplan state push`.

An outcome that happened in the world and could not be written is worth keeping: without it the next run has to find out by
looking. An intent that could not be written is not: nothing of it left. Entries are taken in only where the state still waits
for them, so pushing late, twice, or after a lost answer does no harm.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mlplan.ledger.journal import Entry, Writer, read, seed_of
from mlplan.ledger.keys import Keyring, Place, is_sealed
from mlplan.spi.store import Conflict, StoreDamaged, StoreError

MARK = b'{"mlplan_rescue":'
SUFFIX = ".rescue"
FORMAT = 1
KEPT = frozenset({
    "accepted", "progress", "record", "done", "failed", "unknown", "abort", "adopt", "taint", "forget", "evidence", "decision",
    "outputs", "plan_used",
})  # fmt: skip
OF_AN_INTENT = frozenset({"accepted", "progress", "done", "failed", "unknown", "abort"})


@dataclass(frozen=True)
class Rescued:
    """A rescue file as read."""

    lineage: str
    serial: int
    run: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Brought:
    """What a push of a rescue file did. skipped: (address, type, why)."""

    taken: int
    skipped: tuple[tuple[str, str, str], ...] = field(default=())


class Rescue:
    """The folder of rescue files of a project."""

    def __init__(self, folder: Path, keys: Keyring | None = None) -> None:
        self._folder = folder
        self._keys = keys

    def waiting(self) -> list[Path]:
        """Return the files that nobody pushed yet."""
        return sorted(self._folder.glob(f"*{SUFFIX}"))

    def keeper(self, lineage: str, serial: int, run: str) -> Callable[[Sequence[Entry]], str]:
        """Return what keeps entries of one run, and says in words where."""
        path = self._folder / f"{run or 'run'}-{serial}-{secrets.token_hex(3)}{SUFFIX}"
        writer = Writer(seed_of(f"{lineage} {serial} {run}"))
        place = Place(lineage, "rescue", serial)
        count = 0

        def keep(entries: Sequence[Entry]) -> str:
            nonlocal count
            kept = [entry for entry in entries if entry.type in KEPT]
            if not kept and not path.exists():
                return ""
            lines = [writer.line(entry, count + position) for position, entry in enumerate(kept)]
            count += len(lines)
            if not path.exists():
                header = {"mlplan_rescue": FORMAT, "lineage": lineage, "serial": serial, "run": run}
                lines.insert(0, orjson.dumps(header))
            if self._keys is not None:
                lines = [self._keys.seal(line, place) for line in lines]
            try:
                _append(path, lines)
            except OSError as error:
                return f"It could not be kept on this disk either ({error.strerror}); the next run looks at the world."
            return (
                f"What this run still had to tell is kept. When the store answers again:\n    mlplan state push {path}"
            )

        return keep

    def read(self, data: bytes) -> Rescued:
        """Return what a rescue file holds. Raises: StoreDamaged, StoreError."""
        lines = [self._line(line) for line in data.split(b"\n") if line]
        try:
            header: dict[str, Any] = orjson.loads(lines[0])
            if header["mlplan_rescue"] != FORMAT:
                raise StoreError(
                    "The rescue file is of a newer mlplan", f"Format {header['mlplan_rescue']} is not known here."
                )
            lineage, serial, run = str(header["lineage"]), int(header["serial"]), str(header["run"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise StoreDamaged("The rescue file is damaged", "Its first line cannot be read.") from error
        reading = read(lines[1:], seed_of(f"{lineage} {serial} {run}"))
        return Rescued(lineage, serial, run, reading.entries)

    def _line(self, line: bytes) -> bytes:
        if not is_sealed(line):
            if self._keys is not None and self._keys.enforced:
                raise StoreError("Plain text is forbidden", "The rescue file is not encrypted, and enforced = true.")
            return line
        if self._keys is None:
            raise StoreError(
                "The rescue file is encrypted", "These files name no key (mlplan { encryption { key = … } })."
            )
        return self._keys.open(line, "rescue")[0]


def is_rescue(data: bytes) -> bool:
    """Tell whether a document is a rescue file."""
    return data.startswith(MARK) or (is_sealed(data) and b'"kind":"rescue"' in data[:400])


def why_not(entry: Entry, rescued: Rescued, serial: int, operations: Any, known: Iterable[str]) -> str | None:
    """Return why an entry is not to be taken in now, None when it is.

    serial: of the state before the push. operations: open intents by address. known: identities of plans that were used.
    """
    address = str(entry.data.get("address", ""))
    if entry.type in OF_AN_INTENT:
        operation = operations.get(address)
        if operation is None:
            return "the state knows its outcome already"
        if operation.run != rescued.run or entry.data.get("step", operation.step) != operation.step:
            return "another run has gone on from there"
        return None
    if entry.type == "plan_used":
        return "it is known" if entry.data["id"] in set(known) else None
    if serial > rescued.serial + 1:
        return "the state was written by another run since"
    return None


def check(rescued: Rescued, lineage: str) -> None:
    """Refuse the rescue file of another state. Raises: Conflict."""
    if rescued.lineage != lineage:
        raise Conflict(
            "The rescue file belongs to another state",
            f"Its lineage is {rescued.lineage}, this state has {lineage}. Nothing was changed.",
        )


def _append(path: Path, lines: Sequence[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"".join(line + b"\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
