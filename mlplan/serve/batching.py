"""One model thread and the queue before it.

Requests that wait together are predicted together; a full queue refuses at once.

One thread, since a scikit-learn model holds the interpreter lock most of the time: more would only make each other
late.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlplan.serve.contract import Values
from mlplan.serve.problems import RequestProblem

log = logging.getLogger("mlplan.serve")

Outputs = Mapping[str, list[Any]]
Predict = Callable[[Values, int], Outputs]
"""Column values and the number of rows to plain values by output."""


@dataclass(slots=True)
class _Item:
    values: Values
    rows: int
    future: asyncio.Future[Outputs]
    deadline: float
    request_id: str


class Batcher:
    """Gives rows to the model and answers back to the event loop.

    Units: `max_batch`, `max_queue` rows; `max_wait` seconds. on_batch: called with the rows of each batch, on the model
    thread.
    """

    def __init__(
        self,
        predict: Predict,
        max_batch: int,
        max_queue: int,
        max_wait: float,
        on_batch: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._predict = predict
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._max_wait = max_wait
        self._on_batch = on_batch
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._waiting = 0  # rows; changed on the event loop alone
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Return the rows that were submitted and not answered."""
        return self._waiting

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the model thread, which answers to `loop`."""
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Let the thread finish what is queued. timeout: seconds."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout)

    def submit(self, values: Values, rows: int, deadline: float, request_id: str) -> asyncio.Future[Outputs]:
        """Queue rows; on the event loop. deadline: in `time.monotonic`.

        Raises: RequestProblem 503 when the queue is full.
        """
        assert self._loop is not None, "started"
        if self._waiting and self._waiting + rows > self._max_queue:
            raise RequestProblem(503, "overloaded", "Too many rows are waiting; try again shortly.", retry_after=1)
        self._waiting += rows
        future: asyncio.Future[Outputs] = self._loop.create_future()
        self._queue.put(_Item(values, rows, future, deadline, request_id))
        return future

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            items, ended = self._collect(first)
            self._answer(items)
            if ended:
                return

    def _collect(self, first: _Item) -> tuple[list[_Item], bool]:
        """Return the items of one batch, and whether the end was met."""
        items, rows = [first], first.rows
        until = time.monotonic() + self._max_wait
        while rows < self._max_batch:
            try:
                left = until - time.monotonic() if self._max_wait else 0.0
                item = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return items, True
            items.append(item)
            rows += item.rows
        return items, False

    def _answer(self, items: Sequence[_Item]) -> None:
        now = time.monotonic()
        wanted = [item for item in items if item.deadline > now and not item.future.cancelled()]
        answers: list[Outputs | BaseException | None] = []
        if wanted:
            try:
                answers = list(self._together(wanted))
            except BaseException as error:  # a model may raise anything, and the thread must live
                # one bad row must not fail the requests it happened to wait with
                answers = [error] if len(wanted) == 1 else [self._alone(item) for item in wanted]
        by_item = dict(zip(map(id, wanted), answers, strict=True))
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._deliver, [(item, by_item.get(id(item))) for item in items])
        except RuntimeError:  # the loop is closed: the server has ended, nobody waits
            log.info("answers to %d requests came after the end", len(items))

    def _together(self, items: Sequence[_Item]) -> list[Outputs]:
        rows = sum(item.rows for item in items)
        self._on_batch(rows)
        if len(items) == 1:
            return [self._predict(items[0].values, rows)]
        values: Values = {name: [v for item in items for v in item.values[name]] for name in items[0].values}
        outputs = self._predict(values, rows)
        parts: list[Outputs] = []
        start = 0
        for item in items:
            parts.append({name: column[start : start + item.rows] for name, column in outputs.items()})
            start += item.rows
        return parts

    def _alone(self, item: _Item) -> Outputs | BaseException:
        try:
            return self._together([item])[0]
        except BaseException as error:
            return error

    def _deliver(self, answered: Sequence[tuple[_Item, Outputs | BaseException | None]]) -> None:
        for item, answer in answered:
            self._waiting -= item.rows
            if item.future.done():  # the client gave up, or the deadline passed
                continue
            if answer is None:
                item.future.set_exception(
                    RequestProblem(504, "deadline", "The request waited longer than its deadline.")
                )
            elif isinstance(answer, RequestProblem):
                item.future.set_exception(answer)
            elif isinstance(answer, BaseException):
                trace = (type(answer), answer, answer.__traceback__)
                log.error("the model failed on request %s", item.request_id, exc_info=trace)
                problem = RequestProblem(
                    500, "model-failed", "The model could not answer this request; the server's log says why."
                )
                item.future.set_exception(problem)
            else:
                item.future.set_result(answer)
