"""Bounded proofs over state and journal; tools/fault.py runs the same ones with large numbers (make fault)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlplan_state.files import Files
from tests.world import guards, mutants, proofs, quick
from tests.world.ledger_work import broken_promise, goes_on, local
from tests.world.strace_work import killed_at


def test_a_kill_before_in_and_after_every_operation_loses_nothing() -> None:
    tally = proofs.crash_points(1, 3, step=2)
    assert tally.problems == []
    assert tally.cases > 150


def test_a_failing_disk_ends_the_run_and_loses_nothing() -> None:
    tally = proofs.io_faults(1, 2, step=3)
    assert tally.problems == []
    assert tally.cases > 150


def test_no_power_loss_loses_what_was_acknowledged() -> None:
    tally = proofs.power_losses(4000, seed=20261125, addresses=1, runs=3)
    assert tally.problems == []
    assert tally.cases == 4000
    assert tally.distinct > 800


def test_a_damaged_byte_is_refused_with_a_way_out_or_does_not_matter() -> None:
    tally = proofs.damaged_bytes(step=31)
    assert tally.problems == []
    assert tally.cases > 400


def test_histories_of_rivals_are_linear(tmp_path: Path) -> None:
    tally = proofs.rivals(8, seed=7, root=tmp_path)
    assert tally.problems == []


def test_who_sleeps_while_its_lock_is_taken_away_changes_nothing() -> None:
    assert quick.probe_sleeper() == ""


@pytest.mark.parametrize("probe", [*guards.PROBES, *quick.PROBES], ids=lambda probe: probe.__name__)
def test_probe(probe: object) -> None:
    assert probe() == ""  # type: ignore[operator]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(
    ("call", "number"), [("fdatasync", 9), ("rename", 4), ("write", 40), ("fsync", 17), ("unlink", 1)]
)
def test_a_real_process_killed_at_a_system_call_loses_nothing(call: str, number: int, tmp_path: Path) -> None:
    promises, killed = killed_at(tmp_path, call, number)
    assert killed, "the work has fewer system calls than that: choose other numbers"
    assert broken_promise(local(Files(), tmp_path), promises) == ""
    assert goes_on(local(Files(), tmp_path), promises) == ""


@pytest.mark.parametrize(
    "what",
    [
        "self._files.sync_data(self._fd)",
        "if self._read_state().tag != expected.tag",
        "if self._files.identity(self._path)",
    ],
)
def test_mutants_are_noticed(what: str) -> None:
    mutant = next(m for m in mutants.mutants() if m.what.startswith(what))
    assert mutants.notices(mutant)
