"""The audit log: complete, chained, and honest about what was done to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlplan.ledger import audit
from mlplan.ledger.records import Happening, State
from mlplan.ledger.session import Ledger
from mlplan.spi.store import Holder
from mlplan_state.local import LocalStore

HOLDER = Holder("ada", "box", 1, 1.0, "apply", "")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore({}, tmp_path, "default")
    ledger = Ledger(store, clock=lambda: 5.0)
    ledger.initialise("lineage")
    for run in ("r1", "r2", "r3"):
        with ledger.begin(run, HOLDER, "override", command="override model.m.gate.g") as session:
            session.decision("model.m", "override", f"reason of {run}", "bob", "v1 may pass")
            session.end("v1 may pass")
    return store


def blob_of(store: LocalStore, key: str) -> Path:
    return next(store.folder.glob(f"blobs/*/{key.replace(':', '=')}"))


def test_every_line_says_who_what_and_why_and_the_chain_holds(store: LocalStore) -> None:
    state = Ledger(store).open_read()
    found = audit.verify(store, state)
    assert found.problem is None
    assert [line.number for line in found.lines] == [1, 2, 3, 4, 5, 6]
    assert (found.lines[0].who, found.lines[0].summary) == ("bob", "override: reason of r1")
    assert (found.lines[1].who, found.lines[1].summary) == ("ada", "override model.m.gate.g")


def test_lines_that_the_state_no_longer_holds_are_in_the_blobs(store: LocalStore) -> None:
    state = Ledger(store).open_read()
    found = audit.verify(store, replace(state, history=state.history[-1:]))
    assert found.problem is None
    assert found.lines == state.history


def test_an_unfinished_run_is_part_of_the_chain(store: LocalStore) -> None:
    session = Ledger(store).begin("r4", HOLDER, "apply")
    session.decision("model.m", "promote", "good", "bob")
    session.close()
    found = audit.verify(store, Ledger(store).open_read())
    assert found.problem is None
    assert len(found.lines) == 7


def altered(state: State, number: int, **changes: object) -> State:
    lines = [replace(line, **changes) if line.number == number else line for line in state.history]  # type: ignore[arg-type]
    return replace(state, history=tuple(lines))


@pytest.mark.parametrize("number", [1, 2, 5, 6])
@pytest.mark.parametrize("change", [{"who": "eve"}, {"summary": "nothing"}, {"at": 6.0}, {"evidence": ("x",)}])
def test_an_altered_line_is_noticed(store: LocalStore, number: int, change: dict[str, object]) -> None:
    assert audit.verify(store, altered(Ledger(store).open_read(), number, **change)).problem is not None


def test_a_line_taken_out_or_put_in_is_noticed(store: LocalStore) -> None:
    state = Ledger(store).open_read()
    without = replace(state, history=(*state.history[:2], *state.history[3:]))
    assert "does not follow" in str(audit.verify(store, without).problem)
    more = replace(state, history=(*state.history, Happening(9.0, "model.m", "override", "x", "", number=7)))
    assert "does not follow" in str(audit.verify(store, more).problem)


def test_a_blob_that_is_gone_or_edited_is_noticed_and_the_log_goes_on(store: LocalStore) -> None:
    state = Ledger(store).open_read()
    path = blob_of(store, state.audit)
    path.write_bytes(path.read_bytes().replace(b"bob", b"eve"))
    assert "cannot be read" in str(audit.verify(store, state).problem)
    path.unlink()
    assert "is gone" in str(audit.verify(store, state).problem)
    with Ledger(store).begin("r9", HOLDER, "apply") as session:
        session.end("done")
    later = Ledger(store).open_read()
    assert later.history[-1].number == 7
    assert "is gone" in str(audit.verify(store, later).problem)
