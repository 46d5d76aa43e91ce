"""The supervisor of one job: starts it, writes its log without secrets, keeps its limits, ends all of it, says how it ended.

Runs as a helper process, one for each job, with the order in an anonymous memory file (secrets never touch a disk). It is
the reaper of everything the job starts, double forks included. It decides nothing else; `jobs` reads what it leaves:
`exit.json` {state, exit_code, reason, seconds}, `log`, and `log.1` when the output was long.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from mlplan_local.files import write_json
from mlplan_local.mask import Masker
from mlplan_local.process import children_of, memory_of, tree_of

EXIT = "exit.json"
LOG = "log"
GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_MOST_LOG = 32 * 1024 * 1024
_TICK = 0.1
_LOOK = 0.25
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPWR})
"""Signals that a program does not raise by a mistake of its own, as it does SIGSEGV or SIGABRT."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Log:
    """The job's output: secrets masked, at most two files of `most` bytes, the newest output always kept."""

    def __init__(self, path: Path, masker: Masker, most: int = _MOST_LOG) -> None:
        self._path, self._masker, self._most = path, masker, most
        self._file = path.open("ab", buffering=0)

    def write(self, chunk: bytes) -> None:
        """Append output of the job."""
        self._append(self._masker.feed(chunk))

    def note(self, text: str) -> None:
        """Append a line of our own, after what the job left unfinished."""
        self._append(self._masker.close() + f"\nmlplan: {text}\n".encode())

    def close(self) -> None:
        """Write what is held back."""
        self._append(self._masker.close())
        self._file.close()

    def _append(self, data: bytes) -> None:
        if self._file.tell() + len(data) > self._most and self._file.tell() > 0:
            self._file.close()
            os.replace(self._path, self._path.with_name(f"{self._path.name}.1"))
            self._file = self._path.open("ab", buffering=0)
            self._file.write(b"mlplan: the output is long; what came before is in log.1, older output was dropped\n")
        while data:
            data = data[self._file.write(data) :]


class Supervisor:
    """One job from start to end."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._folder = Path(order["folder"])
        self._log = Log(self._folder / LOG, Masker(order["secrets"].values()))
        self._started = time.monotonic()
        self._cancelled = False
        self._child = 0
        self._status: int | None = None
        self._pipe = -1
        self._next_look = 0.0

    def run(self) -> None:
        """Run the job to its end and write the exit file."""
        signal.signal(signal.SIGTERM, self._on_cancel)
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._start(libc)
        state, reason = self._watch()
        self._end_all()
        self._drain()
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        if not state:
            state, reason = ended_with(code)
        if reason and state != "succeeded":
            self._log.note(reason)
        self._log.close()
        seconds = round(time.monotonic() - self._started, 3)
        if state == "succeeded":
            self._sync(libc)
        write_json(self._folder / EXIT, {"state": state, "exit_code": code, "reason": reason, "seconds": seconds})

    def _sync(self, libc: ctypes.CDLL) -> None:
        """Make what the job wrote durable before its success is: after a power loss nobody must trust empty files."""
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            libc.syncfs(handle)
        finally:
            os.close(handle)

    def _on_cancel(self, number: int, frame: FrameType | None) -> None:
        self._cancelled = True

    def _start(self, libc: ctypes.CDLL) -> None:
        self._pipe, write_end = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            try:
                self._become(libc, write_end)
            except BaseException as error:
                os.write(2, f"mlplan: cannot start {self._order['command'][0]}: {error}\n".encode())
                os._exit(127)
        os.close(write_end)
        os.set_blocking(self._pipe, False)

    def _become(self, libc: ctypes.CDLL, write_end: int) -> None:
        os.setsid()
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a killed supervisor leaves no job running
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.dup2(write_end, 1)
        os.dup2(write_end, 2)
        memory = self._order["memory"]
        if memory is not None:
            # A backstop between two looks of the watch, which counts resident memory of the whole tree.
            resource.setrlimit(resource.RLIMIT_DATA, (2 * memory, 2 * memory))
        os.chdir(self._order["working_directory"])
        command = self._order["command"]
        os.execvpe(command[0], command, {**self._order["environment"], **self._order["secrets"]})  # noqa: S606

    def _watch(self) -> tuple[str, str]:
        """Wait for the end of the main process or of our patience; return state and reason, empty when it ended by itself."""
        timeout = self._order["timeout"]
        while not self._reap():
            self._read(_TICK)
            if self._cancelled:
                return "cancelled", "was cancelled"
            if time.monotonic() - self._started > timeout:
                return "timed_out", f"was still running after {timeout:g} s, the limit"
            over = self._over_memory()
            if over:
                return "failed", over
        return "", ""

    def _over_memory(self) -> str:
        limit = self._order["memory"]
        if limit is None or time.monotonic() < self._next_look:
            return ""
        self._next_look = time.monotonic() + _LOOK
        used = sum(memory_of(pid) for pid in tree_of(self._child))
        return f"used {used // 2**20} MiB of memory, the limit is {limit // 2**20} MiB" if used > limit else ""

    def _reap(self) -> bool:
        """Collect the dead, adopted ones too; return whether the main process is among them."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid == self._child:
                    self._status = status
        return self._status is not None

    def _end_all(self) -> None:
        """End the main process gently when it still runs, then whatever is left of all it started, at once."""
        deadline = time.monotonic() + GRACE
        if not self._reap():
            with suppress(ProcessLookupError):
                os.killpg(self._child, signal.SIGTERM)
            while not self._reap() and time.monotonic() < deadline:
                self._read(_TICK)
        while left := children_of(os.getpid()):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._reap()
            self._read(0.01)

    def _read(self, seconds: float) -> bool:
        """Move output that is there to the log, waiting for it at most `seconds`; return whether there was any."""
        if self._pipe < 0:
            time.sleep(seconds)
            return False
        if not select.select([self._pipe], [], [], seconds)[0]:
            return False
        chunk = os.read(self._pipe, 1 << 16)
        if chunk:
            self._log.write(chunk)
            return True
        os.close(self._pipe)
        self._pipe = -1
        return False

    def _drain(self) -> None:
        while self._pipe >= 0 and self._read(0):
            continue


def ended_with(code: int | None) -> tuple[str, str]:
    """Return state and reason of a job that ended without our doing; a shell reports a signal as 128 more than its number."""
    if code == 0:
        return "succeeded", ""
    if code is None:
        return "lost", "ended without an exit code"
    number = -code if code < 0 else code - 128
    if number in _FROM_OUTSIDE:
        hint = " (the system does that when memory runs out)" if number == signal.SIGKILL else ""
        return "lost", f"was ended by {signal.Signals(number).name} from outside{hint}"
    if code < 0:
        return "failed", f"was ended by {signal.Signals(number).name}"
    return "failed", f"ended with exit code {code}"


def main() -> int:
    """Carry out the order in the file descriptor given as the argument."""
    with os.fdopen(int(sys.argv[1]), "rb") as file:
        file.seek(0)
        order = json.load(file)
    Supervisor(order).run()
    return 0
