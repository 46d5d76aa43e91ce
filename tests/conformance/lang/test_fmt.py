"""`fmt` writes what `terraform fmt` writes: recorded answers for every case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlplan.lang.fmt import format_text

HERE = Path(__file__).parent
RECORDED: dict[str, str | None] = json.loads((HERE / "fmt_recorded.json").read_text())


def test_corpus_is_large_enough() -> None:
    assert len(RECORDED) >= 300


@pytest.mark.parametrize("text", RECORDED)
def test_formats_as_recorded(text: str) -> None:
    expected = RECORDED[text] if RECORDED[text] is not None else text
    assert format_text(text) == expected


@pytest.mark.parametrize("text", RECORDED)
def test_second_run_changes_nothing(text: str) -> None:
    once = format_text(text)
    assert format_text(once) == once
