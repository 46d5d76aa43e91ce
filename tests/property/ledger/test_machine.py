"""Any order of runs, crashes, power losses, damage and repair, locks taken away, roll backs and pushes: the model and the state agree."""

from __future__ import annotations

import contextlib
import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mlplan.ledger import audit, names, repair, rewrite
from mlplan.ledger.records import Operation, Record
from mlplan.ledger.session import Ledger, open_store
from mlplan.spi.store import Conflict
from tests.world.disk import Disk, DiskFiles, Killed
from tests.world.ledger_work import HOLDER, LINEAGE, local

ADDRESSES = st.sampled_from(["thing.a", "thing.b", "thing.c"])


class Machine(RuleBasedStateMachine):
    """`sure`: what must be there. `maybe`: address -> what may be there instead, since nobody was told."""

    @initialize()
    def init(self) -> None:
        self.disk = Disk()
        self.sure: dict[str, int] = {}
        self.serial = 0
        self.number = 0
        self.snapshots: dict[str, dict[str, int]] = {}
        Ledger(self.store()).initialise(LINEAGE)
        self.remember()

    def store(self, files: DiskFiles | None = None):  # type: ignore[no-untyped-def]
        return local(files or DiskFiles(self.disk))

    def remember(self) -> None:
        self.snapshots[self.store().history()[0][1]] = dict(self.sure)

    def run_name(self) -> str:
        self.number += 1
        return f"run{self.number}"

    @rule(address=ADDRESSES, value=st.integers(0, 99), end=st.booleans())
    def put(self, address: str, value: int, end: bool) -> None:
        with Ledger(self.store()).begin(self.run_name(), HOLDER, "apply") as session:
            self.clean(session)
            self.effect(session, address, value)
            self.sure[address] = value
            if end:
                self.serial = session.end("done").serial
                self.remember()

    @rule(address=ADDRESSES)
    def remove(self, address: str) -> None:
        with Ledger(self.store()).begin(self.run_name(), HOLDER, "apply") as session:
            self.clean(session)
            if address in self.sure:
                session.forget(address, "not wanted")
                del self.sure[address]
            self.serial = session.end("done").serial
            self.remember()

    @rule(
        address=ADDRESSES,
        value=st.integers(100, 199),
        at=st.integers(0, 40),
        power=st.booleans(),
        seed=st.integers(0, 999),
    )
    def crash(self, address: str, value: int, at: int, power: bool, seed: int) -> None:
        files, seen = DiskFiles(self.disk), 0
        told = False

        def before(operation: str, path: str) -> None:
            nonlocal seen
            seen += 1
            if seen > at:
                files.dead = True
                raise Killed

        files.before = before
        with contextlib.suppress(Killed), Ledger(self.store(files)).begin(self.run_name(), HOLDER, "apply") as session:
            self.clean(session)
            self.effect(session, address, value)
            told = True
            session.end("done")
        self.disk = self.disk.image(random.Random(seed))[0].copy() if power else self.disk.copy()
        found = open_store(self.store()).state.records.get(address)
        there = found.attributes["value"] if found else None
        assert there == value if told else there in (self.sure.get(address), value)
        if there is not None:
            self.sure[address] = there

    def effect(self, session, address: str, value: int) -> None:  # type: ignore[no-untyped-def]
        generation = (
            session.record(address).generation if session.record(address) else session.state.next_generation(address)
        )
        mark = names.token(LINEAGE, address, generation)
        session.intent(Operation(address, f"{address}#put", "put", "thing", mark))
        record = Record(address, "thing", {"value": value}, token=mark, generation=generation)
        session.done(address, f"{address}#put", record)

    def clean(self, session) -> None:  # type: ignore[no-untyped-def]
        for operation in list(session.state.operations.values()):
            session.abort(operation.address, operation.step, "not wanted")

    @rule(share=st.floats(0, 0.999), bit=st.integers(0, 7))
    def corrupt_and_repair(self, share: float, bit: int) -> None:
        folder = next(path for path in self.disk.folders if path.endswith("/default"))
        inode = self.disk.inodes[self.disk.folders[folder].names["state.json"]]
        inode.data[int(len(inode.data) * share)] ^= 1 << bit
        report = repair.inspect(self.store())
        if report.damage is None:
            return  # a blank became another blank
        good = next(kept for kept in report.kept if kept.reason is None)
        self.serial = repair.restore(self.store(), good.key, HOLDER).state.serial

    @rule()
    def take_the_lock_away(self) -> None:
        session = Ledger(self.store()).begin(self.run_name(), HOLDER, "apply")
        Ledger(self.store()).break_lock()
        try:
            session.put_record(Record("thing.late", "thing", {"value": 1}))
        except Conflict:
            session.close()
        else:
            raise AssertionError("a holder without its lock could write")

    @rule(pick=st.integers(0, 5))
    def roll_back(self, pick: int) -> None:
        kept = [key for _, key in self.store().history() if key in self.snapshots]
        key = kept[pick % len(kept)]
        self.serial = rewrite.rollback(self.store(), key, HOLDER, "").serial
        self.sure = dict(self.snapshots[key])
        self.remember()

    @rule()
    def pull_and_push(self) -> None:
        document = rewrite.pulled(open_store(self.store()))
        self.serial = rewrite.push(self.store(), document, HOLDER).serial
        self.remember()

    @invariant()
    def agree(self) -> None:
        state = open_store(self.store()).state
        assert {a: r.attributes["value"] for a, r in state.records.items()} == self.sure
        assert state.serial >= self.serial
        assert state.lineage == LINEAGE
        assert audit.verify(self.store(), state).problem is None
        tokens = [record.token for record in state.records.values()]
        assert len(set(tokens)) == len(tokens)


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
