"""Carrying out: order, partial failure, Ctrl-C, taking up what a killed run left, a journal that breaks."""

from __future__ import annotations

import threading

import pytest

from mlplan.engine.context import RunContext
from mlplan.engine.types import Outcome, Result, Step
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.spi.capabilities import ProviderError
from mlplan.spi.store import StoreError
from tests.world.bench import HOLDER, Bench

TWO_BRANCHES = """
thing "a" {}
thing "b" {
  on = thing.a
}
thing "c" {
  on = thing.b
}
thing "p" {}
thing "q" {
  on = thing.p
}
"""


def results(run) -> dict[str, str]:
    return {step: str(outcome.result) for step, outcome in run.outcomes.items()}


def test_independent_branches_go_on_and_skipped_steps_say_what_stopped_them(bench: Bench) -> None:
    bench.write(TWO_BRANCHES)
    bench.toys.hooks["thing.b#make"] = lambda step, context: Outcome(Result.FAILED, "no wood")
    run = bench.apply()
    assert results(run) == {
        "thing.a#make": "done", "thing.b#make": "failed", "thing.c#make": "skipped", "thing.p#make": "done",
        "thing.q#make": "done",
    }  # fmt: skip
    assert run.outcomes["thing.c#make"].summary == "not started: thing.b#make failed"
    assert run.exit_code == 1
    assert sorted(bench.state.records) == ["thing.a", "thing.p", "thing.q"]
    assert bench.state.operations == {}
    bench.toys.hooks.clear()
    assert results(bench.apply()) == {"thing.b#make": "done", "thing.c#make": "done"}
    assert bench.plan().is_empty


@pytest.mark.parametrize(
    ("result", "code"),
    [(Result.REFUSED, 3), (Result.ROLLED_BACK, 4), (Result.WAITING, 5), (Result.FAILED, 1), (Result.UNCHANGED, 0)],
)
def test_the_exit_code_is_that_of_the_most_serious_outcome(bench: Bench, result: Result, code: int) -> None:
    bench.write(TWO_BRANCHES)
    bench.toys.hooks["thing.q#make"] = lambda step, context: Outcome(result, "so it is")
    assert bench.apply().exit_code == code


def test_a_diagnostic_of_a_step_closes_its_intent_and_a_provider_error_leaves_it_open(bench: Bench) -> None:
    bench.write(TWO_BRANCHES)

    def wrong(step: Step, context: RunContext) -> Outcome:
        raise DiagnosticError(Diagnostic("no-wood", "There is no wood"))

    def gone(step: Step, context: RunContext) -> Outcome:
        raise ProviderError("The world does not answer")

    bench.toys.hooks |= {"thing.a#make": wrong, "thing.p#make": gone}
    run = bench.apply()
    assert [d.code for d in run.outcomes["thing.a#make"].diagnostics] == ["no-wood"]
    assert [d.code for d in run.outcomes["thing.p#make"].diagnostics] == ["provider-error"]
    assert list(bench.state.operations) == ["thing.p"]


def test_a_bug_in_a_kind_is_a_message_and_other_branches_go_on(bench: Bench) -> None:
    bench.write(TWO_BRANCHES)
    bench.toys.hooks["thing.a#make"] = lambda step, context: 1 / 0
    run = bench.apply()
    assert [d.code for d in run.outcomes["thing.a#make"].diagnostics] == ["internal-error"]
    assert results(run)["thing.q#make"] == "done"
    assert any("ZeroDivisionError" in event.text for event in bench.events if event.kind == "log")


def test_after_the_first_interrupt_running_steps_finish_and_no_more_are_started(bench: Bench) -> None:
    bench.write("\n".join(f'thing "t{i}" {{}}' for i in range(30)))
    started = threading.Barrier(2)

    def interrupt(step: Step, context: RunContext) -> None:
        if step.id in ("thing.t0#make", "thing.t1#make"):
            started.wait(30)
            context.cancelled.set()

    bench.toys.hooks = {f"thing.t{i}#make": interrupt for i in range(30)}
    run = bench.apply(parallelism=2)
    assert run.cancelled
    assert run.exit_code == 1
    assert len(bench.toys.done) == 2
    assert list(results(run).values()).count("skipped") == 28
    assert len(bench.state.records) == 2
    bench.toys.hooks.clear()
    bench.apply()
    assert bench.plan().is_empty
    assert len(bench.toys.done) == 30


def test_no_more_steps_run_at_once_than_allowed(bench: Bench) -> None:
    bench.write("\n".join(f'thing "t{i}" {{}}' for i in range(20)))
    running, most, lock = 0, 0, threading.Lock()
    meet = threading.Barrier(3)

    def count(step: Step, context: RunContext) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if int(step.address.removeprefix("thing.t")) < 18:
            meet.wait(30)  # three really run at once
        with lock:
            running -= 1

    bench.toys.hooks = {f"thing.t{i}#make": count for i in range(20)}
    bench.apply(parallelism=3)
    assert most == 3


def test_a_killed_run_is_taken_up_with_the_same_step_and_token(bench: Bench) -> None:
    bench.write('thing "a" {}\nthing "b" {\n  on = thing.a\n}')
    plan = bench.plan()
    session = bench.ledger.begin("dead", HOLDER, "apply")

    class Killed(BaseException):
        pass

    def killed(step: Step, context: RunContext) -> None:
        context.accepted(step, {"pid": 7})
        raise Killed

    bench.toys.hooks["thing.a#make"] = killed
    run = bench.execute(bench.program(), plan, session, _options(), bench.events.append, None)
    assert results(run)["thing.b#make"] == "skipped"
    session.close()
    assert bench.state.operations["thing.a"].accepted == {"pid": 7}
    seen = []
    work = bench.kinds["thing"].work
    bench.kinds["thing"].work = lambda step, resumed, context: (seen.append(resumed), work(step, resumed, context))[1]
    bench.toys.hooks.clear()
    assert results(bench.apply()) == {"thing.a#make": "done", "thing.b#make": "done"}
    assert seen[0].accepted == {"pid": 7}
    assert seen[1] is None
    assert bench.plan().is_empty


def test_what_a_killed_run_left_and_nobody_wants_any_more_is_cleaned_up(bench: Bench) -> None:
    bench.write('thing "a" {}')
    session = bench.ledger.begin("dead", HOLDER, "apply")
    step = bench.plan().steps[0]
    from mlplan.ledger.records import Operation

    session.intent(Operation(step.address, step.id, step.action, step.kind, step.token, step.inputs))
    session.close()
    bench.write('thing "b" {}')
    bench.apply()
    assert "abandon thing.a#make" in bench.toys.done
    assert list(bench.state.records) == ["thing.b"]
    assert bench.state.operations == {}


def test_a_journal_that_cannot_be_written_stops_everything(bench: Bench) -> None:
    bench.write("\n".join(f'thing "t{i}" {{}}' for i in range(30)))

    def full(step: Step, context: RunContext) -> None:
        def append(*_: object) -> None:
            raise StoreError("The disk is full")

        bench.store.append = append

    bench.toys.hooks["thing.t3#make"] = full
    with pytest.raises(StoreError):
        bench.apply(parallelism=1)
    assert len(bench.toys.done) == 4
    assert len(bench.state.records) == 3


def test_steps_read_what_children_of_other_addresses_found_out(bench: Bench) -> None:
    shelf = 'thing "a" {}\nshelf "s" {\n  slots = ["x"]\n  on = thing.a\n}\n'
    bench.write(shelf)
    bench.apply()
    number = bench.state.records['shelf.s.slot["x"]'].attributes["number"]
    bench.write(shelf + 'thing "b" {\n  settings = shelf.s.slot["x"]\n}')
    bench.apply()
    assert bench.state.records["thing.b"].attributes["arguments"]["settings"] == {"number": number}
    assert bench.plan().is_empty


def _options():
    from mlplan.engine.kind import Options

    return Options(parallelism=1)
