"""State in a PostgreSQL database: one row a workspace, its log, its history and its blobs, in a schema of their own.

The row holds head, fence and lock together, and every write is one statement that names the fence: a holder that lost
the lock changes no row, whenever its statement arrives. A write whose answer was lost is sent again; numbers and digests
tell whether the first one arrived. An advisory lock stands beside, for people who look at pg_locks; nothing rests on it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplan.spi.schema import DURATION, STRING, Argument, BlockSchema
from mlplan.spi.store import Conflict, Head, Holder, Lock, StoreDamaged, StoreError
from mlplan_state import common, leases
from mlplan_state.leases import LeaseLock, writing
from mlplan_state.postgres_link import Link
from mlplan_state.postgres_note import LockRow

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_ADVISORY = 0x6D6C706C
"""The class of our advisory locks ("mlpl"); the object is a hash of schema and workspace."""


class PostgresStore:
    """A store in a database. Thread-safe."""

    schema = BlockSchema(
        description="State in a PostgreSQL database.",
        arguments={
            "conn_str": Argument(
                STRING, "Connection string or URL; PGHOST, PGUSER, PGPASSWORD and so on fill in what it leaves out.",
                default="", sensitive=True,
            ),
            "schema_name": Argument(STRING, "Schema of the tables; made when absent.", default="mlplan"),
            "stale_after": Argument(
                DURATION, "How long a lock's counter may stand still before the lock is given up.", default=leases.STALE_AFTER
            ),
        },
    )  # fmt: skip

    place = ("conn_str", "schema_name")
    """The arguments that say where the state is."""

    def __init__(self, settings: Mapping[str, Any], root: Path, workspace: str) -> None:
        name = str(settings.get("schema_name") or "mlplan")
        if _SCHEMA.fullmatch(name) is None:
            raise StoreError("Invalid schema name", f'"{name}" may hold lower-case letters, digits and "_" only.')
        self._workspace = common.check_workspace(workspace)
        conn_str = str(settings.get("conn_str") or "")
        self._link = Link(conn_str, name)
        self._mutex = threading.RLock()
        self._row = LockRow(Link(conn_str, name), self._workspace)
        self._stale_after = float(settings.get("stale_after") or leases.STALE_AFTER)

    def __str__(self) -> str:
        return f"PostgreSQL schema {self._link.schema}, workspace {self._workspace}"

    def check(self) -> None:
        """Make the tables. Raises: StoreError when the database does not let us."""
        self._link.make_tables()

    def exists(self) -> bool:
        """Tell whether this state was ever initialised, even if it is damaged now."""
        if not self._link.has_tables():
            return False
        text = (
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM states WHERE workspace = %(w)s) "
            "OR EXISTS (SELECT 1 FROM history WHERE workspace = %(w)s)"
        )
        return bool(self._link.rows(text, {"w": self._workspace}))

    def initialise(self, document: bytes, serial: int = 0) -> None:
        """Write the first document. Raises: Conflict, StoreError."""
        common.check_serial(document, serial)
        self.check()
        if self.exists():
            raise self._exists_already()
        key, tag = common.snapshot_key(serial, document), common.tag_of(document)
        keep = ("INSERT INTO history (workspace, serial, key, document) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (self._workspace, serial, key, common.pack(document)))  # fmt: skip
        make = ("INSERT INTO states (workspace, serial, key, tag) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (self._workspace, serial, key, tag))  # fmt: skip
        if not self._link.write([make, keep], lambda: self._tag() == tag):
            raise self._exists_already()

    def _exists_already(self) -> Conflict:
        return Conflict("State exists already", f"{self} holds a state; nothing was changed.")

    def _rows(self, text: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Return the rows of a query, none before the tables are made."""
        return self._link.rows(text, values) if self._link.has_tables() else []

    def _tag(self) -> str | None:
        rows = self._link.rows("SELECT tag FROM states WHERE workspace = %s", (self._workspace,))
        return str(rows[0][0]) if rows else None

    def read_head(self) -> Head:
        """Return the newest snapshot. Raises: StoreDamaged, StoreError."""
        if not self._link.has_tables():
            raise self._none()
        rows = self._link.rows(
            "SELECT s.serial, s.key, s.tag, h.document, (SELECT max(serial) FROM history n WHERE n.workspace = s.workspace) "
            "FROM states s LEFT JOIN history h ON h.workspace = s.workspace AND h.key = s.key WHERE s.workspace = %s",
            (self._workspace,),
        )
        if not rows:
            if not self.exists():
                raise self._none()
            raise StoreDamaged("State head is gone", f"{self}: the row in states is absent, the history is there.")
        serial, key, tag, packed, newest = rows[0]
        if packed is None:
            raise StoreDamaged("State document is gone", f"{self}: the history holds no {key}.")
        document = common.unpack(bytes(packed), common.check_snapshot_key(key))
        if common.tag_of(document) != tag or common.serial_of(document) != serial:
            raise StoreDamaged("State document is not the one that was written", f"{self}: states and {key} differ.")
        if newest > serial:
            raise StoreDamaged(
                "State head is older than the history", f"{self} has serial {serial}, the history has {newest}."
            )
        return Head(serial, document, tag)

    def _none(self) -> StoreError:
        return StoreError("No state", f"{self} was never initialised. Run mlplan init.")

    def read_log(self, serial: int) -> Iterator[bytes]:
        """Yield the lines after snapshot `serial`. Raises: StoreDamaged when appends are missing or altered."""
        rows = self._link.rows(
            "SELECT number, lines, digest FROM log WHERE workspace = %s AND serial = %s ORDER BY number",
            (self._workspace, serial),
        )
        counted = self._link.rows(
            "SELECT appended FROM states WHERE workspace = %s AND serial = %s", (self._workspace, serial)
        )
        if counted and len(rows) < counted[0][0] and self._still(serial, counted[0][0]):
            raise StoreDamaged(
                "Journal is damaged", f"{self}: {counted[0][0]} appends were made, {len(rows)} are there."
            )
        for position, (number, lines, digest) in enumerate(rows):
            if number != position + 1 or common.tag_of(bytes(lines)) != digest:
                raise StoreDamaged(
                    "Journal is damaged", f"{self}: append {position + 1} after serial {serial} was altered."
                )
            yield from bytes(lines).split(b"\n")

    def _still(self, serial: int, appended: int) -> bool:
        """Tell whether what `states` says of the log is older than what was just read of it: then nothing is missing."""
        rows = self._link.rows(
            "SELECT count(*) FROM log WHERE workspace = %s AND serial = %s", (self._workspace, serial)
        )
        return bool(rows[0][0] < appended)

    def read_damaged_log(self, serial: int) -> Iterator[bytes]:
        """Yield what there is of a log, whatever is wrong with it."""
        for (lines,) in self._link.rows(
            "SELECT lines FROM log WHERE workspace = %s AND serial = %s ORDER BY number", (self._workspace, serial)
        ):
            yield from bytes(lines).split(b"\n")

    def append(self, serial: int, line: bytes, lock: Lock) -> None:
        """Append one line or several in one row; return when it is committed. Raises: Conflict, StoreError."""
        held = _ours(lock)
        with self._mutex, writing(held):
            number = held.facts.get(serial, 0)
            digest = common.tag_of(line)
            statement = (
                "WITH ours AS (UPDATE states SET appended = appended + 1 WHERE workspace = %s AND serial = %s AND fence = %s "
                "AND condition = 'held' AND appended = %s RETURNING workspace, serial, appended) "
                "INSERT INTO log (workspace, serial, number, lines, digest) "
                "SELECT workspace, serial, appended, %s, %s FROM ours",
                (self._workspace, serial, held.fence, number, line, digest),
            )
            if not self._link.write([statement], lambda: self._arrived(serial, number + 1, digest, held)):
                raise self._lost(held, serial)
            held.facts[serial] = number + 1

    def _arrived(self, serial: int, number: int, digest: str, held: LeaseLock) -> bool:
        return bool(
            self._link.rows(
                "SELECT 1 FROM log l JOIN states s USING (workspace, serial) WHERE l.workspace = %s AND l.serial = %s "
                "AND l.number = %s AND l.digest = %s AND s.fence = %s",
                (self._workspace, serial, number, digest, held.fence),
            )
        )

    def _lost(self, held: LeaseLock, serial: int) -> Conflict:
        rows = self._link.rows("SELECT fence, condition FROM states WHERE workspace = %s", (self._workspace,))
        if rows and (rows[0][0], rows[0][1]) == (held.fence, "held"):
            return Conflict("State was changed by somebody else", f"{self} is not at serial {serial} any more.")
        return leases.taken_away()

    def swap_head(self, expected: Head, document: bytes, serial: int, lock: Lock) -> Head:
        """Replace the head if it is still `expected`. Raises: Conflict, StoreError."""
        held = _ours(lock)
        if serial <= expected.serial:
            raise StoreError("Wrong serial", f"Serial {serial} cannot follow {expected.serial}.")
        common.check_serial(document, serial)
        with self._mutex, writing(held):
            return self._replace(document, serial, held, expected.tag)

    def _replace(self, document: bytes, serial: int, held: LeaseLock, before: str | None) -> Head:
        """Make `document` the head; before: the tag that the head must have, None for any."""
        key, tag = common.snapshot_key(serial, document), common.tag_of(document)
        swap = (
            "UPDATE states SET serial = %s, key = %s, tag = %s, appended = 0 WHERE workspace = %s AND fence = %s "
            "AND condition = 'held' AND (%s::text IS NULL OR tag = %s)",
            (serial, key, tag, self._workspace, held.fence, before, before),
        )
        keep = (
            "INSERT INTO history (workspace, serial, key, document) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (self._workspace, serial, key, common.pack(document)),
        )
        if not self._link.write([swap, keep], lambda: self._tag() == tag):
            raise self._lost(held, serial)
        self._tidy(serial)
        return Head(serial, document, tag)

    def _tidy(self, serial: int) -> None:
        """Remove logs that no reader can be at any more, and snapshots that need not be kept."""
        kept = self._link.rows(
            "SELECT serial, key, extract(epoch FROM written)::float8, pinned FROM history WHERE workspace = %s",
            (self._workspace,),
        )
        before = max((number for number, *_ in kept if number < serial), default=serial)
        drop = common.superfluous(
            ((number, key, written) for number, key, written, _ in kept), (k for _, k, _, p in kept if p), time.time()
        )
        self._link.write(
            [
                ("DELETE FROM log WHERE workspace = %s AND serial < %s", (self._workspace, before)),
                ("DELETE FROM history WHERE workspace = %s AND key = ANY(%s)", (self._workspace, drop)),
            ]
        )

    def replace_damaged(self, document: bytes, serial: int, lock: Lock) -> Head:
        """Put `document` in place of any head; the old row and the log are copied to the table `damaged`."""
        held = _ours(lock)
        common.check_serial(document, serial)
        if serial < self.next_serial():
            raise StoreError("Wrong serial", f"The document must have serial {self.next_serial()} or higher.")
        with self._mutex, writing(held):
            aside = (
                "INSERT INTO damaged (workspace, what) SELECT workspace, row_to_json({0}) FROM {0} WHERE workspace = %s"
            )
            self._link.write([(aside.format(table), (self._workspace,)) for table in ("states", "log")])
            return self._replace(document, serial, held, None)

    def next_serial(self) -> int:
        """Return a serial higher than everything that was ever here, as far as the tables tell."""
        rows = self._rows(
            "SELECT max(serial) FROM (SELECT serial FROM states WHERE workspace = %(w)s UNION ALL "
            "SELECT serial FROM history WHERE workspace = %(w)s UNION ALL "
            "SELECT serial FROM log WHERE workspace = %(w)s) every",
            {"w": self._workspace},
        )
        return int(rows[0][0] or 0) + 1 if rows else 1

    def keep_history(self, serial: int, document: bytes) -> str:
        """Keep a snapshot of another store that moves here; return its key."""
        common.check_serial(document, serial)
        self.check()
        key = common.snapshot_key(serial, document)
        self._link.write(
            [
                (
                    "INSERT INTO history (workspace, serial, key, document) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    (self._workspace, serial, key, common.pack(document)),
                )
            ]
        )
        return key

    def history(self) -> list[tuple[int, str]]:
        """Return (serial, key) of kept snapshots, newest first."""
        return self._rows(
            "SELECT serial, key FROM history WHERE workspace = %s ORDER BY serial DESC, key DESC", (self._workspace,)
        )

    def read_history(self, key: str) -> bytes:
        """Return a kept snapshot. Raises: StoreDamaged."""
        rows = self._rows(
            "SELECT document FROM history WHERE workspace = %s AND key = %s",
            (self._workspace, common.check_snapshot_key(key)),
        )
        if not rows:
            raise StoreDamaged("No such snapshot", f"The history holds no {key}.")
        return common.unpack(bytes(rows[0][0]), key)

    def pin(self, key: str) -> None:
        """Keep a snapshot for ever. Raises: StoreDamaged when it is absent or not whole."""
        self.read_history(key)
        self._link.write(
            [("UPDATE history SET pinned = true WHERE workspace = %s AND key = %s", (self._workspace, key))]
        )

    def pinned(self) -> list[str]:
        """Return the keys of snapshots that are kept for ever."""
        return [
            key for (key,) in self._rows("SELECT key FROM history WHERE workspace = %s AND pinned", (self._workspace,))
        ]

    def workspaces(self) -> list[str]:
        """Return the workspaces that have a state in this schema."""
        found = self._rows("SELECT workspace FROM states ORDER BY 1")
        return [name for (name,) in found]

    def remove(self, lock: Lock) -> None:
        """Remove this workspace, its history included; its lock goes with it. Raises: Conflict, StoreError."""
        held = _ours(lock)
        with self._mutex, writing(held):
            ours = "DELETE FROM states WHERE workspace = %s AND fence = %s AND condition = 'held'"
            every = ("DELETE FROM log WHERE workspace = %s", "DELETE FROM history WHERE workspace = %s",
                     "DELETE FROM blobs WHERE workspace = %s")  # fmt: skip
            rest = [(text, (self._workspace,)) for text in every]
            if not self._link.write([(ours, (self._workspace, held.fence)), *rest], lambda: not self.exists()):
                raise leases.taken_away()
            held.lose()

    def lock(self, holder: Holder, timeout: float) -> LeaseLock:
        """Take the lock within `timeout` seconds. Raises: LockHeld, StoreError."""
        if not self._link.has_tables():
            raise self._none()
        self._row.ensure()
        lock = leases.take(self._row, holder, timeout, self._stale_after)
        self._row.courtesy(_ADVISORY, f"{self._link.schema}/{self._workspace}")
        rows = self._rows("SELECT serial, appended FROM states WHERE workspace = %s", (self._workspace,))
        lock.facts = {rows[0][0]: rows[0][1]} if rows else {}
        return lock

    def holder(self) -> Holder | None:
        """Return who holds the lock now, None when nobody does."""
        note = self._row.read()[0] if self._link.has_tables() else None
        return note.holder if note is not None and note.condition == "held" else None

    def break_lock(self) -> Holder | None:
        """Take the lock away from its holder; return who it was, None when nobody held it."""
        if not self._link.has_tables():
            raise self._none()
        self._row.ensure()
        return leases.take_away(self._row)[1]

    def put_blob(self, key: str, data: bytes) -> None:
        """Store `data` under a content key. Raises: StoreError."""
        common.check_blob_key(key, data)
        self.check()  # blobs of a state that moves here come before its first document
        insert = "INSERT INTO blobs (workspace, key, data) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
        self._link.write([(insert, (self._workspace, key, data))])

    def get_blob(self, key: str) -> bytes | None:
        """Return a blob, or None. Raises: StoreDamaged."""
        rows = self._rows(
            "SELECT data FROM blobs WHERE workspace = %s AND key = %s", (self._workspace, common.check_blob_key(key))
        )
        data = bytes(rows[0][0]) if rows else None
        if data is not None and not common.blob_matches(key, data):
            raise StoreDamaged("Blob is damaged", f"{key} holds other bytes than were stored.")
        return data

    def blobs(self) -> Iterator[str]:
        """Yield the keys of all blobs."""
        for (key,) in self._rows("SELECT key FROM blobs WHERE workspace = %s", (self._workspace,)):
            yield key


def _ours(lock: Lock) -> LeaseLock:
    if not isinstance(lock, LeaseLock) or not isinstance(lock.facts, dict):
        raise StoreError("Wrong lock", "The lock belongs to another kind of store.")
    return lock
