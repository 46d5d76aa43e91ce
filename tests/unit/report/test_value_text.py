"""Values and differences inside them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplan.engine.types import FieldChange
from mlplan.lang.values import Secret, Unknown
from mlplan.report.style import Style
from mlplan.report.value_text import field_lines, value_text

WIDE = Style(width=100)


def lines(before: Any, after: Any, labels: int | None = None, style: Style = WIDE) -> list[str]:
    return [line.strip() for line in field_lines(FieldChange("name", before, after, labels), style, 0)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("grey", "grey"), ("", '""'), ("3", '"3"'), ("-1.5", '"-1.5"'), ("30m", "30m"), ("true", '"true"'), (" a", '" a"'),
        ("a b", "a b"), ("a -> b", '"a -> b"'), ("(known)", '"(known)"'), (True, "true"), (None, "null"), (0.5, "0.5"),
        ([1, "a"], '[1, "a"]'), ({"k": None}, "{k = null}"), (Unknown(origin="known later"), "(known later)"),
        (Unknown(), "(known after apply)"), (Secret("x"), "(sensitive)"), ([Secret("x")], "[(sensitive)]"),
        ({"$secret": True}, "(sensitive)"), ({"a": {"$unknown": "known later"}}, "{a = (known later)}"),
    ],
)  # fmt: skip
def test_values_on_a_line(value: Any, shown: str) -> None:
    assert value_text(value) == shown


def test_a_secret_is_shown_nowhere() -> None:
    for before, after in (
        (None, Secret("hush")),
        (Secret("hush"), None),
        ({"a": Secret("hush")}, {"a": Secret("other")}),
    ):
        assert "hush" not in "".join(lines(before, after))


def test_a_list_shows_what_comes_and_goes() -> None:
    before = [f"column_number_{i}" for i in range(12)]
    after = [*before[:3], "fresh", *before[3:9], *before[10:]]
    assert lines(before, after) == [
        "~ name", "(2 unchanged)", '"column_number_2"', '+ "fresh"', '"column_number_3"', "(4 unchanged)",
        '"column_number_8"', '- "column_number_9"', '"column_number_10"', '"column_number_11"',
    ]  # fmt: skip


def test_a_text_of_lines_shows_the_lines() -> None:
    assert lines("a\nb\nc\n", "a\nB\nc\n") == ["~ name", "a", "- b", "+ B", "c"]
    assert lines(None, "a\nb\n") == ["+ name", "+ a", "+ b"]


def test_a_long_text_is_cut_to_where_it_differs() -> None:
    long = "x" * 300
    before, after = lines(f"{long} in May", f"{long} in June")[1:]
    assert before == "- …" + "x" * 20 + " in May"
    assert after == "+ …" + "x" * 20 + " in June"


def test_maps_and_blocks_show_only_what_differs() -> None:
    assert lines({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5}) == [
        "~ name", "~ b                  2 -> 4", "+ d                  5", "- c                  3", "(1 unchanged)"
    ]  # fmt: skip
    before = {"canary": {"name": "canary", "steps": [10, 100], "empty": None}}
    after = {"canary": {"name": "canary", "steps": [5, 100]}, "blue": {"name": "blue", "hold": "30m"}}
    assert lines(before, after, labels=1) == [
        '~ name "canary"', "~ steps              [10, 100] -> [5, 100]", '+ name "blue"', "+ hold               30m"
    ]  # fmt: skip


def test_deep_nesting_ends_on_one_line() -> None:
    value: Any = 1
    for _ in range(50):
        value = {"in": value}
    assert len(lines(None, value)) < 12


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(before=VALUES, after=VALUES, width=st.sampled_from([40, 60, 140]), labels=st.sampled_from([None, 0, 1]))
def test_any_difference_can_be_shown_and_stays_in_its_width(
    before: Any, after: Any, width: int, labels: int | None
) -> None:
    shown = field_lines(FieldChange("name", before, after, labels), Style(width=width), 6)
    for line in shown:
        assert "\n" not in line
        assert "\x1b" not in line
        assert len(line) <= max(width, len(line) - len(line.lstrip()) + 24)
