"""The note of the lock as columns of the state's row. It has a connection of its own, so that the heart beats while the
store writes."""

from __future__ import annotations

import json
from typing import Any

from mlplan_state.leases import Note
from mlplan_state.postgres_link import Link


class LockRow:
    """Fence and condition stand in columns, for the statements of the store; the rest is JSON beside them."""

    def __init__(self, link: Link, workspace: str) -> None:
        self._link = link
        self._workspace = workspace

    def ensure(self) -> None:
        """Make the row when it was lost, so that a repair can be locked; its head stays unreadable."""
        self._link.write(
            [
                (
                    "INSERT INTO states (workspace, serial, key, tag) SELECT %s, -1, '', '' WHERE EXISTS "
                    "(SELECT 1 FROM history WHERE workspace = %s) ON CONFLICT DO NOTHING",
                    (self._workspace, self._workspace),
                )
            ]
        )

    def read(self) -> tuple[Note | None, Any]:
        """Return the note; its mark is fence, condition and the JSON as it stands."""
        rows = self._link.rows("SELECT fence, condition, note FROM states WHERE workspace = %s", (self._workspace,))
        if not rows:
            return None, None
        fence, condition, document = rows[0]
        try:
            note = Note.from_json({**(document or {"beat": 0, "holder": None, "origin": "", "nonce": ""}),
                                   "fence": fence, "condition": condition})  # fmt: skip
        except (KeyError, TypeError, ValueError):
            note = Note("broken", fence, 0, None)
        return note, (fence, condition, json.dumps(document))

    def write(self, note: Note, mark: Any) -> Any:
        """Replace the note if it is still `mark`."""
        if mark is None:
            return None  # there is no row: `ensure` found no state
        document = note.to_json()
        fence, condition = document.pop("fence"), document.pop("condition")
        text = json.dumps(document)
        update = (
            "UPDATE states SET fence = %s, condition = %s, note = %s::jsonb WHERE workspace = %s AND fence = %s "
            "AND condition = %s AND coalesce(note, 'null'::jsonb) = %s::jsonb",
            (fence, condition, text, self._workspace, *mark),
        )
        new = (fence, condition, text)
        return new if self._link.write([update], lambda: self.read()[0] == note) else None

    def courtesy(self, group: int, name: str) -> None:
        """Take the advisory lock if it is free; it shows in pg_locks, and ends with the connection."""
        self._link.rows("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (group, name))
