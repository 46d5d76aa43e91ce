"""The queue before the model."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mlplan.serve.batching import Batcher
from mlplan.serve.problems import RequestProblem


class Model:
    """Doubles; remembers batch sizes; can be held, and raises on 13."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.busy = threading.Event()

    def __call__(self, values: Any, rows: int) -> dict[str, list[Any]]:
        self.busy.set()
        assert self.go.wait(10)
        assert len(values["x"]) == rows
        self.batches.append(rows)
        if 13 in values["x"]:
            raise ValueError("13")
        return {"prediction": [2 * value for value in values["x"]]}


def run(test: Callable[[Batcher, Model], Awaitable[None]], **settings: Any) -> Model:
    model = Model()
    batcher = Batcher(model, **{"max_batch": 64, "max_queue": 100, "max_wait": 0.0, **settings})

    async def main() -> None:
        batcher.start(asyncio.get_running_loop())
        await test(batcher, model)

    asyncio.run(main())
    batcher.stop(5)
    return model


def submit(batcher: Batcher, *values: int, within: float = 10.0) -> asyncio.Future[Any]:
    return batcher.submit({"x": values}, len(values), time.monotonic() + within, "r")


async def held(batcher: Batcher, model: Model) -> asyncio.Future[Any]:
    """Occupy the model thread with a request of its own."""
    model.go.clear()
    first = submit(batcher, 0)
    await asyncio.to_thread(model.busy.wait, 10)
    return first


def test_what_waits_together_is_predicted_together_and_answers_go_to_their_own() -> None:
    async def test(batcher: Batcher, model: Model) -> None:
        first = await held(batcher, model)
        waiting = [submit(batcher, number, number + 1) for number in range(1, 11)]
        model.go.set()
        assert await first == {"prediction": [0]}
        for number, future in enumerate(waiting, start=1):
            assert await future == {"prediction": [2 * number, 2 * number + 2]}
        assert batcher.waiting == 0

    assert run(test).batches == [1, 20]


def test_a_batch_has_a_size() -> None:
    async def test(batcher: Batcher, model: Model) -> None:
        first = await held(batcher, model)
        waiting = [submit(batcher, 1, 2) for _ in range(5)]
        model.go.set()
        await asyncio.gather(first, *waiting)

    assert run(test, max_batch=4).batches == [1, 4, 4, 2]


def test_one_bad_row_fails_alone() -> None:
    async def test(batcher: Batcher, model: Model) -> None:
        first = await held(batcher, model)
        good, bad = submit(batcher, 1), submit(batcher, 13)
        model.go.set()
        await first
        assert await good == {"prediction": [2]}
        with pytest.raises(RequestProblem, match="log says why") as caught:
            await bad
        assert caught.value.status == 500
        assert await submit(batcher, 3) == {"prediction": [6]}, "the thread lives on"

    run(test)


def test_a_full_queue_refuses_at_once_but_one_large_request_fits_an_empty_one() -> None:
    async def test(batcher: Batcher, model: Model) -> None:
        first = await held(batcher, model)
        waiting = submit(batcher, 1, 2)
        with pytest.raises(RequestProblem) as caught:
            submit(batcher, 3)
        assert (caught.value.status, caught.value.retry_after) == (503, 1)
        model.go.set()
        await asyncio.gather(first, waiting)
        assert len((await submit(batcher, *range(9)))["prediction"]) == 9

    run(test, max_queue=3)


def test_what_waited_too_long_is_not_predicted() -> None:
    async def test(batcher: Batcher, model: Model) -> None:
        first = await held(batcher, model)
        late = submit(batcher, 5, within=-1)
        model.go.set()
        await first
        with pytest.raises(RequestProblem) as caught:
            await late
        assert caught.value.status == 504

    assert run(test).batches == [1]


def test_waiting_a_moment_collects_more_rows() -> None:
    async def test(batcher: Batcher, model: Model) -> None:
        first = submit(batcher, 1)
        await asyncio.sleep(0.05)
        await asyncio.gather(first, submit(batcher, 2))

    assert run(test, max_wait=0.5, max_batch=2).batches == [2]
