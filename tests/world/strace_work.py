"""The work of `ledger_work` as a process of its own that tells what it was told, so that it can be killed at any system call.

    python tests/world/strace_work.py FOLDER

Each line on stdout is a promise: what was begun, what was acknowledged. Whoever reads them knows what must have survived.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mlplan_state.files import Files
from tests.world.ledger_work import Promises, Work, local

CALLS = ("write", "pwrite64", "rename", "fsync", "fdatasync", "unlink", "mkdir")
"""Every system call by which the local store changes something; what no call does is no boundary."""


class TellingPromises(Promises):
    """Promises that are printed after every change, in one write."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in ("initialised", "serial") and hasattr(self, "intents"):
            self.tell()

    def tell(self) -> None:
        facts = [self.initialised, self.serial, self.records, self.begun, sorted(self.intents)]
        os.write(1, json.dumps(facts).encode() + b"\n")


class TellingWork(Work):
    """The work, told step by step."""

    def __init__(self, folder: Path) -> None:
        super().__init__(lambda: local(Files(), folder), 2, 3)
        self.promises = TellingPromises()

    def put(self, session, address, value):  # type: ignore[no-untyped-def]
        self.promises.begun[address] = value
        self.promises.tell()
        super().put(session, address, value)
        self.promises.tell()

    def remove(self, session, address):  # type: ignore[no-untyped-def]
        self.promises.begun[address] = None
        self.promises.tell()
        super().remove(session, address)
        self.promises.tell()

    def intent(self, session, address):  # type: ignore[no-untyped-def]
        super().intent(session, address)
        self.promises.tell()


def told(output: bytes) -> Promises:
    """Return the promises as of the last whole line."""
    lines = [line for line in output.split(b"\n")[:-1] if line]
    if not lines:
        return Promises()
    initialised, serial, records, begun, intents = json.loads(lines[-1])
    return Promises(initialised, serial, records, begun, set(intents))


def killed_at(folder: Path, call: str, number: int) -> tuple[Promises, bool]:
    """Run the work in `folder` and kill it as it enters a system call for the number-th time; tell whether it got that far."""
    command = [
        "strace",
        "-qq",
        "-o",
        os.devnull,
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:signal=SIGKILL:when={number}",
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, sys.executable, str(Path(__file__)), str(folder)], capture_output=True, env=environment, check=False
    )
    if done.returncode == 0:
        return told(done.stdout), False
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return told(done.stdout), True


if __name__ == "__main__":
    TellingWork(Path(sys.argv[1])).all()
