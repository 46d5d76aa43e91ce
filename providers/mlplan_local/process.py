"""Processes that outlive their starter: who they are, whether they still are, and how to end everything they started.

A pid alone means nothing after a restart of the machine or a wrap-around; identity is pid, start time and boot id together.
Every process carries a mark in its environment, which its children inherit: what left its process group is found by it.
Standard library only: the helper processes `launch` and `supervise` import this.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlplan_local.files import read_json

MARK = "MLPLAN_LOCAL_MARK"
"""Environment variable that marks everything a job or unit started."""
_POLL = 0.02
_PACKAGES = str(Path(__file__).resolve().parent.parent)


class LaunchError(Exception):
    """A process could not be started."""


@dataclass(frozen=True)
class Identity:
    """One process for ever. Units: `start` in clock ticks since boot, as in /proc/<pid>/stat."""

    pid: int
    start: int
    boot: str

    def alive(self) -> bool:
        """Tell whether exactly this process still runs; a zombie does not."""
        return self.boot == boot_id() and start_of(self.pid) == self.start

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    def text(self) -> str:
        """Return a short text that no other process has."""
        return f"{self.boot[:8]}-{self.pid}-{self.start}"


def identity_from(document: Mapping[str, Any] | None) -> Identity | None:
    """Return the identity in a facts document; None when it holds none."""
    try:
        assert document is not None
        return Identity(int(document["pid"]), int(document["start"]), str(document["boot"]))
    except (AssertionError, KeyError, TypeError, ValueError):
        return None


def read_identity(path: Path) -> Identity | None:
    """Return the identity in a facts file; None when there is none."""
    return identity_from(read_json(path))


def boot_id() -> str:
    """Return the kernel's name for the time since it booted."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat after the command name, from "state" (field 3) on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text[text.rfind(")") + 2 :].split()


def start_of(pid: int) -> int | None:
    """Return the start time of a living process (field 22 of its stat); None when it is gone or a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def identify(pid: int) -> Identity | None:
    """Return the identity of a living process."""
    start = start_of(pid)
    return None if start is None else Identity(pid, start, boot_id())


def pids() -> list[int]:
    """Return all process ids of the machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children_of(pid: int) -> list[int]:
    """Return the living and dead direct children of a process."""
    found = []
    for other in pids():
        fields = _stat(other)
        if fields is not None and int(fields[1]) == pid:
            found.append(other)
    return found


def tree_of(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for other in pids():
        fields = _stat(other)
        if fields is not None:
            parents.setdefault(int(fields[1]), []).append(other)
    found = [pid]
    for one in found:
        found.extend(parents.get(one, ()))
    return found


def memory_of(pid: int) -> int:
    """Return the resident memory of a process in bytes; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def cpu_seconds_of(pid: int) -> float:
    """Return the processor time of a process in seconds; 0 when it is gone."""
    fields = _stat(pid)
    return 0.0 if fields is None else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def marked(mark: str) -> list[int]:
    """Return every living process whose first environment carries `mark`, or `mark` with a part after a colon."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for pid in pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue  # gone meanwhile, or another user's: not ours then
        entries = environment.split(b"\0")
        if any(entry == wanted or entry.startswith(wanted + b":") for entry in entries) and start_of(pid) is not None:
            found.append(pid)
    return found


def end_group(identity: Identity | None, grace: float) -> None:
    """End a process and its group: SIGTERM, then SIGKILL after `grace` seconds. Does nothing to a reused pid."""
    if identity is None or not identity.alive():
        return
    with suppress(ProcessLookupError):
        os.killpg(identity.pid, signal.SIGTERM)
    if not wait_gone(identity, grace):
        with suppress(ProcessLookupError):
            os.killpg(identity.pid, signal.SIGKILL)
        wait_gone(identity, 5.0)


def wait_gone(identity: Identity, seconds: float) -> bool:
    """Wait until a process is gone; return whether it is."""
    deadline = time.monotonic() + seconds
    while identity.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def end_marked(mark: str, seconds: float = 5.0) -> None:
    """Kill every process that carries `mark`, again until none is left: one may start another meanwhile."""
    deadline = time.monotonic() + seconds
    while left := marked(mark):
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL)


def base_environment() -> dict[str, str]:
    """Return the small clean environment that jobs and units start from."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    home = os.environ.get("HOME", "/")
    return {"PATH": path, "HOME": home, "LANG": os.environ.get("LANG", "C.UTF-8"), "PYTHONUNBUFFERED": "1"}


def helper(module: str) -> list[str]:
    """Return the argv that runs `main` of a module of this package, without site-packages and the user's settings."""
    code = f"import sys; sys.path.append({_PACKAGES!r}); from mlplan_local.{module} import main; sys.exit(main())"
    return [sys.executable, "-I", "-S", "-c", code]


def launch(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path,
    facts: Path,
    log: Path,
    extra: Mapping[str, Any] | None = None,
    keep: Sequence[int] = (),
    memory: int | None = None,
) -> Identity:
    """Start a process in its own session that is nobody's child here, and return who it is.

    It writes its own facts (identity and `extra`) to `facts` before it becomes `command`: there is no moment at which it runs
    and no file says so. keep: file descriptors it inherits under the same numbers. Units: `memory` bytes of private data.
    Raises: LaunchError.
    """
    order = {
        "command": list(command),
        "folder": str(folder),
        "facts": str(facts),
        "log": str(log),
        "extra": dict(extra or {}),
        "memory": memory,
    }
    done = subprocess.run(  # noqa: S603  (argv of our own helper)
        helper("launch"),
        input=json.dumps(order).encode(),
        env=dict(environment),
        capture_output=True,
        pass_fds=tuple(keep),
        timeout=30,
        check=False,
    )
    identity = read_identity(facts) if done.returncode == 0 else None
    if identity is None:
        raise LaunchError(done.stderr.decode("utf-8", "replace").strip()[-500:] or f"cannot start {command[0]}")
    return identity
