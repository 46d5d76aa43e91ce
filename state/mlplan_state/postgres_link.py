"""The one seam to PostgreSQL: statements over a connection that is made again when it was cut, and errors in people's words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from mlplan.spi.store import StoreError

WAITS = (0.1, 0.3, 1.0, 2.0, 4.0)
"""Seconds before each new try after the connection was cut."""

TABLES = """
CREATE TABLE IF NOT EXISTS states (
  workspace text PRIMARY KEY, serial bigint NOT NULL, key text NOT NULL, tag text NOT NULL,
  appended bigint NOT NULL DEFAULT 0, fence bigint NOT NULL DEFAULT 0, condition text NOT NULL DEFAULT 'free',
  note jsonb);
CREATE TABLE IF NOT EXISTS log (
  workspace text, serial bigint, number bigint, lines bytea NOT NULL, digest text NOT NULL,
  PRIMARY KEY (workspace, serial, number));
CREATE TABLE IF NOT EXISTS history (
  workspace text, key text, serial bigint NOT NULL, document bytea NOT NULL, written timestamptz NOT NULL DEFAULT now(),
  pinned boolean NOT NULL DEFAULT false, PRIMARY KEY (workspace, key));
CREATE TABLE IF NOT EXISTS blobs (
  workspace text, key text, data bytea NOT NULL, PRIMARY KEY (workspace, key));
CREATE TABLE IF NOT EXISTS damaged (
  workspace text NOT NULL, at timestamptz NOT NULL DEFAULT now(), what json NOT NULL);
"""

Statement = tuple[str, Sequence[Any]]
Answer = TypeVar("Answer")


class Link:
    """Statements in one schema, one at a time. Thread-safe."""

    def __init__(self, conn_str: str, schema: str) -> None:
        import psycopg

        self.schema = schema
        self._psycopg = psycopg
        self._conn_str = conn_str
        self._mutex = threading.RLock()
        self._connection: Any = None
        self._tables = False

    def __del__(self) -> None:
        connection, self._connection = getattr(self, "_connection", None), None
        if connection is not None:
            connection.close()

    def rows(self, text: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Return the rows of a query, asking again when the connection is cut. Raises: StoreError."""
        return self._again(lambda: list(self._open().execute(text, values).fetchall()))

    def write(self, statements: Sequence[Statement], arrived: Callable[[], bool] | None = None) -> bool:
        """Carry out statements in one transaction; return whether the first touched just one row, and undo all when it did
        not. arrived: tells, after an answer was lost, whether the transaction had been committed; None: doing it twice is
        fine, and so is any number of rows. Raises: StoreError.
        """
        unsure = False

        def attempt() -> bool:
            nonlocal unsure
            if unsure and arrived is not None and arrived():
                return True
            connection = self._open()
            unsure = True
            with connection.transaction():
                for position, (text, values) in enumerate(statements):
                    touched = connection.execute(text, values).rowcount
                    if position == 0 and arrived is not None and touched != 1:
                        raise self._psycopg.Rollback()
                return True
            return False

        return self._again(attempt)

    def has_tables(self) -> bool:
        """Tell whether the tables are there."""
        if not self._tables:
            self._tables = bool(self.rows("SELECT to_regclass(%s)", (f'"{self.schema}".damaged',))[0][0])
        return self._tables

    def make_tables(self) -> None:
        """Make schema and tables unless they are there. Raises: StoreError."""
        if self.has_tables():
            return
        statements: list[Statement] = [
            ("SELECT pg_advisory_xact_lock(hashtext('mlplan'), hashtext(%s))", (self.schema,))
        ]
        statements += [(f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"', ())]
        statements += [(text, ()) for text in TABLES.split(";") if text.strip()]
        self.write(statements)

    def _open(self) -> Any:
        if self._connection is None or self._connection.closed:
            self._connection = self._psycopg.connect(
                self._conn_str, autocommit=True, connect_timeout=10, application_name="mlplan",
                keepalives_idle=30, keepalives_interval=10, keepalives_count=3,
            )  # fmt: skip
            self._connection.execute("SELECT set_config('search_path', %s, false)", (f'"{self.schema}"',))
            # An append that was acknowledged is on the server's disk, whatever the database's default is.
            self._connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            )
        return self._connection

    def _again(self, attempt: Callable[[], Answer]) -> Answer:
        with self._mutex:
            for wait in (*WAITS, None):
                try:
                    return attempt()
                except self._psycopg.Error as error:
                    cut = self._connection is None or self._connection.closed or _of_the_line(error)
                    if self._connection is not None and cut:
                        self._connection.close()
                        self._connection = None
                    if wait is None or not cut or _refuses(error):
                        raise self._explained(error, cut) from error
                time.sleep(wait)
        raise AssertionError("unreachable: the last try returns or raises")

    def _explained(self, error: Exception, cut: bool) -> StoreError:
        reason = " ".join(str(error).split())[:300]
        if _refuses(error):
            return StoreError(
                "The store refuses the credentials", f"PostgreSQL: {reason}. Look at conn_str, PGUSER and PGPASSWORD."
            )
        if cut:
            return StoreError(
                "The store does not answer",
                f"PostgreSQL: {reason}. Nothing that was acknowledged is lost; run again when it answers.",
            )
        return StoreError("The store refuses", f"PostgreSQL: {reason}")


def _of_the_line(error: Exception) -> bool:
    """Tell whether the server went away or is going, rather than that it does not like the statement."""
    state = str(getattr(error, "sqlstate", None) or "")
    return state.startswith(("08", "57P")) or (
        not state and type(error).__name__ in ("OperationalError", "InterfaceError")
    )


def _refuses(error: Exception) -> bool:
    state = str(getattr(error, "sqlstate", None) or "")
    text = str(error)
    return (
        state in ("28000", "28P01", "42501")
        or "password authentication failed" in text
        or "no password supplied" in text
    )
