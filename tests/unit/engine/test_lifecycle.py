"""ignore_changes, replace_triggered_by and --replace, on toys."""

from __future__ import annotations

from typing import Any

import pytest

from mlplan.engine.ignoring import as_remembered, ignores
from mlplan.engine.types import Action, Desired, Plan
from mlplan.ledger.records import Record
from mlplan.spi.schema import Rate, Reference
from tests.world.bench import Bench
from tests.world.toys import THING


def thing(body: str, ignore: str) -> str:
    return f"""
    thing "a" {{
      {body}
      lifecycle {{
        ignore_changes = {ignore}
      }}
    }}
    """


def action(plan: Plan, address: str) -> Action:
    change = plan.change(address)
    assert change is not None, plan.diagnostics
    return change.action


@pytest.mark.parametrize(
    ("ignore", "before", "after", "expected"),
    [
        ("[size]", "size = 1", "size = 2", Action.KEEP),
        ("[text]", "size = 1", "size = 2", Action.CHANGE),
        ("[size, colour]", 'size = 1\ncolour = "red"', 'size = 2\ncolour = "blue"', Action.KEEP),
        ("all", 'size = 1\ntags = ["a"]', 'colour = "blue"\ntags = ["b", "c"]', Action.KEEP),
        ("[labels]", 'labels = { a = "1" }', 'labels = { b = "2" }', Action.KEEP),
        ('[labels["a"]]', 'labels = { a = "1", b = "1" }', 'labels = { a = "2", b = "1" }', Action.KEEP),
        ('[labels["a"]]', 'labels = { a = "1", b = "1" }', 'labels = { a = "2", b = "2" }', Action.CHANGE),
        ('[labels["c"]]', 'labels = { a = "1" }', 'labels = { a = "1", c = "2" }', Action.KEEP),
        ('[labels["c"]]', 'labels = { a = "1", c = "2" }', 'labels = { a = "1" }', Action.KEEP),
        ("[tags[0]]", 'tags = ["a", "b"]', 'tags = ["x", "b"]', Action.KEEP),
        ("[tags[0]]", 'tags = ["a", "b"]', 'tags = ["a", "x"]', Action.CHANGE),
        ("[part.one.weight]", 'part "one" {\n weight = 1\n }', 'part "one" {\n weight = 2\n }', Action.KEEP),
        ("[part]", 'part "one" {\n weight = 1\n wait = "2m"\n }', 'part "two" {\n weight = 2\n }', Action.KEEP),
        ("[settings.deep]", "settings = { deep = [1], b = 1 }", "settings = { deep = [2], b = 1 }", Action.KEEP),
        ("[secret]", 'secret = "one"', 'secret = "two"', Action.KEEP),
    ],
)
def test_ignored_changes_are_no_changes(bench: Bench, ignore: str, before: str, after: str, expected: Action) -> None:
    bench.write(thing(before, ignore))
    assert bench.apply().exit_code == 0
    bench.write(thing(after, ignore))
    assert action(bench.plan(), "thing.a") is expected


def test_what_is_ignored_keeps_its_value_when_something_else_changes(bench: Bench) -> None:
    bench.write(thing('size = 1\ntext = "a"', "[size]"))
    bench.apply()
    bench.write(thing('size = 2\ntext = "b"', "[size]"))
    bench.apply()
    arguments = bench.state.records["thing.a"].attributes["arguments"]
    assert (arguments["size"], arguments["text"]) == (1, "b")
    assert bench.plan().is_empty


def test_ignoring_that_comes_with_the_change_already_counts(bench: Bench) -> None:
    bench.write('thing "a" {\n  size = 1\n}')
    bench.apply()
    bench.write(thing("size = 5", "[size]"))
    assert bench.plan().is_empty


def test_what_is_new_takes_what_the_files_say(bench: Bench) -> None:
    bench.write(thing("size = 3", "all"))
    bench.apply()
    assert bench.state.records["thing.a"].attributes["arguments"]["size"] == 3


def test_remembered_references_and_quantities_are_what_they_were() -> None:
    from mlplan.spi.schema import RATE, Argument, BlockSchema, list_of, reference_to

    schema = BlockSchema(
        "", {"rate": Argument(RATE, ""), "to": Argument(list_of(reference_to("thing")), "")}, {}, {}
    )  # fmt: skip
    settings = {"rate": {"count": 4, "per": 60}, "to": ['module.m["k"].thing.a["x"].part.p', "thing.b"]}
    record = Record("thing.a", "thing", {"settings": settings})
    wanted: Any = Desired("thing.a", "thing", "a", {"rate": None, "to": ()}, ignored=((),))
    found = as_remembered(wanted, record, schema).arguments
    assert found["rate"] == Rate(4, 60)
    assert found["to"] == (Reference('module.m["k"].thing.a["x"]', ("part", "p")), Reference("thing.b"))


def test_a_path_covers_what_is_below_it() -> None:
    wanted = Desired("m", "m", "m", {}, ignored=(("train", "code"), ("gate",)))
    assert ignores(wanted, "train", "code")
    assert ignores(wanted, "gate", "x")
    assert not ignores(wanted, "train")
    assert ignores(Desired("m", "m", "m", {}, ignored=((),)), "train", "data")


TRIGGER = """
    thing "base" {{
      size = {size}
      text = "{text}"
    }}
    thing "a" {{
      lifecycle {{
        replace_triggered_by = [{by}]
      }}
    }}
"""


@pytest.mark.parametrize(
    ("by", "size", "text", "expected"),
    [
        ("thing.base", 2, "x", Action.REPLACE),
        ("thing.base.size", 2, "x", Action.REPLACE),
        ("thing.base.size", 1, "y", Action.KEEP),
        ("thing.base.text", 1, "y", Action.REPLACE),
        ("thing.base.identity", 2, "x", Action.KEEP),
        ("thing.base", 1, "x", Action.KEEP),
    ],
)
def test_what_changes_triggers(bench: Bench, by: str, size: int, text: str, expected: Action) -> None:
    bench.write(TRIGGER.format(size=1, text="x", by=by))
    assert bench.apply().exit_code == 0
    bench.write(TRIGGER.format(size=size, text=text, by=by))
    plan = bench.plan()
    assert action(plan, "thing.a") is expected
    if expected is Action.REPLACE:
        change = plan.change("thing.a")
        assert change is not None
        assert change.reasons[0].text == f"{by} changes, which replaces this"
        assert bench.apply(plan).exit_code == 0
        assert bench.plan().is_empty


def test_replacing_what_nothing_is_made_of_is_said(bench: Bench) -> None:
    bench.write('shelf "s" {\n  for_each = toset(["x", "y"])\n}\nthing "t" {\n  count = 2\n}')
    bench.apply()
    found = bench.plan(replace=('shelf.s["x"]', "thing.t", "thing.t[1]")).diagnostics
    assert [d.code for d in found] == ["cannot-replace", "cannot-replace"]
    assert "thing.t[0]" in found[1].detail
    assert THING.computed
