"""`contract diff` between files, folders, git revisions, documents of the open standard and what was applied."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlplan.cli.main import run

pytestmark = pytest.mark.e2e

FILES = """\
data_contract "rows" {
  source  = "rows.csv"
  columns = {
    id = { type = "int" }
    a  = { type = "float", between = [0, 10] }
    y  = { type = "bool", label = true }
  }
}
model "m" {
  task = "binary_classification"
  train {
    run  = "python train.py"
    code = ["train.py"]
    data = { train = data_contract.rows }
  }
}
"""
WIDER = ("between = [0, 10]", "between = [0, 20]")
GONE = ('    a  = { type = "float", between = [0, 10] }\n', "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.mlplan.hcl").write_text(FILES)
    (tmp_path / "rows.csv").write_text("id,a,y\n" + "".join(f"{i},{i % 10},{i % 2 == 0}\n".lower() for i in range(30)))
    return tmp_path


def edit(folder: Path, before: str, after: str) -> None:
    text = (folder / "main.mlplan.hcl").read_text()
    assert before in text
    (folder / "main.mlplan.hcl").write_text(text.replace(before, after))


def document(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = run([*words, "-json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, found


def test_against_what_was_applied(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = f"-chdir={folder}"
    assert run([at, "init"]) == 0
    assert run([at, "apply", "-auto-approve", "-target=data_contract.rows"]) == 0
    assert document(capsys, at, "contract", "diff") == (
        0, {"format_version": "1.0", "old": "applied", "new": ".", "class": "none", "contracts": []},
    )  # fmt: skip
    edit(folder, *WIDER)
    assert run([at, "contract", "diff", "-detailed-exitcode"]) == 2
    assert "compatible" in capsys.readouterr().out
    assert run([at, "plan", "-target=data_contract.rows"]) == 0
    shown = capsys.readouterr().out
    assert "the rules changed (1 compatible)" in shown
    assert "columns.a.between: [0, 10] → [0, 20] (compatible)" in shown


def test_a_removed_column_breaks_models(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "old.hcl").write_text(FILES)
    edit(folder, *GONE)
    code, found = document(capsys, f"-chdir={folder}", "contract", "diff", "old.hcl", ".")
    assert (code, found["class"]) == (3, "breaking")
    (contract,) = found["contracts"]
    (model,) = contract["models"]
    assert (model["address"], model["must_retrain"]) == ("model.m", True)
    assert run([f"-chdir={folder}", "contract", "diff", "old.hcl", ".", "-markdown"]) == 3
    assert "### `data_contract.rows`: breaking" in capsys.readouterr().out


def test_revisions_and_documents(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    assert run([f"-chdir={folder}", "contract", "export", "odcs", "rows", "-out", str(folder / "rows.yaml")]) == 0
    edit(folder, *WIDER)
    assert document(capsys, f"-chdir={folder}", "contract", "diff", "HEAD")[1]["class"] == "compatible"
    assert document(capsys, f"-chdir={folder}", "contract", "diff", ".", "HEAD")[0] == 3
    places = {
        c["place"]
        for c in document(capsys, f"-chdir={folder}", "contract", "diff", "rows.yaml")[1]["contracts"][0]["changes"]
    }
    assert "columns.a.between" in places


@pytest.mark.parametrize(
    ("old", "code"),
    [("nowhere", "unknown-place"), ("applied", "not-initialised"), ("broken.hcl", "unknown-column-type")],
)
def test_places_that_cannot_be_compared(folder: Path, capsys: pytest.CaptureFixture[str], old: str, code: str) -> None:
    (folder / "broken.hcl").write_text(FILES.replace('"float"', '"flaot"'))
    assert run([f"-chdir={folder}", "contract", "diff", old]) == 1
    assert f"[{code}]" in capsys.readouterr().err
