"""The moment between starter and started: fork, new session, facts file, limits, then become the command.

Runs as a helper process, order on stdin as JSON; see `mlplan_local.process.launch`. It exits 0 when the command was executed,
else prints why. It does not wait for the command: that belongs to nobody, so that it outlives the run that asked for it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from mlplan_local.files import write_json
from mlplan_local.process import identify


def main() -> int:
    """Carry out the order on stdin; return the exit code."""
    order = json.load(sys.stdin)
    read_end, write_end = os.pipe()  # close-on-exec: an end of file without a word means that the command runs
    if os.fork() == 0:
        os.close(read_end)
        try:
            _become(order)
        except BaseException as error:
            os.write(write_end, f"{type(error).__name__}: {error}".encode()[:4000])
            os._exit(127)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        problem = pipe.read()
    if problem:
        Path(order["facts"]).unlink(missing_ok=True)
        sys.stderr.write(problem.decode("utf-8", "replace"))
        return 1
    return 0


def _become(order: dict[str, Any]) -> None:
    os.setsid()
    os.chdir(order["folder"])
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(null)
    os.close(log)
    if order["memory"] is not None:
        # Private writable memory, not address space: libraries reserve far more address space than they ever touch.
        resource.setrlimit(resource.RLIMIT_DATA, (order["memory"], order["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # what Python or the caller ignores would stay ignored in the command
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    identity = identify(os.getpid())
    assert identity is not None
    write_json(Path(order["facts"]), {**order["extra"], **identity.to_json()})
    command = order["command"]
    os.execvpe(command[0], command, os.environ)  # noqa: S606  (argv, no shell)
