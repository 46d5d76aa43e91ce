"""A state that moves from one store to another."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mlplan.ledger.migrate import migrate
from mlplan.ledger.records import Operation, Record
from mlplan.ledger.session import Ledger
from mlplan.spi.store import Conflict, Holder, LockHeld, StoreError
from mlplan_state.local import LocalStore

HOLDER = Holder("ada", "box", 1, 1.0, "init", "move")
DATA = b"profile"
KEY = "sha256:" + hashlib.sha256(DATA).hexdigest()


def stores(tmp_path: Path) -> tuple[LocalStore, LocalStore]:
    return LocalStore({"path": "old"}, tmp_path, "default"), LocalStore({"path": "new"}, tmp_path, "default")


def filled(store: LocalStore) -> Ledger:
    ledger = Ledger(store, clock=lambda: 5.0)
    ledger.initialise("lineage")
    store.put_blob(KEY, DATA)
    for run in ("r1", "r2"):
        with ledger.begin(run, HOLDER, "apply") as session:
            session.put_record(Record(run, "thing", {"by": run}))
            session.end("done")
    store.pin(store.history()[-1][1])
    session = ledger.begin("r3", HOLDER, "apply")
    session.intent(Operation("late", "create", "create", "thing", "t"))
    session.close()
    return ledger


def test_everything_moves_even_an_interrupted_run(tmp_path: Path) -> None:
    old, new = stores(tmp_path)
    ledger = filled(old)
    moved = migrate(old, new, HOLDER)
    assert (moved.lineage, moved.serial, moved.records, moved.snapshots, moved.blobs) == ("lineage", 3, 2, 4, 3)
    state = Ledger(new).open_read()
    assert state == ledger.open_read()
    assert (set(state.records), set(state.operations), state.open_run) == ({"r1", "r2"}, {"late"}, "r3")
    assert new.history() == old.history()
    assert new.pinned() == old.pinned()
    assert new.get_blob(KEY) == DATA


@pytest.mark.parametrize("broken", ["put_blob", "initialise", "keep_history", "pin"])
def test_a_move_that_broke_off_is_taken_up(tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = stores(tmp_path)
    ledger = filled(old)

    def fail(*_: object) -> None:
        raise StoreError("no connection")

    with monkeypatch.context() as patch:
        patch.setattr(new, broken, fail)
        with pytest.raises(StoreError, match="no connection"):
            migrate(old, new, HOLDER)
    migrate(old, new, HOLDER)
    assert Ledger(new).open_read() == ledger.open_read()
    assert new.history() == old.history()
    assert new.pinned() == old.pinned()


def test_another_state_is_not_overwritten_and_a_locked_one_not_moved(tmp_path: Path) -> None:
    old, new = stores(tmp_path)
    filled(old)
    Ledger(new).initialise("other")
    with pytest.raises(Conflict, match="holds a state already"):
        migrate(old, new, HOLDER)
    assert Ledger(new).open_read().lineage == "other"
    lock = old.lock(HOLDER, 0)
    with pytest.raises(LockHeld):
        migrate(old, new, HOLDER)
    lock.release()
