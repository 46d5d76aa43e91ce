"""What a run does first: steps taken up or cleaned up, addresses blocked, leftovers of interrupted runs found by their labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplan.engine.context import RunContext
from mlplan.engine.recovery import find_orphans, sweep
from mlplan.kinds.deployment.kind import DeploymentKind
from mlplan.kinds.deployment.spec import unit_name
from mlplan.ledger.names import labels, physical_name, token
from mlplan.ledger.records import Operation, Record, State
from mlplan.ledger.session import Ledger
from mlplan.spi.capabilities import EndpointSpec, ProviderError, UnitSpec
from tests.world.bench import HOLDER, Bench
from tests.world.memory_store import MemoryStore
from tests.world.scripted import Scripted

ADDRESS = 'model.m.deployment["prod"]'
LINEAGE = "lineage-1"


def unit(world: Scripted, name: str, run: str, address: str = ADDRESS, lineage: str = LINEAGE) -> None:
    world.ensure_unit(UnitSpec(name, "t", "e", "v1", ("serve",), labels=labels(lineage, address, "t", run)))


def operation(address: str, step: str = "make", kind: str = "thing") -> Operation:
    return Operation(address, f"{address}#{step}", step, kind, "old-token", run="dead")


def dead_run(bench: Bench, *operations: Operation) -> None:
    """Leave a run that wrote intents and did not end."""
    session = bench.ledger.begin("dead", HOLDER, "apply")
    for item in operations:
        session.intent(item)
    session.close()


def test_what_cannot_be_cleaned_up_blocks_its_address_and_what_needs_it_only(bench: Bench) -> None:
    bench.write('thing "a" {}\nthing "b" {\n  on = thing.a\n}\nthing "p" {}')
    dead_run(bench, operation("thing.a"))

    def down(item: Operation, context: RunContext) -> None:
        raise ProviderError("The world does not answer", "Its plug is out.")

    bench.kinds["thing"].abandon = down  # type: ignore[method-assign]
    run = bench.apply()
    found = {step: str(outcome.result) for step, outcome in run.outcomes.items()}
    assert found == {"thing.a#make": "failed", "thing.b#make": "skipped", "thing.p#make": "done"}
    diagnostic = run.outcomes["thing.a#make"].diagnostics[0]
    assert diagnostic.code == "recovery-blocked"
    assert "Its plug is out." in diagnostic.detail
    assert run.exit_code == 1
    assert list(bench.state.operations) == ["thing.a"]
    del bench.kinds["thing"].abandon  # type: ignore[attr-defined]
    assert bench.apply().exit_code == 0
    assert bench.state.operations == {}
    assert bench.plan().is_empty


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), KeyError("y")])
def test_a_bug_while_cleaning_up_is_told_and_everything_else_goes_on(bench: Bench, error: Exception) -> None:
    bench.write('thing "p" {}')
    dead_run(bench, operation("thing.gone"))

    def bug(item: Operation, context: RunContext) -> None:
        raise error

    bench.kinds["thing"].abandon = bug  # type: ignore[method-assign]
    run = bench.apply()
    assert [d.code for d in run.problems] == ["recovery-blocked"]
    assert run.exit_code == 1
    assert set(bench.state.records) == {"thing.p"}


def test_an_intent_of_an_unknown_kind_is_blocked(bench: Bench) -> None:
    bench.write('thing "p" {}')
    dead_run(bench, operation("alien.x", kind="alien"))
    assert [d.code for d in bench.apply().problems] == ["recovery-blocked"]
    assert list(bench.state.operations) == ["alien.x"]


def test_a_step_with_another_token_is_cleaned_up_before_the_new_one_begins(bench: Bench) -> None:
    bench.write('thing "a" {}')
    dead_run(bench, operation("thing.a"))
    bench.toys.make("old-token", {})
    bench.apply()
    assert bench.toys.done == ["abandon thing.a#make", "thing.a#make"]
    assert "old-token" not in bench.toys.things
    assert len(bench.toys.things) == 1


def test_two_runs_die_and_the_third_sweeps_for_both(bench: Bench) -> None:
    bench.write('thing "a" {}')
    bench.ledger.begin("dead1", HOLDER, "apply").close()
    bench.ledger.begin("dead2", HOLDER, "apply").close()
    session = bench.ledger.begin("r3", HOLDER, "apply")
    assert session.interrupted == ("dead1", "dead2")
    session.close()


def test_a_small_run_in_between_does_not_forget_the_sweep(bench: Bench) -> None:
    bench.ledger.begin("dead", HOLDER, "apply").close()
    with bench.ledger.begin("promote", HOLDER, "promote") as session:
        session.end("approved")
    assert bench.state.unswept == ("dead",)


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger(MemoryStore(), clock=lambda: 5.0)
    made.initialise(LINEAGE)
    made.begin("dead", HOLDER, "apply").close()
    return made


def swept(ledger: Ledger, world: Scripted) -> tuple[list[str], State]:
    """Sweep in a run of its own; return what was told and the state after it."""
    told: list[str] = []
    with ledger.begin("later", HOLDER, "apply") as session:
        kinds = {"deployment": DeploymentKind()}
        problems = sweep(session, ["local", None], lambda name: world, kinds, lambda event: told.append(event.text))
        told += [problem.code for problem in problems]
        return told, session.end("done")


def test_the_sweep_removes_what_interrupted_runs_made_and_no_record_names(ledger: Ledger, tmp_path: Path) -> None:
    world = Scripted(tmp_path)
    mine = unit_name(ADDRESS, LINEAGE, "v1")
    with ledger.begin("r", HOLDER, "apply") as session:
        live = {"live": {"version": "v1"}, "rollout": {"target": "v2", "stable": "v1"}, "units": {}}
        session.put_record(Record(ADDRESS, "deployment", live))
        session.end("done")
    unit(world, mine, "dead")
    unit(world, unit_name(ADDRESS, LINEAGE, "v2"), "dead")
    unit(world, "leftover", "dead", "model.m.budget")
    unit(world, "by-another-run", "earlier")
    unit(world, "of-another-state", "dead", lineage="foreign")
    endpoint = physical_name(ADDRESS, token(LINEAGE, ADDRESS, 1))
    for name in (endpoint, "lost-endpoint"):
        world.ensure_endpoint(EndpointSpec(name, "t", "m", labels=labels(LINEAGE, ADDRESS, "t", "dead")))
    told, state = swept(ledger, world)
    assert world.names("unit") == sorted(
        [mine, unit_name(ADDRESS, LINEAGE, "v2"), "by-another-run", "of-another-state"]
    )
    assert world.names("endpoint") == [endpoint]
    assert len(told) == 2
    assert state.unswept == ()
    assert [h.summary.split()[1] for h in state.history if h.action == "sweep"] == ["lost-endpoint,", "leftover,"]


def test_what_belongs_to_an_open_intent_is_left_to_it(ledger: Ledger, tmp_path: Path) -> None:
    world = Scripted(tmp_path)
    unit(world, "half-made", "dead", "model.m.budget")
    session = ledger.begin("dead2", HOLDER, "apply")
    session.intent(Operation("model.m", "model.m#evaluate", "evaluate", "model", "t"))
    session.close()
    _, state = swept(ledger, world)
    assert world.names("unit") == ["half-made"]
    assert state.unswept == ("dead", "dead2")


def test_a_world_that_cannot_be_searched_is_told_and_searched_by_the_next_run(ledger: Ledger, tmp_path: Path) -> None:
    def down(call: str, where: str) -> None:
        raise ProviderError("No answer", "The socket is gone.")

    unit(Scripted(tmp_path), "leftover", "dead")
    told, state = swept(ledger, Scripted(tmp_path, down))
    assert told == ["sweep-failed"]
    assert state.unswept == ("dead",)
    _, state = swept(ledger, Scripted(tmp_path))
    assert Scripted(tmp_path).names("unit") == []
    assert state.unswept == ()


def test_without_an_interrupted_run_nobody_looks(tmp_path: Path) -> None:
    ledger = Ledger(MemoryStore(), clock=lambda: 5.0)
    ledger.initialise(LINEAGE)
    calls: list[str] = []
    swept(ledger, Scripted(tmp_path, lambda call, where: calls.append(call)))
    assert calls == []
    assert find_orphans(State(LINEAGE), (), [Scripted(tmp_path)], {}) == []


def test_a_kind_that_names_nothing_keeps_all_that_its_records_mention(ledger: Ledger, tmp_path: Path) -> None:
    world = Scripted(tmp_path)
    unit(world, "mentioned", "dead")
    with ledger.begin("r", HOLDER, "apply") as session:
        session.put_record(Record("thing.a", "thing", {"deep": [{"unit": "mentioned"}]}))
        session.end("done")
    swept(ledger, world)
    assert world.names("unit") == ["mentioned"]
