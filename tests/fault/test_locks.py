"""The lock between real processes: killed, stopped and resumed, waited for, taken away, and clocks that jump."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlplan.ledger.records import Record
from mlplan.ledger.session import Ledger
from mlplan.spi.store import Holder, LockHeld
from mlplan_state.local import LocalStore

HOLDER = Holder("ada", "box", 1, 1.0, "apply", "")

HOLD = """
import os, sys, time
from pathlib import Path
from mlplan.ledger.records import Record
from mlplan.ledger.session import Ledger
from mlplan.spi.store import Holder, StoreError
from mlplan_state.local import LocalStore
ledger = Ledger(LocalStore({}, Path(sys.argv[1]), "default"))
session = ledger.begin("held", Holder("bob", "hut", os.getpid(), time.time(), "apply", "held"), "apply")
session.put_record(Record("first", "thing", {}))
print("holding", flush=True)
sys.stdin.readline()
try:
    session.put_record(Record("late", "thing", {}))
    session.end("done")
    print("wrote", flush=True)
except StoreError as error:
    print(f"refused: {error}", flush=True)
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(LocalStore({}, tmp_path, "default"))
    ledger.initialise("lineage")
    return ledger


@pytest.fixture
def holder(ledger: Ledger, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock and has written one record."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    yield process
    process.kill()
    process.communicate()


def say(process: subprocess.Popen[str]) -> str:
    """Let the holder go on; return what it says."""
    out, _ = process.communicate("go\n", timeout=60)
    return out


def test_the_message_names_who_where_since_when_and_what(ledger: Ledger, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(LockHeld) as caught:
        ledger.begin("mine", HOLDER, "apply")
    found = caught.value.holder
    assert found is not None
    assert (found.who, found.host, found.pid, found.operation, found.run) == ("bob", "hut", holder.pid, "apply", "held")
    assert abs(found.since - time.time()) < 600


def test_a_killed_holder_holds_nothing_and_what_it_wrote_is_there(
    ledger: Ledger, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    with ledger.begin("mine", HOLDER, "apply", timeout=5.0) as session:
        assert set(session.state.records) == {"first"}
        assert session.interrupted == ("held",)
        session.end("done")


def test_who_waits_gets_the_lock_when_it_is_given_back(ledger: Ledger, holder: subprocess.Popen[str]) -> None:
    threading.Timer(0.3, lambda: holder.stdin and (holder.stdin.write("go\n"), holder.stdin.flush())).start()
    with ledger.begin("mine", HOLDER, "apply", timeout=60.0) as session:
        assert set(session.state.records) == {"first", "late"}
        session.end("done")


def test_a_stopped_holder_keeps_the_lock_however_long_it_sleeps(ledger: Ledger, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGSTOP)
    with pytest.raises(LockHeld):
        ledger.begin("mine", HOLDER, "apply", timeout=0.5)
    os.kill(holder.pid, signal.SIGCONT)
    assert say(holder) == "wrote\n"
    assert set(ledger.open_read().records) == {"first", "late"}


def test_a_stopped_holder_that_lost_its_lock_can_write_nothing_when_it_wakes(
    ledger: Ledger, holder: subprocess.Popen[str]
) -> None:
    os.kill(holder.pid, signal.SIGSTOP)
    taken = ledger.break_lock()
    assert taken is not None
    assert taken.run == "held"
    with ledger.begin("mine", HOLDER, "apply") as session:
        session.put_record(Record("mine", "thing", {}))
        os.kill(holder.pid, signal.SIGCONT)
        assert say(holder).startswith("refused: The lock was taken away")
        session.put_record(Record("more", "thing", {}))
        session.end("done")
    assert set(ledger.open_read().records) == {"first", "mine", "more"}


@pytest.mark.parametrize("jump", [-(10.0**9), 10.0**9])
def test_a_clock_that_jumps_frees_nobody_s_lock(
    ledger: Ledger, holder: subprocess.Popen[str], jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    began = time.monotonic()
    with pytest.raises(LockHeld):
        ledger.begin("mine", HOLDER, "apply", timeout=0.3)
    assert time.monotonic() - began < 60
    assert say(holder) == "wrote\n"
    with ledger.begin("mine", HOLDER, "apply") as session:
        session.end("done")
    assert ledger.open_read().serial == 2
