"""Send requests to an endpoint at a steady rate and count every single one: who answered, how, how fast, and what got no answer.

Open loop: requests leave on schedule whether or not earlier ones were answered, and latency counts from the schedule, so that a slow
server cannot hide by slowing the client down. A request that gets no answer is lost; nothing is retried.

    python tools/load.py http://127.0.0.1:8080/predict --bodies rows.jsonl --rate 300 --seconds 60

Prints one JSON document at the end, on SIGTERM and on Ctrl-C. For tests: `run_load`, and `Load` for a thread.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

VERSION_HEADER = "x-mlplan-model-version"
NO_VERSION = "(none)"
_MOST_CONNECTIONS = 512
_MOST_PROBLEMS = 5
_QUANTILES = (0.5, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class LoadResult:
    """What became of the requests: `sent` = `answered` + `lost`.

    versions: by version header and status code. problems: why the first lost ones were lost. Units: `seconds`; `latency`
    milliseconds by quantile as "p95".
    """

    sent: int
    answered: int
    lost: int
    seconds: float
    codes: Mapping[str, int]
    versions: Mapping[str, Mapping[str, int]]
    latency: Mapping[str, float]
    problems: Sequence[str] = field(default_factory=tuple)

    def answers_of(self, version: str) -> int:
        """Return how many answers carried a version."""
        return sum(self.versions.get(version, {}).values())


@dataclass(frozen=True)
class _Answer:
    code: int
    version: str
    keep: bool


class _Client:
    """HTTP/1.1 over kept connections, just enough to post JSON and read an answer."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"{url}: only http:// URLs can be loaded")
        self._host, self._port = parts.hostname, parts.port or 80
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout = timeout
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._free = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def post(self, body: bytes) -> _Answer:
        """Post one body and return the answer. Raises OSError, EOFError, ValueError or TimeoutError when there is none."""
        async with self._free, asyncio.timeout(self._timeout):
            connection = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
            try:
                answer = await self._exchange(*connection, body)
            except BaseException:
                connection[1].close()
                raise
            if answer.keep:
                self._idle.append(connection)
            else:
                connection[1].close()
            return answer

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> _Answer:
        head = (
            f"POST {self._path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        code = int(lines[0].split(" ", 2)[1])
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        await _read_body(reader, headers)
        version = headers.get(VERSION_HEADER, NO_VERSION)
        return _Answer(code, version, headers.get("connection", "").lower() != "close")

    async def close(self) -> None:
        """Close what is open."""
        for _, writer in self._idle:
            writer.close()
        for _, writer in self._idle:
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> None:
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int((await reader.readline()).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(headers.get("content-length", "0")))


class _Tally:
    """Counts while requests are under way."""

    def __init__(self) -> None:
        self.sent = 0
        self.lost = 0
        self.answers: Counter[tuple[str, int]] = Counter()
        self.latencies: list[float] = []
        self.problems: list[str] = []

    async def one(self, client: _Client, body: bytes, due: float) -> None:
        try:
            answer = await client.post(body)
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError) as error:
            self.lost += 1
            if len(self.problems) < _MOST_PROBLEMS:
                self.problems.append(f"{type(error).__name__}: {error}")
        else:
            self.answers[answer.version, answer.code] += 1
            self.latencies.append((time.monotonic() - due) * 1000)

    def result(self, seconds: float) -> LoadResult:
        codes: Counter[str] = Counter()
        versions: dict[str, dict[str, int]] = {}
        for (version, code), count in sorted(self.answers.items()):
            codes[str(code)] += count
            versions.setdefault(version, {})[str(code)] = count
        ordered = sorted(self.latencies)
        latency = {f"p{quantile * 100:g}": round(_quantile(ordered, quantile), 3) for quantile in _QUANTILES if ordered}
        answered = sum(self.answers.values())
        return LoadResult(
            self.sent, answered, self.lost, round(seconds, 3), dict(codes), versions, latency, tuple(self.problems)
        )


def _quantile(ordered: Sequence[float], quantile: float) -> float:
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]


async def _run(
    url: str,
    bodies: Sequence[bytes],
    rate: Callable[[], float],
    seconds: float | None,
    stop: threading.Event,
    timeout: float,
) -> LoadResult:
    client, tally = _Client(url, timeout), _Tally()
    under_way: set[asyncio.Task[None]] = set()
    due = started = time.monotonic()
    while not stop.is_set() and (seconds is None or due < started + seconds):
        await asyncio.sleep(min(0.1, max(0.0, due - time.monotonic())))
        if time.monotonic() < due:
            continue  # a long pause at a low rate: look at `stop` now and then
        task = asyncio.create_task(tally.one(client, bodies[tally.sent % len(bodies)], due))
        tally.sent += 1
        due += 1 / rate()
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    if under_way:
        await asyncio.wait(under_way)
    await client.close()
    return tally.result(time.monotonic() - started)


def run_load(
    url: str,
    bodies: Sequence[bytes],
    rate: float,
    *,
    seconds: float | None = None,
    stop: threading.Event | None = None,
    timeout: float = 10.0,
) -> LoadResult:
    """Post `bodies`, again from the first after the last, until `seconds` are over or `stop` is set; wait for the last answers.

    Units: `rate` requests a second, `timeout` seconds a request.
    """
    if not bodies or rate <= 0:
        raise ValueError("a load needs at least one body and a rate above zero")
    return asyncio.run(_run(url, bodies, lambda: rate, seconds, stop or threading.Event(), timeout))


class Load:
    """A load in a thread: `with Load(url, bodies, 200) as load: ...`, then `load.result`. rate: may be set while it runs."""

    def __init__(self, url: str, bodies: Sequence[bytes], rate: float, timeout: float = 10.0) -> None:
        self.result: LoadResult | None = None
        self.rate = rate
        self._stop = threading.Event()
        self._url, self._bodies = url, bodies
        self._timeout = timeout
        self._thread = threading.Thread(target=self._work, name="load")

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        self.result = asyncio.run(_run(self._url, self._bodies, lambda: self.rate, None, self._stop, self._timeout))


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; exit 1 when a request was lost."""
    parser = argparse.ArgumentParser(description="Post JSON bodies to a URL at a steady rate and count every answer.")
    parser.add_argument("url")
    parser.add_argument("--bodies", type=Path, required=True, help="a file with one JSON body a line")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--seconds", type=float, help="how long; without it until SIGTERM or Ctrl-C")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds after which a request is lost")
    parser.add_argument("--out", type=Path, help="write the result there too")
    arguments = parser.parse_args(argv)
    bodies = [line for line in arguments.bodies.read_bytes().splitlines() if line.strip()]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    result = run_load(
        arguments.url, bodies, arguments.rate, seconds=arguments.seconds, stop=stop, timeout=arguments.timeout
    )
    text = json.dumps(asdict(result), indent=1)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    print(text)
    return 1 if result.lost else 0


if __name__ == "__main__":
    sys.exit(main())
