"""`mlplan test`: runs share a state, failures can be expected, mocks touch nothing, and the project stays as it was."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mlplan.cli.main import run

MAIN = """\
variable "size" {
  type    = number
  default = 1
  validation {
    condition     = var.size < 100
    error_message = "too large: ${var.size}"
  }
}
environment "dev" {
  description = "size ${var.size}"
}
check "small" {
  assert {
    condition     = var.size < 50
    error_message = "getting large"
  }
}
output "size" {
  value = var.size
  precondition {
    condition     = var.size != 13
    error_message = "not thirteen"
  }
}
"""
MODEL = """\
data_contract "rows" {
  source  = "nowhere/*.parquet"
  columns = { x = { type = "float" }, y = { type = "bool", label = true } }
}
model "m" {
  task = "binary_classification"
  train {
    run  = "python train.py"
    code = ["train.py"]
    data = { train = data_contract.rows }
  }
  deploy_to = [environment.dev]
}
output "version" {
  value = model.m.version
}
"""
GOOD = """\
variables {
  size = 2
}
run "plans" {
  command = plan
  assert {
    condition     = environment.dev.description == "size 2"
    error_message = environment.dev.description
  }
}
run "applies" {
  variables {
    size = 3
  }
  assert {
    condition     = environment.dev.ready && output.size == 3
    error_message = "not ready"
  }
}
run "uses_what_came_before" {
  variables {
    size = run.applies.size + 1
  }
  assert {
    condition     = var.size == 4
    error_message = "size is ${var.size}"
  }
}
run "too_large" {
  command = plan
  variables {
    size = 1000
  }
  expect_failures = [var.size]
}
run "thirteen" {
  command = plan
  variables {
    size = 13
  }
  expect_failures = [output.size]
}
run "getting_large" {
  command = plan
  variables {
    size = 60
  }
  expect_failures = [check.small]
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project without a state."""
    (tmp_path / "main.mlplan.hcl").write_text(MAIN)
    return tmp_path


def events(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, object]]]:
    """Return exit code and events of `mlplan test --json`."""
    capsys.readouterr()
    code = run([f"-chdir={folder}", "test", "-json", *words])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def statuses(found: list[dict[str, object]]) -> dict[object, object]:
    """Return the status of every run."""
    return {event["run"]: event["status"] for event in found if event["type"] == "test_run"}


def test_runs_share_a_state_and_expected_failures_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "good.test.hcl").write_text(GOOD)
    before = sorted(folder.iterdir())
    code, found = events(folder, capsys)
    assert statuses(found) == {
        "plans": "pass", "applies": "pass", "uses_what_came_before": "pass", "too_large": "pass", "thirteen": "pass",
        "getting_large": "pass",
    }, found  # fmt: skip
    assert code == 0
    assert sorted(folder.iterdir()) == before, "the project must stay as it was"
    assert not list(Path(tempfile.gettempdir()).glob("mlplan-test-*/project/good.test.hcl"))


def test_what_fails_is_told_and_fails_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tests").mkdir()
    (folder / "tests" / "bad.test.hcl").write_text(
        'run "wrong" {\n  command = plan\n  assert {\n    condition     = var.size == 9\n'
        '    error_message = "size is ${var.size}"\n  }\n}\n'
        'run "calm" {\n  command         = plan\n  expect_failures = [var.size]\n}\n'
        'run "surprise" {\n  command = plan\n  variables {\n    size = 1000\n  }\n}\n'
        'run "never" {\n}\n'
    )
    report = folder / "report.xml"
    code = run([f"-chdir={folder}", "test", "-junit-xml", str(report)])
    shown = capsys.readouterr()
    assert code == 1
    assert 'run "wrong"... fail' in shown.out
    assert "Failure! 0 passed, 3 failed, 1 skipped." in shown.out
    assert "size is 1" in shown.err
    assert "[missing-failure]" in shown.err
    assert "too large: 1000" in shown.err
    suite = ElementTree.fromstring(report.read_text().partition("\n")[2])[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "4",
        "2",
        "1",
        "1",
    )


def test_mocks_stand_in_for_data_training_and_serving(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "model.mlplan.hcl").write_text(MODEL)
    (folder / "mock.test.hcl").write_text(
        'mock_provider "local" {\n  mock_resource "model" {\n    defaults = { version = 7 }\n  }\n}\n'
        "override_resource {\n  target          = data_contract.rows\n  values          = { rows = 42 }\n"
        "  override_during = plan\n}\n"
        'run "before" {\n  command = plan\n  assert {\n    condition     = data_contract.rows.rows == 42\n'
        '    error_message = "rows"\n  }\n}\n'
        'run "unknown" {\n  assert {\n    condition     = model.m.version == 7 && output.version == 7\n'
        '    error_message = "version ${model.m.version}"\n  }\n'
        '  assert {\n    condition     = model.m.deployment["dev"].url == "http://mocked.invalid"\n'
        '    error_message = "url"\n  }\n}\n'
    )
    code, found = events(folder, capsys)
    assert statuses(found) == {"before": "pass", "unknown": "pass"}, found
    assert code == 0


def test_mistakes_in_test_files_have_a_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "typo.test.hcl").write_text('run "a" {\n  comand = plan\n  asert {\n  }\n}\nruns "b" {\n}\n')
    assert run([f"-chdir={folder}", "test"]) == 1
    shown = capsys.readouterr().err
    assert 'Did you mean "command"?' in shown
    assert 'Did you mean "assert"?' in shown
    assert 'Did you mean "run"?' in shown
    assert "on typo.test.hcl line 2" in shown
    assert run([f"-chdir={folder}", "test", "-filter", "nothing.test.hcl"]) == 1
