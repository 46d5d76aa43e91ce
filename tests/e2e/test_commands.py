"""The smaller commands on a project of environments alone: what they print where, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlplan.cli.main import run
from tests.e2e.running import mlplan, plain_environment

FILES = """\
variable "text" {
  type    = string
  default = "first"
}
environment "dev" {
  description = var.text
}
output "text" {
  value = upper(var.text)
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project that is initialised and applied."""
    (tmp_path / "main.mlplan.hcl").write_text(FILES)
    assert run([f"-chdir={tmp_path}", "init"]) == 0
    assert run([f"-chdir={tmp_path}", "apply", "-auto-approve"]) == 0
    return tmp_path


def test_workspaces(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = f"-chdir={folder}"
    capsys.readouterr()
    assert run([at, "workspace", "new", "staging"]) == 0
    assert run([at, "workspace", "list"]) == 0
    assert capsys.readouterr().out == "  default\n* staging\n"
    assert run([at, "state", "list"]) == 0
    assert capsys.readouterr().out == ""
    assert run([at, "state", "list", "-workspace", "default"]) == 0
    assert capsys.readouterr().out == "environment.dev\n"
    assert run([at, "workspace", "delete", "staging"]) == 1
    assert "[workspace-in-use]" in capsys.readouterr().err
    assert run([at, "apply", "-auto-approve"]) == 0
    assert run([at, "workspace", "select", "default"]) == 0
    capsys.readouterr()
    assert run([at, "workspace", "delete", "staging"]) == 1
    assert "mlplan destroy --workspace staging" in capsys.readouterr().err
    assert run([at, "workspace", "delete", "-force", "staging"]) == 0
    assert run([at, "workspace", "select", "stagin"]) == 1
    assert run([at, "workspace", "new", "../up"]) == 1
    assert not [p for p in (folder / ".mlplan" / "state").iterdir() if p.name != "default"]


def test_providers_and_evidence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run([f"-chdir={folder}", "providers", "-json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(f["name"], f["used_by"], f["problem"]) for f in found] == [("local", ["environment.dev"], None)]
    assert run([f"-chdir={folder}", "evidence"]) == 0
    assert capsys.readouterr().out == ""
    assert run([f"-chdir={folder}", "evidence", "environment.dve"]) == 1
    assert "Did you mean" in capsys.readouterr().err


def test_second_plan_is_empty_and_outputs_are_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = f"-chdir={folder}"
    assert run([at, "plan", "-detailed-exitcode"]) == 0
    assert run([at, "plan", "-detailed-exitcode", "-var", "text=second"]) == 2
    capsys.readouterr()
    assert run([at, "output", "-raw", "text"]) == 0
    assert capsys.readouterr().out.strip() == "FIRST"
    assert run([at, "output", "txet"]) == 1
    assert 'Did you mean "text"?' in capsys.readouterr().err


@pytest.mark.e2e
def test_fmt(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    crooked, straight = "x {\nab=1\nc = 2\n}\n", "x {\n  ab = 1\n  c  = 2\n}\n"
    files = [tmp_path / "a.mlplan.hcl", tmp_path / "inner" / "b.mlplan.hcl"]
    for file in files:
        file.write_text(crooked)
    checked = mlplan("fmt", "-check", "-diff", folder=tmp_path)
    assert checked.returncode == 3
    assert "+  ab = 1" in checked.stdout
    assert files[0].read_text() == crooked
    assert mlplan("fmt", "-", folder=tmp_path, given=crooked).stdout == straight
    assert mlplan("fmt", "-recursive", folder=tmp_path).stdout.split() == ["a.mlplan.hcl", "inner/b.mlplan.hcl"]
    assert [file.read_text() for file in files] == [straight, straight]
    (tmp_path / "c.mlplan.hcl").write_text("x = \n")
    broken = mlplan("fmt", folder=tmp_path)
    assert broken.returncode == 1
    assert "on c.mlplan.hcl line 1" in broken.stderr


@pytest.mark.e2e
def test_typos_get_suggestions_and_help_has_examples(tmp_path: Path) -> None:
    assert "Did you mean 'plan'?" in mlplan("paln", folder=tmp_path).stderr
    assert "--target" in mlplan("plan", "-targte", "x", folder=tmp_path).stderr
    shown = mlplan("plan", "-help", folder=tmp_path)
    assert shown.returncode == 0
    assert "mlplan plan --out plan.mlplan" in shown.stdout


@pytest.mark.e2e
def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mlplan.cli.main", "show", "-json"], cwd=folder, env=plain_environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        shown = process.stderr.read()
    assert (shown, process.returncode) == ("", 0)


@pytest.mark.e2e
def test_no_colour_in_a_pipe_and_the_version_as_json(folder: Path) -> None:
    shown = mlplan("plan", "-var", "text=second", folder=folder, environment={"TERM": "xterm-256color"})
    assert "\x1b[" not in shown.stdout + shown.stderr
    version = json.loads(mlplan("version", "-json", folder=folder).stdout)
    assert set(version["providers"]) >= {"local"}
    assert os.fspath(folder) not in str(version)


def test_files_that_cannot_be_written_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = f"-chdir={folder}"
    plan = str(folder / "p.mlplan")
    assert run([at, "plan", "-out", plan]) == 0
    assert run([at, "comment", plan, "-out", str(folder / "no" / "where.md")]) == 1
    assert "[file-unwritable]" in capsys.readouterr().err
    assert run([at, "plan", "-workspace", "../up"]) == 1
    assert "[invalid-workspace]" in capsys.readouterr().err
