"""`mlplan validate` and `terraform validate` on the same mistakes: the same keys and places, and no values of variables are asked for."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import mlplan, plain_environment

NAMES = {"environment": 'resource "terraform_data"', "description": "input"}
CASES = {
    "good": 'variable "a" {}\nlocals {\n  b = var.a\n}\n',
    "reference": 'variable "a" {}\noutput "o" {\n  value = upper(var.missing)\n}\n',
    "arguments": 'locals {\n  é = "é"\n}\noutput "o" {\n  value = "é${upper("a", "b")}"\n}\n',
    "operand": 'locals {\n  s = [1]\n}\noutput "o" {\n  value = local.s + 1\n}\n',
    "unknown-for-each": 'variable "a" {\n  type = set(string)\n}\nenvironment "x" {\n  for_each    = var.a\n  description = upper(each.key, 1)\n}\n',
    "duplicate": 'output "a" {\n  value = 1\n}\noutput "a" {\n  value = 2\n}\n',
    "syntax": 'output "a" {\n  value = 1 +\n}\n',
    "empty": None,
}


def shape(document: Any) -> Any:
    """Return a document with types in place of values: what a reader of it relies on."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        return [shape(document[0])] if document else []
    return type(document).__name__


def ours(folder: Path, text: str | None) -> dict[str, Any]:
    if text is not None:
        (folder / "main.mlplan.hcl").write_text(text)
    done = mlplan("validate", "-json", folder=folder)
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if document["valid"] else 1)
    return document


@pytest.mark.parametrize("name", CASES)
def test_what_it_says_has_the_documented_shape(name: str, tmp_path: Path) -> None:
    found = ours(tmp_path, CASES[name])
    assert set(found) == {"format_version", "valid", "error_count", "warning_count", "diagnostics"}
    assert found["valid"] is (name in ("good", "empty"))
    assert found["error_count"] == len(found["diagnostics"]) == (0 if found["valid"] else 1)
    for diagnostic in found["diagnostics"]:
        place, snippet = diagnostic["range"], diagnostic["snippet"]
        data = str(CASES[name]).encode()
        marked = data[place["start"]["byte"] : place["end"]["byte"]]
        code = snippet["code"].encode()
        assert marked.startswith(code[snippet["highlight_start_offset"] : snippet["highlight_end_offset"]])
        assert snippet["start_line"] == place["start"]["line"]


@pytest.mark.parametrize("name", CASES)
def test_keys_and_places_are_those_of_terraform(name: str, tmp_path: Path) -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("needs terraform")
    theirs_folder, our_folder = tmp_path / "theirs", tmp_path / "ours"
    for folder in (theirs_folder, our_folder):
        folder.mkdir()
    text = CASES[name]
    if text is not None:
        for word, other in NAMES.items():
            text = text.replace(word, other)
        (theirs_folder / "main.tf").write_text(text)
    environment = {**plain_environment(), "CHECKPOINT_DISABLE": "1"}
    run = lambda *words: subprocess.run(  # noqa: E731
        [terraform, *words], cwd=theirs_folder, env=environment, capture_output=True, text=True, check=False
    )
    if "terraform_data" in (text or ""):
        run("init")
    theirs, found = json.loads(run("validate", "-json").stdout), ours(our_folder, CASES[name])
    for key in ("format_version", "valid", "error_count", "warning_count"):
        assert found[key] == theirs[key]
    for mine, other in zip(found["diagnostics"], theirs["diagnostics"], strict=True):
        assert set(other) <= set(mine)
        assert shape(mine["range"]) == shape(other["range"])
        if name != "syntax":  # it points at the end of the line that goes on nowhere, we at what stands there instead
            assert mine["range"]["start"]["line"] == other["range"]["start"]["line"]
        assert set(other["snippet"]) - {"function_call"} <= set(mine["snippet"])
