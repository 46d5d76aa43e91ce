"""The list of diagnostic codes is read from the source text."""

from __future__ import annotations

from pathlib import Path

from mlplan.lang.codes import all_codes


def test_reads_calls_helpers_and_dicts(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        'x = Diagnostic("some-code", "Some sentence", detail, severity="warning")\n'
        'y = fail(expr, "other-code", "Another sentence", detail)\n'
        'z = {"third-code": "A third sentence"}\n'
        'n = f("no-code", "nosentence")\n'
    )
    found = all_codes(tmp_path)
    assert [(c.name, c.summary, c.warning) for c in found.values()] == [
        ("other-code", "Another sentence", False),
        ("some-code", "Some sentence", True),
        ("third-code", "A third sentence", False),
    ]


def test_knows_the_codes_of_this_program() -> None:
    found = all_codes()
    assert found["no-files"].summary == "There is nothing to plan"
    assert found["no-files"].modules == ("mlplan.config.load",)
    assert len(found) > 100
