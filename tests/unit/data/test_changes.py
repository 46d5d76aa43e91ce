"""Differences of contracts: who is hurt by each."""

from __future__ import annotations

from typing import Any

import pytest

from mlplan.data.changes import ContractChange, changes, class_of
from mlplan.data.contract import contract_from
from mlplan.data.looser import Looser, range_change, set_change, type_change

BASE: dict[str, Any] = {
    "id": {"type": "int"},
    "x": {"type": "float", "between": [0, 10]},
    "k": {"type": "string", "one_of": ["a", "b"], "nullable": True},
    "y": {"type": "bool", "label": True},
}


def definition(columns: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    given = {"source": "d.csv", "columns": BASE if columns is None else columns, **arguments}
    contract, problems = contract_from(given, "data_contract.d")
    assert contract is not None, problems
    return contract.definition()


def column(name: str, **body: Any) -> dict[str, Any]:
    return {**BASE, name: {**BASE.get(name, {}), **body}}


def without(name: str) -> dict[str, Any]:
    return {n: c for n, c in BASE.items() if n != name}


def found(after: dict[str, Any], before: dict[str, Any] | None = None) -> list[ContractChange]:
    return changes(definition() if before is None else before, after)


def one(after: dict[str, Any], before: dict[str, Any] | None = None) -> ContractChange:
    (change,) = found(after, before)
    return change


def test_nothing_changed() -> None:
    again = definition(column("x", description="in words"), owner="somebody", description="other words")
    assert found(again) == []
    assert class_of([]) == "none"


@pytest.mark.parametrize(
    "after",
    [
        definition(column("w", type="float", nullable=True)),
        definition(column("x", between=[-1, 10])),
        definition(column("x", between=[0, None])),
        definition(column("x", between=None)),
        definition(column("k", one_of=["a", "b", "c"])),
        definition(column("x", severity="warn")),
        definition(column("x", pii=True)),
        definition(column("id", type="float")),
        definition(column("id", type="decimal(20,0)")),
        definition(column("x", between=[5, 6], severity="warn")),
        definition(quality={"q": {"metric": "mean(x)", "at_most": 3, "severity": "warn"}}),
    ],
)
def test_wider_is_compatible(after: dict[str, Any]) -> None:
    assert class_of(found(after)) == "compatible"


@pytest.mark.parametrize(
    ("after", "place"),
    [
        (definition(column("w", type="float")), "columns.w"),
        (definition(column("x", between=[1, 10])), "columns.x.between"),
        (definition(column("x", between=[1, 20])), "columns.x.between"),
        (definition(column("k", one_of=["a"])), "columns.k.one_of"),
        (definition(column("k", nullable=False)), "columns.k.nullable"),
        (definition(column("id", unique=True)), "columns.id.unique"),
        (definition(column("k", length=[1, 1])), "columns.k.length"),
        (definition(column("k", matches="^a")), "columns.k.matches"),
        (definition(min_rows=5), "min_rows"),
        (definition(strict=True), "strict"),
        (definition(key=["id"]), "key"),
        (definition(quality={"q": {"metric": "mean(x)", "at_most": 3}}), "quality.q"),
        (definition(column("x", type="int")), "columns.x.type"),
    ],
)
def test_stricter_breaks_data_and_no_model(after: dict[str, Any], place: str) -> None:
    change = next(c for c in found(after) if c.writers)
    assert (change.place, change.breaking) == (place, True)
    if place != "key":
        assert not change.readers


@pytest.mark.parametrize(
    ("after", "place"),
    [
        (definition(without("x")), "columns.x"),
        (definition(column("x", nullable=True)), "columns.x.nullable"),
        (definition(column("x", type="string", between=None)), "columns.x.type"),
    ],
)
def test_what_models_use_breaks_only_those_that_use_it(after: dict[str, Any], place: str) -> None:
    change = next(c for c in found(after) if c.readers)
    assert change.place == place
    assert change.hurts({"x", "k"})
    assert change.hurts(None), "who does not say what it uses uses everything"
    assert not change.hurts({"k"})


def test_label_and_missing_texts_break_every_model() -> None:
    moved = {**without("y"), "y": {"type": "bool"}, "z": {"type": "bool", "label": True}}
    assert [c.place for c in found(definition(moved)) if c.hurts(set())] == ["columns.y.label", "columns.z"]
    assert one(definition(missing=["NA"])).hurts(set())


def test_a_key_is_no_feature_and_a_smaller_one_asks_more() -> None:
    assert one(definition(key=["id"])).hurts({"id"})
    two = definition(key=["id", "x"])
    fewer = one(definition(key=["id"]), two)
    assert (fewer.writers, fewer.readers) == (True, False)
    assert not one(two, definition(key=["id"])).writers


def test_bounds_of_quality_rules() -> None:
    def rule(**bounds: Any) -> dict[str, Any]:
        return definition(quality={"q": {"rule": "x > 1", **bounds}})

    assert not one(rule(at_least=0.9), rule()).writers, "all rows had to keep it before"
    assert one(rule(), rule(at_least=0.9)).writers
    assert one(rule(at_least=0.95), rule(at_least=0.9)).writers
    assert not one(definition(), rule()).breaking
    assert one(rule(at_least=0.9), rule(at_least=0.9, severity="warn")).writers


def test_texts_and_json() -> None:
    change = one(definition(column("x", between=[0, 5])))
    assert str(change) == "columns.x.between: [0, 10] → [0, 5]"
    assert change.to_json()["class"] == "breaking"
    assert str(one(definition(without("x")))) == "columns.x: removed"
    many = definition({**BASE, "k": {"type": "string", "one_of": [str(i) for i in range(20)], "nullable": True}})
    assert str(one(many)).endswith('"7", and 12 more]')


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        ([0, 10], [0, 10], Looser.SAME), ([None, 10], [0, 10], Looser.NARROWER), ([0, 10], [5, 20], Looser.NEITHER),
        (None, [None, None], Looser.SAME), ([0, None], [0, 5], Looser.NARROWER), ([0, 5], None, Looser.WIDER),
        (["2024-01-01", None], ["2023-01-01T00:00:00Z", None], Looser.WIDER), ([0, 1], ["2024-01-01", None], Looser.NEITHER),
    ],
)  # fmt: skip
def test_ranges(old: Any, new: Any, how: Looser) -> None:
    assert range_change(old, new) is how


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        ("int", "float", Looser.WIDER), ("float", "int", Looser.NARROWER), ("string", "int", Looser.NEITHER),
        ("decimal(10,2)", "decimal(12,2)", Looser.WIDER), ("decimal(10,2)", "decimal(10,4)", Looser.NEITHER),
        ("list(int)", "list(float)", Looser.WIDER), ("timestamp", "timestamptz", Looser.NEITHER),
        ("struct(a: int)", "struct(a: float)", Looser.WIDER), ("struct(a: int)", "struct(a: int, b: int)", Looser.NEITHER),
    ],
)  # fmt: skip
def test_types(old: str, new: str, how: Looser) -> None:
    assert type_change(old, new) is how


def test_true_is_not_one() -> None:
    assert set_change([1], [True]) is Looser.NEITHER
    assert set_change(["b", "a"], ["a", "b"]) is Looser.SAME
