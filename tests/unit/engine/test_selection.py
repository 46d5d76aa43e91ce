"""What of a plan is carried out, and what is said of the rest."""

from __future__ import annotations

import pytest

from mlplan.engine.types import Plan
from mlplan.ledger.evidence import Verdict
from tests.world.bench import Bench
from tests.world.toys import measurement

FILES = """
thing "a" {}
thing "b" {
  on = thing.a
}
thing "c" {
  on = thing.b
}
thing "p" {}
shelf "s" {
  on    = thing.p
  slots = ["x"]
}
"""


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.write(FILES)
    return bench


def done(plan: Plan) -> set[str]:
    return {step.address for step in plan.steps}


def test_a_target_brings_what_it_needs_and_no_more(bench: Bench) -> None:
    plan = bench.plan(targets=("thing.b",))
    assert done(plan) == {"thing.a", "thing.b"}
    assert [left.partition(" ")[0] for left in plan.left] == ["thing.c", "thing.p", "shelf.s", 'shelf.s.slot["x"]'] or {
        left.partition(" ")[0] for left in plan.left
    } == {"thing.c", "thing.p", "shelf.s", 'shelf.s.slot["x"]'}


def test_a_target_takes_its_children_along(bench: Bench) -> None:
    assert done(bench.plan(targets=("shelf.s",))) == {"thing.p", "shelf.s", 'shelf.s.slot["x"]'}


def test_what_is_excluded_takes_along_what_needs_it(bench: Bench) -> None:
    assert done(bench.plan(excludes=("thing.b",))) == {"thing.a", "thing.p", "shelf.s", 'shelf.s.slot["x"]'}


def test_destroying_a_target_takes_along_what_needs_it_and_leaves_what_it_needs(bench: Bench) -> None:
    bench.apply()
    assert done(bench.plan(destroy=True, targets=("thing.b",))) == {"thing.b", "thing.c"}
    bench.apply(destroy=True, targets=("thing.b",))
    assert done(bench.plan()) == {"thing.b", "thing.c"}


def test_destroying_all_but_one_keeps_what_it_needs(bench: Bench) -> None:
    bench.apply()
    assert done(bench.plan(destroy=True, excludes=("thing.b",))) == {
        "thing.c",
        "thing.p",
        "shelf.s",
        'shelf.s.slot["x"]',
    }


@pytest.mark.parametrize("option", ["targets", "excludes", "replace"])
def test_an_address_that_nothing_has_is_an_error_with_a_suggestion(bench: Bench, option: str) -> None:
    plan = bench.plan(**{option: ("thing.bb",)})
    assert [(d.code, d.hint) for d in plan.diagnostics] == [("unknown-target", 'Did you mean "thing.b"?')]
    assert plan.steps == ()


def test_replace_makes_it_anew_with_another_identity(bench: Bench) -> None:
    bench.apply()
    before = bench.state.records["thing.p"].attributes["identity"]
    plan = bench.plan(replace=("thing.p",))
    assert {c.address: str(c.action) for c in plan.changes if c.steps} == {"thing.p": "replace"}
    bench.apply(replace=("thing.p",))
    assert bench.state.records["thing.p"].attributes["identity"] != before


def test_replacing_what_cannot_be_replaced_is_said(bench: Bench) -> None:
    bench.apply()
    assert [d.code for d in bench.plan(replace=("shelf.s",)).diagnostics] == ["cannot-replace"]


def test_changed_addresses_come_with_what_they_need_and_what_needs_them(bench: Bench) -> None:
    assert done(bench.plan(changed=("thing.b",))) == {"thing.a", "thing.b", "thing.c"}
    assert done(bench.plan(changed=())) == set()


def test_unattended_runs_remove_nothing_and_say_so(bench: Bench) -> None:
    bench.apply()
    bench.write(FILES.replace('thing "c" {\n  on = thing.b\n}', ""))
    plan = bench.plan(unattended=True)
    assert plan.steps == ()
    assert plan.left == ("thing.c (remove): no longer in the files; removals need an attended apply",)


def test_refresh_only_keeps_new_measurements_once_and_changes_nothing(bench: Bench) -> None:
    bench.apply()
    bench.write(FILES.replace('thing "a" {}', 'thing "a" {\n  size = 9\n}'))
    bench.toys.measured["thing.b"] = (measurement("thing.b", Verdict.FAIL, estimate=7.0, at=1.0),)
    bench.toys.surprises["thing.b"] = ("it leans to the left",)
    plan = bench.plan(refresh_only=True)
    assert [step.id for step in plan.steps] == ["thing.b#refresh"]
    assert [r.text for r in plan.change("thing.b").reasons] == ["it leans to the left"]
    bench.toys.done.clear()
    bench.apply(refresh_only=True)
    assert bench.toys.done == []
    assert [e.estimate for e in bench.state.evidence.values()] == [7.0]
    bench.toys.measured["thing.b"] = (measurement("thing.b", Verdict.FAIL, estimate=7.0, at=2.0),)
    assert bench.plan(refresh_only=True).steps == ()
    assert done(bench.plan()) == {"thing.a"}


def test_without_refresh_the_world_is_not_looked_at(bench: Bench) -> None:
    bench.apply()
    bench.toys.things.clear()
    assert bench.plan(refresh=False).is_empty
    assert not bench.plan().is_empty


def test_outputs_of_what_is_left_out_stay_as_they_are(bench: Bench) -> None:
    """What the files say of an address that is not selected did not happen, so no output may say it."""
    text = 'thing "a" {\n  size = SIZE\n}\nthing "b" {\n  size = SIZE\n}\n' + "".join(
        f'output "{name}" {{\n  value = {value}\n}}\n'
        for name, value in (("a", "thing.a.size"), ("b", "thing.b.size"), ("both", "thing.a.size + thing.b.size"))
    )
    bench.write(text.replace("SIZE", "1"))
    bench.apply()
    bench.write(text.replace("SIZE", "2"))
    plan = bench.plan(targets=("thing.a",))
    assert plan.left_out == {"thing.b"}
    assert {o.name: o.after for o in plan.output_changes} == {"a": 2, "both": 4}
    assert bench.plan(excludes=("thing.a", "thing.b")).is_empty
