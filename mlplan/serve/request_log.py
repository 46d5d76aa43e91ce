"""The prediction log: what was asked and answered, one JSON line a row, written by a thread of its own.

The request path only appends to a bounded queue (well under a microsecond); when the disk is slower than the traffic,
requests are dropped from the log and counted, never delayed. Files in the folder: `current-<version>-<pid>.jsonl` grows
by whole lines (a reader ignores a last line without its end), and is renamed to `<version>-<first
second>-<pid>-<number>.jsonl` by size or age. Contract columns only; columns marked `pii` are never in it.
"""

from __future__ import annotations

import io
import logging
import os
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

log = logging.getLogger("mlplan.serve")

_PAUSE = 0.1
_FULL = 2**32
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered request. at: seconds since the epoch. values, outputs: one value a row by name."""

    at: float
    request_id: str
    values: Mapping[str, Sequence[Any]]
    outputs: Mapping[str, Sequence[Any]]
    rows: int


class RequestLog:
    """Writes entries to rotated files. Units: `rotate_bytes` bytes, `rotate_seconds` seconds, `capacity` requests."""

    def __init__(
        self,
        folder: Path,
        version: str,
        columns: Sequence[str],
        *,
        sample: float = 1.0,
        rotate_bytes: int = 64 * 2**20,
        rotate_seconds: float = 300.0,
        capacity: int = 20_000,
        on_drop: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._folder = folder
        self._version = version
        self._columns = tuple(columns)
        self._threshold = round(min(1.0, max(0.0, sample)) * _FULL)
        self._rotate_bytes = rotate_bytes
        self._rotate_seconds = rotate_seconds
        self._capacity = capacity
        self._on_drop = on_drop
        self._queue: deque[Entry] = deque()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        self._encoder = msgspec.json.Encoder()
        self._file: io.FileIO | None = None
        self._opened = 0.0
        self._size = 0
        self._number = 0
        self._complained = False

    def start(self) -> None:
        """Start the writing thread."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def add(self, entry: Entry) -> None:
        """Queue an entry if its request is in the sample; drop and count it when the queue is full."""
        if self._threshold < _FULL and zlib.crc32(entry.request_id.encode()) >= self._threshold:
            return
        if len(self._queue) >= self._capacity:
            self._on_drop(1)
            return
        self._queue.append(entry)

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued, close and rotate. timeout: seconds."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            ending = self._ending.wait(_PAUSE)
            self._write()
            if self._file is not None and (ending or self._is_due()):
                self._rotate()
            if ending:
                return

    def _write(self) -> None:
        while self._queue:
            entries = [self._queue.popleft() for _ in range(min(len(self._queue), _AT_ONCE))]
            try:
                self._append(b"".join(self._lines(entry) for entry in entries))
            except Exception as error:  # whatever it is, the thread must live, and answers do not depend on it
                self._on_drop(len(entries))
                if not self._complained:  # once: a full disk must not be filled further by complaints
                    self._complained = True
                    log.error("the prediction log cannot be written: %s; requests go on and count as dropped", error)
                return
            if self._size >= self._rotate_bytes:
                self._rotate()

    def _append(self, data: bytes) -> None:
        """Write whole lines or nothing. Raises: OSError."""
        if self._file is None:
            self._open()
        assert self._file is not None
        written = self._file.write(data)
        if written != len(data):  # the disk is full: half a line would spoil the one after it
            self._file.truncate(self._size)
            raise OSError(f"only {written} of {len(data)} bytes could be written")
        self._size += len(data)

    def _lines(self, entry: Entry) -> bytes:
        lines = []
        for row in range(entry.rows):
            line = {
                "at": entry.at,
                "request_id": entry.request_id,
                "version": self._version,
                "inputs": {name: entry.values[name][row] for name in self._columns},
                "outputs": {name: values[row] for name, values in entry.outputs.items()},
            }
            lines.append(self._encoder.encode(line) + b"\n")
        return b"".join(lines)

    def _current(self) -> Path:
        return self._folder / f"current-{self._version}-{os.getpid()}.jsonl"

    def _open(self) -> None:
        self._file = self._current().open("ab", buffering=0)  # unbuffered: a line that is counted is in the file
        self._opened = time.time()
        self._size = self._file.seek(0, os.SEEK_END)

    def _is_due(self) -> bool:
        return time.time() - self._opened >= self._rotate_seconds

    def _rotate(self) -> None:
        assert self._file is not None
        try:
            self._file.close()
            self._number += 1
            name = f"{self._version}-{int(self._opened)}-{os.getpid()}-{self._number}.jsonl"
            self._current().rename(self._folder / name)
        except OSError as error:
            log.error("the prediction log cannot be rotated: %s", error)
        finally:
            self._file = None
