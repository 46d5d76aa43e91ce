"""Without values of variables the files can be checked, not planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlplan.app.compose import Settings
from mlplan.app.validate import validate

FILES = """
    variable "names" {
      type = set(string)
    }
    variable "port" {}
    environment "x" {
      for_each    = var.names
      description = "${each.key} ${WORD}"
    }
    environment "y" {
      count = length(var.names)
      port  = var.port
    }
    output "o" {
      value = environment.x["a"].ready
    }
    import {
      to = environment.z
      id = one(var.names)
    }
    environment "z" {}
"""


def test_a_plan_needs_values(project: Any) -> None:
    project.write(FILES.replace("WORD", "1"))
    assert project.codes()[:2] == ["missing-variable", "missing-variable"]


def test_validate_does_not(project: Any) -> None:
    project.write(FILES.replace("WORD", "1"))
    assert [d for d in validate(Settings(project.root)) if d.is_error] == []


def test_what_stands_in_a_block_is_checked_however_many_there_are(project: Any) -> None:
    project.write(FILES.replace("WORD", "nothing.at.all"))
    assert [d.code for d in validate(Settings(project.root))] == ["unknown-reference"]


def test_an_empty_folder_is_valid(tmp_path: Path) -> None:
    assert validate(Settings(tmp_path)) == ()
