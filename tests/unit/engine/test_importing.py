"""What exists already is taken over: by import blocks, and by the command that imports one thing."""

from __future__ import annotations

from mlplan.engine.types import Action
from tests.world.bench import Bench

FILES = """
thing "base" {}
thing "a" {
  on = thing.base
}
thing "b" {}
shelf "s" {
  slots = ["x"]
}
import {
  to = thing.a
  id = "there"
}
output "a" {
  value = thing.a.identity
}
"""


def test_a_block_takes_over_and_the_next_plan_is_empty(bench: Bench) -> None:
    bench.write(FILES)
    bench.toys.make("there", {})
    plan = bench.plan()
    change = plan.change("thing.a")
    assert change is not None
    assert (change.action, change.importing, change.dependencies) == (Action.IMPORT, "there", ("thing.base",))
    assert not plan.diagnostics
    assert [(o.name, o.after) for o in plan.outputs] == [("a", "there")]
    assert bench.apply(plan).exit_code == 0
    assert bench.state.records["thing.a"].attributes["identity"] == "there"
    bench.toys.make(bench.state.records["thing.a"].token, {})
    assert bench.plan().is_empty


def test_the_command_imports_one_thing_with_what_it_needs_and_leaves_the_rest(bench: Bench) -> None:
    bench.write(FILES.partition("import")[0])
    bench.toys.make("there", {})
    plan = bench.plan(imports={"thing.a": "there"})
    assert {step.address for step in plan.steps} == {"thing.a", "thing.base"}
    assert bench.apply(plan).exit_code == 0
    again = bench.plan(imports={"thing.a": "there"})
    assert [d.code for d in again.diagnostics] == ["already-managed"]


def test_a_block_is_not_carried_out_by_a_command_for_another(bench: Bench) -> None:
    bench.write(FILES)
    bench.toys.make("there", {})
    assert {s.address for s in bench.plan(imports={"thing.b": "there"}).steps} == {"thing.b"}


def test_what_cannot_be_imported_is_said(bench: Bench) -> None:
    bench.write(FILES)
    assert [(d.code, d.address) for d in bench.plan().diagnostics] == [("cannot-import", "thing.a")]
    wrong = {"thing.zz": "x", "shelf.s": "x", 'shelf.s.slot["x"]': "x", "thing.b": " "}
    found = bench.plan(imports=wrong).diagnostics
    assert sorted(d.code for d in found) == ["cannot-import", "cannot-import", "cannot-import", "unknown-import-target"]


def test_destroying_imports_nothing(bench: Bench) -> None:
    bench.write(FILES)
    bench.toys.make("there", {})
    assert bench.plan(destroy=True).is_empty


def test_an_import_has_the_same_token_again_so_that_a_killed_run_is_taken_up(bench: Bench) -> None:
    bench.write(FILES)
    bench.toys.make("there", {})
    first, second = ({s.id: s.token for s in bench.plan().steps} for _ in range(2))
    assert first["thing.a#import"] == second["thing.a#import"]
