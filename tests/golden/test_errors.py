"""One case a diagnostic code: what `mlplan validate` says about `errors/<code>.mlplan.hcl` is `errors/<code>.txt`.

A line `# -- name --` begins another file of the case; a first line `# var: name=value` gives a variable.
MLPLAN_ACCEPT=1 rewrites the expected texts.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mlplan.app.compose import Settings
from mlplan.app.validate import validate
from mlplan.lang.codes import all_codes
from mlplan.lang.source import SourceFile
from mlplan.report.diagnostics import diagnostics_text
from mlplan.report.style import Style

FOLDER = Path(__file__).parent / "errors"
CASES = sorted(FOLDER.glob("*.mlplan.hcl"))
ROOMS = ("mlplan.config.", "mlplan.lang.", "mlplan.app.validate")

ELSEWHERE = {
    "expression-too-costly": "tests/unit/lang",
    "file-too-large": "tests/unit/lang",
    "file-unreadable": "tests/unit/config: a file that is no text",
    "module-fetch-failed": "tests/unit/config: needs a repository",
    "missing-variable": "tests/unit/config: validate needs no values",
    "nesting-too-deep": "tests/unit/lang",
    "no-files": "tests/unit/config: needs a folder without files",
    "statement-too-long": "tests/unit/lang",
    "too-many-modules": "tests/unit/config: needs many folders",
}
"""Codes whose cases are made by a program, or need more than text files."""


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name.partition(".")[0])
def test_says_what_is_expected(case: Path, tmp_path: Path) -> None:
    code = case.name.partition(".")[0]
    variables = _unpack(case.read_text(encoding="utf-8"), tmp_path)
    found = validate(Settings(tmp_path, variables))
    sources = {
        path.relative_to(tmp_path).as_posix(): SourceFile(
            path.relative_to(tmp_path).as_posix(), path.read_text(encoding="utf-8")
        )
        for path in tmp_path.rglob("*.hcl")
    }
    text = diagnostics_text(found, sources, Style())
    expected = FOLDER / f"{code}.txt"
    if os.environ.get("MLPLAN_ACCEPT"):
        expected.write_text(text, encoding="utf-8")
    assert code in {d.code for d in found}
    assert text == expected.read_text(encoding="utf-8")


def test_every_code_of_files_and_expressions_has_a_case() -> None:
    wanted = {c.name for c in all_codes().values() if any(m.startswith(ROOMS) for m in c.modules)}
    have = {case.name.partition(".")[0] for case in CASES}
    assert sorted(wanted - have - ELSEWHERE.keys()) == []
    assert sorted(have - all_codes().keys()) == []


def _unpack(text: str, folder: Path) -> dict[str, str]:
    variables: dict[str, str] = {}
    first, _, rest = text.partition("\n")
    if first.startswith("# var: "):
        name, _, value = first.removeprefix("# var: ").partition("=")
        variables[name], text = value, rest
    parts = re.split(r"^# -- (.+) --\n", text, flags=re.MULTILINE)
    for name, content in [("main.mlplan.hcl", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return variables
