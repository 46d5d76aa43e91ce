"""Moved blocks: chains, taken targets, keys, modules; what has a new address is the same thing."""

from __future__ import annotations

from typing import Any

import pytest

from mlplan.engine.types import Action
from mlplan.lang.diagnostic import DiagnosticError
from tests.world.bench import Bench


def moved(source: str, target: str) -> str:
    return f"\nmoved {{\n  from = {source}\n  to   = {target}\n}}\n"


def after(bench: Bench, text: str) -> dict[str, Any]:
    """Return moved_from by address of a plan that changes nothing else."""
    bench.write(text)
    plan = bench.plan()
    assert not plan.diagnostics, plan.diagnostics
    assert {c.action for c in plan.changes} <= {Action.KEEP, Action.MOVE}
    assert bench.apply(plan).exit_code == 0
    assert bench.plan().is_empty
    return {c.address: c.moved_from for c in plan.changes if c.moved_from}


def test_a_chain_is_followed_from_wherever_a_record_is(bench: Bench) -> None:
    bench.write('thing "a" {}')
    bench.apply()
    chain = moved("thing.a", "thing.b") + moved("thing.b", "thing.c")
    assert after(bench, 'thing "c" {}' + chain) == {"thing.c": "thing.a"}
    assert after(bench, 'thing "d" {}' + chain + moved("thing.c", "thing.d")) == {"thing.d": "thing.c"}


@pytest.mark.parametrize(
    ("before", "now", "source", "target", "expected"),
    [
        ('thing "a" {}', 'thing "a" {\n  for_each = toset(["x"])\n}', "thing.a", 'thing.a["x"]', 'thing.a["x"]'),
        ('thing "a" {\n  for_each = toset(["x"])\n}', 'thing "a" {}', 'thing.a["x"]', "thing.a", "thing.a"),
        ('thing "a" {\n  count = 1\n}', 'thing "a" {\n  for_each = toset(["x"])\n}', "thing.a[0]", 'thing.a["x"]', 'thing.a["x"]'),
        ('thing "a" {\n  count = 1\n}', 'thing "b" {\n  count = 1\n}', "thing.a", "thing.b", "thing.b[0]"),
    ],
)  # fmt: skip
def test_keys_come_and_go(bench: Bench, before: str, now: str, source: str, target: str, expected: str) -> None:
    bench.write(before)
    bench.apply()
    (found,) = after(bench, now + moved(source, target))
    assert found == expected


def test_things_move_into_out_of_and_between_modules(bench: Bench) -> None:
    (bench.root / "m").mkdir()
    (bench.root / "m" / "m.mlplan.hcl").write_text('thing "in" {}\nshelf "s" {\n  slots = ["x"]\n}\n')
    bench.write('thing "out" {}\nshelf "s" {\n  slots = ["x"]\n}')
    bench.apply()
    call = 'module "one" {\n  source = "./m"\n}\n'
    found = after(bench, call + moved("thing.out", "module.one.thing.in") + moved("shelf.s", "module.one.shelf.s"))
    assert found == {
        "module.one.thing.in": "thing.out",
        "module.one.shelf.s": "shelf.s",
        'module.one.shelf.s.slot["x"]': 'shelf.s.slot["x"]',
    }
    keyed = 'module "two" {\n  for_each = toset(["k"])\n  source = "./m"\n}\n' + moved("module.one", 'module.two["k"]')
    assert set(after(bench, keyed)) == {
        'module.two["k"].thing.in', 'module.two["k"].shelf.s', 'module.two["k"].shelf.s.slot["x"]',
    }  # fmt: skip
    (bench.root / "m" / "m.mlplan.hcl").write_text('shelf "s" {\n  slots = ["x"]\n}\n')
    back = 'module "two" {\n  for_each = toset(["k"])\n  source = "./m"\n}\nthing "out" {}\n'
    assert after(bench, back + moved('module.two["k"].thing.in', "thing.out")) == {
        "thing.out": 'module.two["k"].thing.in'
    }


def test_a_taken_target_is_warned_of_and_the_source_is_planned_to_go(bench: Bench) -> None:
    bench.write('thing "a" {}\nthing "b" {}\nshelf "s" {\n  slots = ["x"]\n}\nshelf "t" {}')
    bench.apply()
    text = 'thing "b" {}\nshelf "t" {}'
    bench.write(text + moved("thing.a", "thing.b") + moved("shelf.s", "shelf.t"))
    plan = bench.plan()
    (warning,) = plan.diagnostics
    assert (warning.code, warning.severity) == ("unresolved-moves", "warning")
    assert "thing.a could not move to thing.b" in warning.detail
    assert "shelf.s could not move to shelf.t" in warning.detail
    actions = {c.address: c.action for c in plan.changes}
    assert actions["thing.a"] is Action.REMOVE
    assert actions["thing.b"] is Action.KEEP
    assert actions['shelf.s.slot["x"]'] is Action.REMOVE


def test_what_waits_for_a_move_that_cannot_be_does_not_move_either(bench: Bench) -> None:
    bench.write('thing "a" {}\nthing "b" {}\nthing "c" {}')
    bench.apply()
    bench.write('thing "c" {}\nthing "d" {}' + moved("thing.b", "thing.c") + moved("thing.a", "thing.b"))
    plan = bench.plan()
    assert [d.code for d in plan.diagnostics] == ["unresolved-moves"]
    assert not [c for c in plan.changes if c.moved_from]


def test_two_things_swap_places_only_by_a_third_name(bench: Bench) -> None:
    bench.write('thing "a" {\n  size = 1\n}\nthing "b" {\n  size = 2\n}')
    bench.apply()
    bench.write('thing "x" {}' + moved("thing.a", "thing.b") + moved("thing.b", "thing.a"))
    with pytest.raises(DiagnosticError) as caught:
        bench.plan()
    assert {d.code for d in caught.value.diagnostics} == {"invalid-moved"}
    assert any("ring" in d.detail for d in caught.value.diagnostics)


def test_what_is_forgotten_stays_in_the_world_and_what_is_removed_does_not(bench: Bench) -> None:
    bench.write('thing "a" {}\nthing "b" {}\nshelf "s" {\n  slots = ["x"]\n}')
    bench.apply()
    count = len(bench.toys.things)
    forget = "".join(
        f"removed {{\n  from = {a}\n  lifecycle {{\n    destroy = {d}\n  }}\n}}\n"
        for a, d in (("thing.a", "false"), ("shelf.s", "false"), ("thing.b", "true"))
    )
    bench.write(forget + 'thing "other" {}')
    plan = bench.plan()
    actions = {c.address: c.action for c in plan.changes}
    assert actions["thing.a"] is actions["shelf.s"] is actions['shelf.s.slot["x"]'] is Action.FORGET
    assert actions["thing.b"] is Action.REMOVE
    assert bench.apply(plan).exit_code == 0
    assert list(bench.state.records) == ["thing.other"]
    assert len(bench.toys.things) == count  # one came, one went, three are forgotten and there
