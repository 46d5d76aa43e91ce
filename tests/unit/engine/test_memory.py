"""Looking up what references may read."""

from __future__ import annotations

from mlplan.engine.memory import Memory, below, parents
from mlplan.ledger.records import Record
from tests.world.toys import ToyWorld, toy_kinds

KINDS = toy_kinds(ToyWorld())


def test_children_hang_under_their_parent_by_noun_and_key() -> None:
    records = {
        "shelf.s": Record("shelf.s", "shelf", {}),
        'shelf.s.slot["x.y[0]"]': Record('shelf.s.slot["x.y[0]"]', "slot", {"number": 3}),
    }
    assert Memory.of(records, KINDS).values("shelf.s")["slot"] == {"x.y[0]": {"number": 3}}
    assert Memory.of(records, KINDS).values("shelf.t") is None


def test_instances_are_no_children() -> None:
    assert below(['thing.a["x"]', "thing.b[0]", 'shelf.s["k"].slot["x"]'], KINDS) == {
        'shelf.s["k"]': ['shelf.s["k"].slot["x"]']
    }


def test_parents_are_found_from_the_inside_out() -> None:
    assert list(parents('shelf.s.slot["x"]')) == ["shelf.s", "shelf"]
