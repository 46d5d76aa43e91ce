"""Hostile text at every sink: nothing moves the cursor, turns the direction, hides, mentions or becomes markup."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplan.report.safe import cell, code, fence, one_line, pad, safe_text, width

HOSTILE = {
    "ansi": "\x1b[2J\x1b]0;title\x07",
    "control": "a\x00b\x08c\rd\x7fe\x9b31m",
    "direction": "\u202egnp.exe\u2066x\u2069\u061c",
    "hidden": "a\u200bb\ufeffc\u00add\u2060e\U000e0041f",
    "lines": "a\u2028b\u2029c\x85d",
    "halves": "\ud800x\udfff",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_could_act_is_shown_as_an_escape(name: str) -> None:
    for text in (safe_text(HOSTILE[name]), one_line(HOSTILE[name]), cell(HOSTILE[name]).replace("\u200b", "")):
        assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text)
        text.encode()
    assert "\\u" in safe_text(HOSTILE[name]).lower()


@given(st.text())
def test_no_text_keeps_a_control_or_format_character(text: str) -> None:
    assert all(unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") for c in one_line(text))
    assert "\u202e" not in one_line(text)
    assert len(one_line(text, 10)) <= 10


@pytest.mark.parametrize(
    ("text", "never"),
    [
        ("@everyone", "@everyone"), ("see #12", "#12"), ("<img src=x>", "<img"), ("[a](javascript:x)", "[a](javascript:"),
        ("a | b", " | "), ("**bold**", "**"), ("`code`", "`code`"), ("https://evil.example", "https://"),
        ("www.evil.example", "www.evil"), ("![x](y)", "!["), ("&lt;", "&lt"), ("~~x~~", "~~"),
    ],
)  # fmt: skip
def test_markdown_is_not_read_in_a_cell(text: str, never: str) -> None:
    assert re.search(r"(?<!\\)" + re.escape(never), cell(text)) is None


@given(st.text(alphabet="`| ab\n\\", max_size=30))
def test_code_is_closed_by_its_own_ticks_alone(text: str) -> None:
    shown = code(text)
    ticks = len(shown) - len(shown.lstrip("`"))
    assert shown.endswith("`" * ticks)
    assert "`" * ticks not in shown[ticks:-ticks]
    assert "\n" not in shown
    assert "|" not in shown.replace("\\|", "")


@given(st.text(alphabet="`~ab\n", max_size=40))
def test_a_fence_is_longer_than_what_is_in_it(text: str) -> None:
    lines = fence(text).split("\n")
    assert all(not line.startswith(lines[0]) for line in lines[1:-1])
    assert lines[-1] == lines[0]


def test_width_counts_columns() -> None:
    assert [width(t) for t in ("abc", "数据", "e\u0301")] == [3, 4, 1]
    assert pad("数", 4) == "数  "
    assert pad("long", 2) == "long"
