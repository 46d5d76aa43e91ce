"""The note of a lock that lives elsewhere, over a cell in memory, with a clock of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from mlplan.spi.store import Conflict, Holder, LockHeld, StoreError
from mlplan_state import leases
from mlplan_state.leases import LeaseLock, Note

ADA, BOB = Holder("ada", "box", 1, 0.0, "apply", "r1"), Holder("bob", "hut", 2, 0.0, "apply", "r2")


class Cell:
    """A cell in memory. lose: the next so many writes arrive, but their answers do not."""

    def __init__(self) -> None:
        self.note: Note | None = None
        self.mark = 0
        self.lose = 0
        self.down = False

    def read(self) -> tuple[Note | None, Any]:
        return self.note, self.mark

    def write(self, note: Note, mark: Any) -> Any:
        if self.down:
            raise StoreError("The store does not answer")
        if (mark or 0) != (self.mark if self.note else 0):
            return None
        self.note, self.mark = note, self.mark + 1
        if self.lose:
            self.lose -= 1
            return None
        return self.mark


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.each = lambda: None

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.each()


def take(cell: Cell, holder: Holder, timeout: float, clock: Clock) -> LeaseLock:
    return leases.take(cell, holder, timeout, 90.0, clock, clock.sleep)


def test_a_counter_that_stands_still_is_given_up_after_ninety_seconds() -> None:
    cell, clock = Cell(), Clock()
    first = take(cell, ADA, 0, clock)
    first._stop.set()
    with pytest.raises(LockHeld):
        take(cell, BOB, 89.0, clock)
    clock.now = 0.0
    second = take(cell, BOB, 200.0, clock)
    assert 90.0 <= clock.now < 95.0
    assert second.fence == first.fence + 1
    second.release()
    assert cell.note is not None
    assert cell.note.condition == "free"


def test_a_counter_that_moves_is_waited_for() -> None:
    cell, clock = Cell(), Clock()
    lock = take(cell, ADA, 0, clock)
    clock.each = lambda: _raise_beat(cell)
    with pytest.raises(LockHeld) as told:
        take(cell, BOB, 600.0, clock)
    assert told.value.holder == ADA
    lock.lose()


def _raise_beat(cell: Cell) -> None:
    from dataclasses import replace

    assert cell.note is not None
    cell.note, cell.mark = replace(cell.note, beat=cell.note.beat + 1), cell.mark + 1


def test_a_lost_answer_is_no_lost_lock() -> None:
    cell, clock = Cell(), Clock()
    cell.lose = 1
    lock = take(cell, ADA, 0, clock)
    lock.verify()
    with pytest.raises(LockHeld):
        take(cell, ADA, 0, clock)  # the same person in the same process is not the same holder
    lock.release()


def test_release_while_the_store_is_down_is_quiet() -> None:
    cell, clock = Cell(), Clock()
    lock = take(cell, ADA, 0, clock)
    cell.down = True
    lock.release()
    with pytest.raises(Conflict, match="given back"):
        lock.verify()


def test_taken_away() -> None:
    cell, clock = Cell(), Clock()
    lock = take(cell, ADA, 0, clock)
    note, holder = leases.take_away(cell)
    assert (note.fence, holder) == (lock.fence + 1, ADA)
    assert leases.take_away(cell)[1] is None
    lock.release()
    assert cell.note is not None
    assert cell.note.condition == "broken", "a lost holder frees nothing"


def test_who_is_dead() -> None:
    mine = leases.origin()
    assert mine
    assert not leases.is_dead(mine)
    machine, _, rest = mine.partition("|")
    assert leases.is_dead(f"{machine}|{os.getpid()}|1"), "the number was given to another process"
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    birth = leases._birth(child.pid)
    there = f"{machine}|{child.pid}|{birth}"
    assert not leases.is_dead(there)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert leases.is_dead(there), "it only waits to be collected"
    child.communicate()
    assert leases.is_dead(there)
    for other in ("", "other boot|1|1", f"{machine}|x|1", f"{machine}||", rest):
        assert not leases.is_dead(other)
