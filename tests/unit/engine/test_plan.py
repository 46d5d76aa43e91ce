"""Planning: order, reasons, unknowns and their origins, removals, renames, what cannot be seen."""

from __future__ import annotations

import pytest

from mlplan.engine.types import Action, Cause, Plan
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.lang.values import Unknown
from mlplan.ledger.records import Operation
from tests.world.bench import Bench

CHAIN = """
thing "c" {
  text = thing.b.identity
}
thing "a" {
  size = 2
}
thing "b" {
  text = "on ${thing.a.identity}"
  on   = thing.a
}
shelf "s" {
  on    = thing.b
  slots = ["x", "y"]
}
output "it" {
  value = thing.b.identity
}
"""


def actions(plan: Plan) -> dict[str, str]:
    return {c.address: str(c.action) for c in plan.changes if c.steps}


def test_steps_come_after_what_they_need_and_children_after_their_parent(bench: Bench) -> None:
    bench.write(CHAIN)
    plan = bench.plan()
    order = [step.id for step in plan.steps]
    assert order.index("thing.a#make") < order.index("thing.b#make") < order.index("thing.c#make")
    assert order.index("thing.b#make") < order.index("shelf.s#make") < order.index('shelf.s.slot["x"]#make')
    needs = {step.id: step.needs for step in plan.steps}
    assert needs["thing.b#make"] == ("thing.a#make",)
    assert needs['shelf.s.slot["y"]#make'] == ("shelf.s#make",)


def test_an_unknown_says_where_it_comes_from_through_references_and_outputs(bench: Bench) -> None:
    bench.write(CHAIN)
    plan = bench.plan()
    change = plan.change("thing.b")
    text = next(f.after for f in change.fields if f.name == "text")
    assert isinstance(text, Unknown)
    assert text.origin == "known after making thing.a"
    assert plan.outputs[0].after == Unknown(origin="known after making thing.b")


def test_reasons_come_with_their_cause_and_the_world_is_told_from_the_files(bench: Bench) -> None:
    bench.write(CHAIN)
    bench.apply()
    bench.toys.things.clear()
    bench.write(CHAIN.replace("size = 2", "size = 3"))
    plan = bench.plan()
    assert plan.change("thing.c").cause is Cause.WORLD
    assert [r.text for r in plan.change("thing.c").reasons] == ["it is gone"]


def test_replacing_makes_dependants_look_again_and_keeps_what_does_not_change(bench: Bench) -> None:
    bench.write(CHAIN)
    bench.apply()
    bench.write(CHAIN.replace("size = 2", 'colour = "red"'))
    plan = bench.plan()
    assert actions(plan) == {"thing.a": "replace", "thing.b": "change"}
    assert plan.change("thing.c").action is Action.KEEP


def test_removals_go_the_other_way_round(bench: Bench) -> None:
    bench.write(CHAIN)
    bench.apply()
    bench.write('thing "z" {}')
    plan = bench.plan()
    gone = [step.address for step in plan.steps if step.action == "remove"]
    assert gone.index('shelf.s.slot["x"]') < gone.index("shelf.s") < gone.index("thing.b") < gone.index("thing.a")
    assert {c.reasons[0].text for c in plan.changes if c.action is Action.REMOVE} == {"no longer in the files"}


def test_a_rename_touches_nothing(bench: Bench) -> None:
    bench.write('thing "a" {}\nshelf "s" {\n  slots = ["x"]\n  on = thing.a\n}')
    bench.apply()
    before = bench.state.records["thing.a"]
    bench.write(
        'thing "b" {}\nshelf "t" {\n  slots = ["x"]\n  on = thing.b\n}\n'
        "moved {\n  from = thing.a\n  to = thing.b\n}\nmoved {\n  from = shelf.s\n  to = shelf.t\n}\n"
    )
    plan = bench.plan()
    assert {c.address: c.moved_from for c in plan.changes} == {
        "thing.b": "thing.a", "shelf.t": "shelf.s", 'shelf.t.slot["x"]': 'shelf.s.slot["x"]'
    }  # fmt: skip
    bench.apply()
    after = bench.state.records["thing.b"]
    assert (after.token, after.attributes["identity"]) == (before.token, before.attributes["identity"])
    assert bench.plan().is_empty


def test_removed_without_destroy_forgets_instances_and_leaves_them(bench: Bench) -> None:
    bench.write('thing "a" {\n  for_each = toset(["x", "y"])\n}')
    bench.apply()
    bench.write('thing "b" {}\nremoved {\n  from = thing.a\n  lifecycle {\n    destroy = false\n  }\n}')
    plan = bench.plan()
    assert actions(plan) == {'thing.a["x"]': "forget", 'thing.a["y"]': "forget", "thing.b": "add"}
    bench.apply()
    assert list(bench.state.records) == ["thing.b"]
    assert len(bench.toys.things) == 3


def test_what_is_protected_is_not_removed(bench: Bench) -> None:
    bench.write('thing "a" {\n  lifecycle {\n    prevent_destroy = true\n  }\n}')
    bench.apply()
    plan = bench.plan(destroy=True)
    assert [d.code for d in plan.diagnostics] == ["prevent-destroy"]
    assert plan.steps == ()
    assert [d.code for d in bench.plan(destroy=True, excludes=("thing.a",)).diagnostics] == []


def test_what_cannot_be_seen_stops_the_plan_and_names_the_address(bench: Bench) -> None:
    bench.write(CHAIN)
    bench.apply()
    bench.toys.down.add("thing.b")
    plan = bench.plan()
    assert [(d.code, d.address) for d in plan.diagnostics] == [("provider-error", "thing.b")]
    assert plan.steps == ()
    assert bench.plan(refresh=False).diagnostics == ()


def test_a_ring_names_its_members(bench: Bench) -> None:
    bench.write('thing "a" {\n  on = thing.b\n}\nthing "b" {\n  on = thing.a\n}')
    with pytest.raises(DiagnosticError) as error:
        bench.plan()
    assert {d.code for d in error.value.diagnostics} == {"dependency-cycle"}


def test_a_plan_keeps_what_is_there_and_what_is_wanted(bench: Bench) -> None:
    bench.write('thing "a" {\n  size = 2\n}')
    bench.apply()
    bench.write('thing "a" {\n  size = 3\n  secret = "hush"\n}')
    change = bench.plan().change("thing.a")
    assert (change.before["size"], change.after["size"]) == (2, 3)
    assert change.before["identity"] == change.after["identity"]
    assert "hush" not in repr(change)


def test_unfinished_operations_are_listed(bench: Bench) -> None:
    bench.write('thing "a" {}')
    session = bench.ledger.begin("dead", _holder(), "apply")
    session.intent(Operation("thing.a", "thing.a#make", "make", "thing", "t"))
    session.close()
    assert [(o.address, o.action) for o in bench.plan().pending] == [("thing.a", "make")]


def _holder():
    from tests.world.bench import HOLDER

    return HOLDER
