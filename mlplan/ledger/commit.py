"""Group commit: threads hand in entries, one of them writes for all that wait, all return when their entry is durable.

Entries of one address follow each other strictly; entries of different addresses share an append. The state shows
only what is durable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from mlplan.ledger.journal import Entry, Writer
from mlplan.ledger.records import Operation, Record, State
from mlplan.ledger.replay import Builder
from mlplan.spi.store import Lock, Store, StoreError

MOST_BYTES = 4 * 2**20
"""Of one append: bounds what a single request to a remote store carries."""


class Commit:
    """The writing end of one journal."""

    def __init__(
        self,
        store: Store,
        serial: int,
        seed: str,
        lock: Lock,
        builder: Builder,
        rescue: Callable[[Sequence[Entry]], str] | None = None,
    ) -> None:
        self.closed = False
        self._store = store
        self._serial = serial
        self._fence = lock
        self._builder = builder
        self._writer = Writer(seed)
        self._condition = threading.Condition()
        self._queue: list[tuple[Entry, str, bytes]] = []
        self._busy: set[str] = set()
        self._queued = 0
        self._durable = 0
        self._writing = False
        self._error: BaseException | None = None
        self._rescue = rescue

    def state(self) -> State:
        """Return the state with all durable entries."""
        with self._condition:
            return self._builder.freeze()

    def record(self, address: str) -> Record | None:
        """Return the durable record at an address."""
        with self._condition:
            return self._builder.record(address)

    def operation(self, address: str) -> Operation | None:
        """Return the open intent at an address."""
        with self._condition:
            return self._builder.operation(address)

    def close(self) -> State:
        """Refuse further entries; return the last state."""
        with self._condition:
            self.closed = True
            return self._builder.freeze()

    def write(self, entry: Entry, address: str) -> None:
        """Return when `entry` is durable. Raises: LedgerMisuse, ValueError (nothing was written),
        StoreError (the session is over).
        """
        with self._condition:
            while address and address in self._busy and self._error is None:
                self._condition.wait()
            if isinstance(self._error, StoreError) and not self.closed:
                self._rescued([entry])  # it happened all the same, only the store does not know
            self._refuse_if_over()
            self._builder.check(entry)
            line = self._writer.line(entry, self._durable)
            self._queue.append((entry, address, line))
            self._busy.add(address)
            self._queued += 1
            number = self._queued
            while self._durable < number:
                if self._error is not None:
                    raise StoreError(
                        "State could not be written", f"An earlier write failed: {self._error}"
                    ) from self._error
                if self._writing:
                    self._condition.wait()
                else:
                    self._lead()

    def _refuse_if_over(self) -> None:
        if self._error is not None:
            raise StoreError("State could not be written", f"An earlier write failed: {self._error}") from self._error
        if self.closed:
            raise StoreError("State could not be written", "The run has ended.")

    def _lead(self) -> None:
        """Write what is queued, for everybody. Called with the condition held; lets go of it while the store works."""
        batch = self._take()
        self._writing = True
        self._condition.release()
        error: BaseException | None = None
        try:
            self._store.append(self._serial, b"\n".join(line for _, _, line in batch), self._fence)
        except StoreError as problem:
            error = problem
            left, self._queue = self._queue, []
            note = self._rescued([entry for entry, _, _ in (*batch, *left)])
            if note:
                problem.detail = f"{problem.detail} {note}".strip()
                problem.args = (f"{problem.summary}: {problem.detail}",)
            raise
        except BaseException as problem:  # also Ctrl-C: nobody knows how much was written, so the session is over
            error = problem
            raise
        finally:
            self._condition.acquire()
            self._writing = False
            self._error = error
            for entry, address, _ in batch:
                self._busy.discard(address)
                if error is None:
                    self._builder.apply(entry)
                    self._durable += 1
            self._condition.notify_all()

    def _rescued(self, entries: list[Entry]) -> str:
        """Keep entries that the store did not take; return where, in words."""
        return self._rescue(entries) if self._rescue is not None else ""

    def _take(self) -> list[tuple[Entry, str, bytes]]:
        size = count = 0
        while count < len(self._queue) and size < MOST_BYTES:
            size += len(self._queue[count][2]) + 1
            count += 1
        batch, self._queue = self._queue[:count], self._queue[count:]
        return batch
