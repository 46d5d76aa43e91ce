"""Looks at data in a process of its own, with limits on memory and time: a file that is damaged or made to hurt ends that
process, and becomes a diagnostic, not the end of a plan.

The process is started once and serves one request after the other; it leaves when its input ends. `inside` is its side.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplan.data.contract import Contract
from mlplan.data.engine import memory_limit
from mlplan.data.findings import Finder
from mlplan.data.scan import CheckReport, Referenced, check
from mlplan.data.snapshot import Snapshot
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.evidence import Evidence

TIME_SETTING = "MLPLAN_DATA_TIME"
_LONGEST = 6 * 3600.0
"""Seconds that one check may take."""

_OVERHEAD = 2**30
"""Bytes beside the engine's own limit: the interpreter, its libraries, buffers of files that are read."""


class ChildEnded(Exception):  # noqa: N818  (it tells what happened)
    """The process ended, or had to be ended, before it answered; the message is a sentence for people."""


_idle: list[subprocess.Popen[bytes]] = []
_lock = threading.Lock()


def check_apart(
    contract: Contract,
    snapshot: Snapshot,
    root: Path,
    *,
    now: float,
    cache: Path | None = None,
    references: Mapping[str, Referenced] | None = None,
    previous_rows: Sequence[int] = (),
) -> CheckReport:
    """Return what `scan.check` returns, found by a process of its own. Spark has processes of its own anyway."""
    more: dict[str, Any] = {
        "now": now, "cache": cache, "references": dict(references or {}), "previous_rows": previous_rows,
    }  # fmt: skip
    if contract.engine != "duckdb":
        return check(contract, snapshot, root, **more)
    try:
        answer = _ask({"contract": contract, "snapshot": snapshot, "root": root, **more})
    except ChildEnded as ended:
        inputs = {"snapshot": snapshot.digest, "contract": contract.digest()}
        error = Finder(contract, inputs, now).error(f"{contract.address}.source", "the data can be read", str(ended))
        return CheckReport((error,), None, None, 0.0)
    if answer.get("problems"):
        raise DiagnosticError(*(Diagnostic(**problem) for problem in answer["problems"]))
    evidence = tuple(Evidence.from_json(document) for document in answer.pop("evidence"))
    return CheckReport(evidence, **answer)


def stop() -> None:
    """End the processes that wait for work."""
    while _idle:
        _end(_idle.pop())


atexit.register(stop)


def _ask(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to one request. Raises ChildEnded."""
    process = _take()
    try:
        assert process.stdin is not None
        message = pickle.dumps(request)
        process.stdin.write(len(message).to_bytes(8, "big") + message)
        process.stdin.flush()
        answer = _answer(process, _seconds())
    except BaseException as error:
        code = _end(process)
        if isinstance(error, BrokenPipeError | EOFError):
            raise ChildEnded(_why(code)) from error
        raise
    with _lock:
        _idle.append(process)
    return answer


def _answer(process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
    assert process.stdout is not None
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        if not ready.select(seconds):
            raise ChildEnded(f"Reading it took more than {seconds:g} seconds. Set {TIME_SETTING} to allow more.")
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    answer: dict[str, Any] = json.loads(line)
    return answer


def _take() -> subprocess.Popen[bytes]:
    limit = memory_limit()
    with _lock:
        while _idle:
            process = _idle.pop()
            if process.poll() is None and process.args[-1] == str(limit + _OVERHEAD):  # type: ignore[index]
                return process
            _end(process)
    command = [sys.executable, "-m", "mlplan.data.inside", str(limit + _OVERHEAD)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603


def _end(process: subprocess.Popen[bytes]) -> int:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except BrokenPipeError:
            continue
    return process.wait()


def _seconds() -> float:
    text = os.environ.get(TIME_SETTING, "").strip()
    try:
        seconds = float(text) if text else _LONGEST
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        detail = f'{TIME_SETTING} is "{text}". Write a number of seconds, such as 600.'
        raise DiagnosticError(Diagnostic("invalid-time-setting", "Invalid time setting", detail))
    return seconds


def _why(code: int) -> str:
    if code == -signal.SIGKILL:
        return "The process that read it was ended from outside, most likely for want of memory."
    if code < 0:
        name = signal.Signals(-code).name
        return f"The process that read it ended with {name}: a file is damaged, or made to do that. Look where it comes from."
    return "The process that read it ended before it answered, most likely for want of memory."
