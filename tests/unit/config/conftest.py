"""A small project whose files a test writes, loaded with the schemas of the nouns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mlplan.app.compose import schemas
from mlplan.config.load import load
from mlplan.config.program import Program
from mlplan.lang.diagnostic import Diagnostic


class ProjectFiles:
    """Writes files and loads them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Diagnostic] = []

    def write(self, text: str, name: str = "main.mlplan.hcl") -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def load(
        self, environment: Mapping[str, str] | None = None, files: tuple[Path, ...] = (), **variables: str
    ) -> Program:
        program, self.problems = load(
            self.root, schemas=schemas(), variables=variables, variable_files=files, environment=environment or {}
        )
        assert program is not None, self.problems
        return program

    def codes(self, **variables: str) -> list[str]:
        self.load(**variables)
        return [d.code for d in self.problems]


@pytest.fixture
def project(tmp_path: Path) -> ProjectFiles:
    return ProjectFiles(tmp_path)


Descriptions = Callable[[Program], dict[str, object]]


@pytest.fixture
def descriptions() -> Descriptions:
    def read(program: Program) -> dict[str, object]:
        evaluation = program.evaluation(lambda _: None)
        found = {}
        for instance in program.instances:
            arguments, problems = program.decode(instance, evaluation)
            assert not problems, problems
            found[instance.address] = arguments["description"]
        return found

    return read
