"""The ledger session over a real local store in a temporary folder."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mlplan.ledger import names
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.records import Operation, Record, State
from mlplan.ledger.replay import LedgerMisuse
from mlplan.ledger.session import Ledger, Session
from mlplan.spi.store import Conflict, Holder, LockHeld, StoreDamaged, StoreError
from mlplan_state.local import LocalStore

HOLDER = Holder("ada", "box", 1, 1.0, "apply", "")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(LocalStore({}, tmp_path, "default"), clock=lambda: 5.0)
    ledger.initialise("lineage")
    return ledger


def begin(ledger: Ledger, run: str = "r1") -> Session:
    return ledger.begin(run, HOLDER, "apply")


def create(session: Session, address: str, attributes: dict[str, object] | None = None) -> None:
    generation = session.state.next_generation(address)
    token = names.token("lineage", address, generation)
    session.intent(Operation(address, "create", "create", "thing", token))
    session.done(address, "create", Record(address, "thing", attributes or {}, token=token, generation=generation))


def test_a_run_leaves_its_records_and_history_in_the_next_serial(ledger: Ledger) -> None:
    evidence = Evidence("a", "x > 1", Verdict.PASS, estimate=2.0, interval=(1.5, 2.5))
    with begin(ledger) as session:
        session.intent(Operation("a", "train", "create", "model", "t"))
        session.accepted("a", {"pid": 4})
        session.progress("a", {"share": 10})
        assert session.operation("a").progress == {"share": 10}
        session.done("a", "train", Record("a", "model", {"v": 1}), [evidence], "passed", "trained")
        session.decision("a", "override", "because", who="bob")
        session.outputs({"url": "x"})
        session.plan_used("p1")
        state = session.end("done")
    assert state == ledger.open_read()
    assert state.serial == 1
    assert state.records["a"].attributes == {"v": 1}
    assert (state.records["a"].created_serial, state.records["a"].updated_serial) == (1, 1)
    assert state.evidence[evidence.digest()] == evidence
    assert [(h.action, h.outcome, h.who) for h in state.history] == [
        ("create", "passed", "ada"),
        ("decision", "", "bob"),
        ("apply", "done", "ada"),
    ]
    assert state.outputs == {"url": "x"}
    assert state.used_plans == ("p1",)
    assert state.open_run is None
    assert state.operations == {}


def test_an_unclean_end_shows_its_run_and_intent_and_is_folded_by_the_next_run(ledger: Ledger) -> None:
    session = begin(ledger)
    create(session, "a")
    session.intent(Operation("b", "create", "create", "thing", "t", {"k": [1, "x"]}))
    session.accepted("b", {"job": "j1"})
    session.close()
    state = ledger.open_read()
    assert state.open_run == "r1"
    assert state.operations["b"].accepted == {"job": "j1"}
    assert state.operations["b"].run == "r1"
    with begin(ledger, "r2") as session:
        assert session.state.serial == 1
        assert session.state.operations["b"].inputs == {"k": [1, "x"]}
        session.done("b", "create", Record("b", "thing", {}))
        final = session.end("done")
    assert set(final.records) == {"a", "b"}
    assert final.open_run is None
    assert final.serial == 2


def test_one_open_intent_an_address_and_no_outcome_without_intent(ledger: Ledger) -> None:
    with begin(ledger) as session:
        operation = session.intent(Operation("a", "create", "create", "thing", "t"))
        session.intent(operation)  # the same step again is a redo
        with pytest.raises(LedgerMisuse, match="open intent"):
            session.intent(Operation("a", "update", "update", "thing", "t"))
        with pytest.raises(LedgerMisuse, match="no open intent"):
            session.done("b", "create")
        with pytest.raises(LedgerMisuse, match="not for"):
            session.failed("a", "other", "no")
        session.failed("a", "create", "broke")
        session.intent(Operation("a", "update", "update", "thing", "t"))
        session.abort("a", "update", "not started")
        assert session.end("failed").history[0].summary == "broke"


def test_a_generation_rises_only_when_the_destroy_is_durable(ledger: Ledger) -> None:
    with begin(ledger) as session:
        create(session, "a")
        assert session.state.records["a"].generation == 1
        session.intent(Operation("a", "destroy", "destroy", "thing", "t"))
        session.failed("a", "destroy", "no")
        assert session.state.records["a"].generation == 1
        session.intent(Operation("a", "destroy", "destroy", "thing", "t"))
        session.done("a", "destroy", removed=True)
        assert "a" not in session.state.records
        create(session, "a")
        session.end("done")
    assert ledger.open_read().records["a"].generation == 2


def test_adopt_taint_forget_unknown_and_put_record(ledger: Ledger) -> None:
    with begin(ledger) as session:
        session.intent(Operation("a", "create", "create", "thing", "t"))
        session.unknown("a", "create", "no answer")
        assert session.operation("a") is not None
        session.adopt(Record("a", "thing", {"found": True}), "same token")
        assert session.operation("a") is None
        session.taint("a", "half made")
        assert session.record("a").status == "tainted"
        with pytest.raises(LedgerMisuse):
            session.taint("zzz", "not there")
        session.put_record(Record("c", "thing", {"seen": 1}))
        session.forget("a", "by hand")
        state = session.end("done")
    assert set(state.records) == {"c"}
    assert [h.action for h in state.history] == ["create", "adopt", "taint", "forget", "apply"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {1: 2}, object(), "\ud800"])
def test_what_json_cannot_keep_is_refused_before_anything_is_written(ledger: Ledger, value: object) -> None:
    with begin(ledger) as session:
        with pytest.raises(ValueError, match="outputs"):
            session.outputs({"x": value})
        session.outputs({"x": 1})
        session.end("done")
    assert ledger.open_read().outputs == {"x": 1}


def test_threads_share_appends_and_every_acknowledged_record_is_there(tmp_path: Path) -> None:
    store = CountingStore({}, tmp_path, "default")
    ledger = Ledger(store)
    ledger.initialise()
    with ledger.begin("r", HOLDER, "apply") as session:

        def work(number: int) -> None:
            for i in range(25):
                create(session, f"t{number}.i{i}")

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        mid = ledger.open_read()
        assert len(mid.records) == 200
        assert mid.records == session.state.records
        state = session.end("done")
    assert state.records == mid.records
    assert store.appends < 402  # run_begin, 400 entries, run_end: some shared an append


class CountingStore(LocalStore):
    appends = 0

    def append(self, serial: int, line: bytes, lock: object) -> None:
        self.appends += 1
        super().append(serial, line, lock)  # type: ignore[arg-type]


def test_the_lock_names_its_holder_and_is_free_after_close(ledger: Ledger) -> None:
    with begin(ledger), pytest.raises(LockHeld) as caught:
        begin(ledger, "r2")
    assert caught.value.holder is not None
    assert (caught.value.holder.who, caught.value.holder.run, caught.value.holder.operation) == ("ada", "r1", "apply")
    begin(ledger, "r3").close()


def test_a_broken_lock_ends_the_old_session_and_loses_nothing(ledger: Ledger) -> None:
    old = begin(ledger)
    create(old, "a")
    assert ledger.break_lock().run == "r1"
    with pytest.raises(Conflict, match="taken away"):
        create(old, "b")
    with pytest.raises(StoreError):
        old.end("done")
    with begin(ledger, "r2") as session:
        assert set(session.state.records) == {"a"}
        create(session, "c")
        session.end("done")
    assert set(ledger.open_read().records) == {"a", "c"}


def test_another_lineage_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Conflict, match="lineage"):
        ledger.begin("r", HOLDER, "apply", lineage="other")
    begin(ledger).close()


def test_an_absent_or_empty_document_is_damage_never_a_new_state(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / ".mlplan/state/default/state.json"
    path.write_bytes(b"")
    with pytest.raises(StoreDamaged):
        ledger.open_read()
    path.unlink()
    with pytest.raises(StoreDamaged):
        ledger.open_read()
    assert ledger.exists()
    with pytest.raises(Conflict):
        ledger.initialise()


def test_a_handed_out_state_does_not_change(ledger: Ledger) -> None:
    with begin(ledger) as session:
        create(session, "a")
        before: State = session.state
        create(session, "b")
        assert set(before.records) == {"a"}
        assert set(session.state.records) == {"a", "b"}
