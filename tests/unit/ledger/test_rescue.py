"""What a run could not write is kept, and taken in where the state still waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlplan.ledger.keys import Keyring, PlainKey
from mlplan.ledger.records import Operation, Record
from mlplan.ledger.rescue import Rescue, is_rescue
from mlplan.ledger.session import Ledger, Session
from mlplan.spi.store import Conflict, Holder, StoreDamaged, StoreError
from mlplan_state.local import LocalStore

ME = Holder("ada", "box", 1, 0.0, "apply", "")
TOKEN = "t" * 20


class Failing(LocalStore):
    """A store whose appends fail from some moment on; arrives: the bytes are there all the same."""

    fail = arrives = False

    def append(self, serial: int, line: bytes, lock: Any) -> None:
        if not self.fail or self.arrives:
            super().append(serial, line, lock)
        if self.fail:
            raise StoreError("The store does not answer", "It is away.")


class Site:
    def __init__(self, folder: Path, keys: Keyring | None = None) -> None:
        self.folder, self.keys = folder, keys
        self.store = Failing({}, folder, "default")
        self.ledger = Ledger(self.store, rescue=Rescue(folder / "rescue", keys))
        self.ledger.initialise()

    def start(self, *addresses: str) -> Session:
        session = self.ledger.begin("run-1", ME, "apply")
        for address in addresses:
            session.intent(Operation(address, f"step {address}", "create", "model", TOKEN))
        return session

    def again(self) -> Ledger:
        return Ledger(LocalStore({}, self.folder, "default"), rescue=Rescue(self.folder / "rescue", self.keys))

    def file(self) -> Path:
        (found,) = Rescue(self.folder / "rescue").waiting()
        return found


def finish(session: Session, address: str) -> None:
    session.done(address, f"step {address}", Record(address, "model", {"n": 1}, token=TOKEN), summary="made")


@pytest.mark.parametrize("keys", [None, Keyring(PlainKey(b"k" * 32), enforced=True)], ids=["plain", "encrypted"])
def test_outcomes_are_kept_and_pushed(tmp_path: Path, keys: Keyring | None) -> None:
    site = Site(tmp_path, keys)
    session = site.start("model.a", "model.b")
    site.store.fail = True
    with pytest.raises(StoreError, match="mlplan state push"):
        finish(session, "model.a")
    with pytest.raises(StoreError, match="An earlier write failed"):
        finish(session, "model.b")  # a step that ran on: its outcome is kept too
    session.close()
    assert site.again().open_read().records == {}
    data = site.file().read_bytes()
    assert is_rescue(data)
    assert (b"model.a" in data) == (keys is None)
    brought = site.again().bring_in(data, "run-2", ME)
    assert (brought.taken, brought.skipped) == (2, ())
    state = site.again().open_read()
    assert sorted(state.records) == ["model.a", "model.b"]
    assert not state.operations
    again = site.again().bring_in(data, "run-3", ME)
    assert again.taken == 0
    assert {why for _, _, why in again.skipped} == {"the state knows its outcome already"}


def test_what_arrived_all_the_same_is_not_told_twice(tmp_path: Path) -> None:
    site = Site(tmp_path)
    session = site.start("model.a")
    site.store.fail = site.store.arrives = True
    with pytest.raises(StoreError):
        finish(session, "model.a")
    session.close()
    assert list(site.again().open_read().records) == ["model.a"]
    brought = site.again().bring_in(site.file().read_bytes(), "run-2", ME)
    assert brought.taken == 0
    assert len(site.again().open_read().records) == 1


def test_an_intent_that_was_not_written_is_not_kept(tmp_path: Path) -> None:
    """Nothing of it left: the next run begins it anew."""
    site = Site(tmp_path)
    session = site.start()
    site.store.fail = True
    with pytest.raises(StoreError):
        session.intent(Operation("model.a", "s", "create", "model", TOKEN))
    session.close()
    assert Rescue(tmp_path / "rescue").waiting() == []


def test_another_run_has_gone_on(tmp_path: Path) -> None:
    site = Site(tmp_path)
    session = site.start("model.a")
    site.store.fail = True
    with pytest.raises(StoreError):
        finish(session, "model.a")
    session.close()
    with site.again().begin("run-2", ME, "apply") as later:
        later.abort("model.a", "step model.a", "found nothing")
        later.intent(Operation("model.a", "step model.a", "create", "model", TOKEN))
    brought = site.again().bring_in(site.file().read_bytes(), "run-3", ME)
    assert [why for _, _, why in brought.skipped] == ["another run has gone on from there"]


def test_the_file_of_another_state_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path / "a")
    session = site.start("model.a")
    site.store.fail = True
    with pytest.raises(StoreError):
        finish(session, "model.a")
    data = site.file().read_bytes()
    other = Site(tmp_path / "b")
    with pytest.raises(Conflict, match="another state"):
        other.again().bring_in(data, "run-2", ME)
    with pytest.raises(StoreDamaged):
        site.again().bring_in(data.replace(b'"made"', b'"mode"') + data.split(b"\n", 1)[1], "run-2", ME)
    with pytest.raises(StoreDamaged):
        site.again().bring_in(b'{"mlplan_rescue":1}\n', "run-2", ME)
    session.close()


def test_a_disk_that_is_full_as_well_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path)
    session = site.start("model.a")
    site.store.fail = True

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlplan.ledger.rescue._append", full)
    with pytest.raises(StoreError, match="could not be kept on this disk either"):
        finish(session, "model.a")
    session.close()
