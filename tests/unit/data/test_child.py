"""Checks in a process of their own: the same evidence, and an answer whatever the data does to that process."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from mlplan.data import child
from mlplan.data.scan import check
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.ledger.evidence import Verdict

NOW = 1_700_000_000.0


class _Does:
    """Calls a function in the process that receives it, as a damaged file might."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def _apart(folder: Any, columns: dict[str, Any]) -> Any:
    contract = folder.contract("d.csv", columns)
    return contract, folder.snapshot(contract)


def test_it_finds_what_a_check_finds(folder: Any) -> None:
    folder.write("d.csv", "a,t\n1,2024-01-01\nx,2024-01-02\n")
    contract, snapshot = _apart(folder, {"a": {"type": "int", "between": [2, None]}, "t": "date"})
    here = check(contract, snapshot, folder.root, now=NOW)
    apart = child.check_apart(contract, snapshot, folder.root, now=NOW)
    assert [e.to_json() for e in apart.evidence] == [e.to_json() for e in here.evidence]
    assert (apart.rows, apart.newest, dict(apart.stored)) == (here.rows, here.newest, dict(here.stored))


def test_one_process_serves_many_checks_and_its_end_is_evidence(folder: Any) -> None:
    folder.write("d.csv", "a,b\n1,2\n")
    contract, snapshot = _apart(folder, {"a": "int"})
    child.stop()  # what earlier tests left idle
    child.check_apart(contract, snapshot, folder.root, now=NOW)
    (process,) = child._idle
    child.check_apart(contract, snapshot, folder.root, now=NOW)
    assert child._idle == [process]
    with pytest.raises(child.ChildEnded, match="SIGSEGV"):
        child._ask({"contract": _Does(signal.raise_signal, signal.SIGSEGV)})
    assert process.poll() is not None
    assert child.check_apart(contract, snapshot, folder.root, now=NOW).rows == 1


def test_a_check_that_takes_too_long(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("d.csv", "a,b\n1,2\n")
    contract, snapshot = _apart(folder, {"a": "int"})
    child.stop()
    monkeypatch.setenv("MLPLAN_DATA_TIME", "0.001")  # not even an interpreter starts in it
    (evidence,) = child.check_apart(contract, snapshot, folder.root, now=NOW).evidence
    assert evidence.verdict is Verdict.ERROR
    assert "more than 0.001 seconds" in evidence.message


@pytest.mark.parametrize("text", ["soon", "-1", "0"])
def test_a_time_that_is_none(folder: Any, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    folder.write("d.csv", "a,b\n1,2\n")
    monkeypatch.setenv("MLPLAN_DATA_TIME", text)
    with pytest.raises(DiagnosticError, match="Invalid time setting"):
        child.check_apart(*_apart(folder, {"a": "int"}), folder.root, now=NOW)


def test_memory_beyond_the_limit_is_refused(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("d.csv", "a,b\n1,2\n")
    with pytest.raises(child.ChildEnded, match="memory"):
        child._ask({"contract": _Does(bytearray, 64 * 2**30)})
