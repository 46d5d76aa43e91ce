"""Words as Terraform's users write them, and what every command has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from mlplan.cli import catalogue
from mlplan.cli.commands import application
from mlplan.cli.words import Vocabulary, command_word, normal


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("plan -out p.mlplan", "plan --out p.mlplan"),
        ("plan -out=p.mlplan -var=a=b", "plan --out=p.mlplan --var=a=b"),
        ("plan -refresh=false", "plan --no-refresh"),
        ("plan -refresh=true --json=true", "plan --refresh --json"),
        ("apply -auto-approve=false", "apply"),
        ("-chdir=there plan -json", "--chdir=there plan --json"),
        ("-chdir there plan", "--chdir there plan"),
        ("promote a@b -reason -because-", "promote a@b --reason -because-"),
        ("promote a@b -reason -out", "promote a@b --reason -out"),
        ("plan -targte x", "plan --targte x"),
        ("output -- -raw", "output -- -raw"),
        ("apply -y -h", "apply -y -h"),
        ("console -var -1", "console --var -1"),
    ],
)
def test_single_dashes_become_two(given: str, expected: str) -> None:
    known = Vocabulary.of(typer.main.get_command(application()))
    assert normal(given.split(), known) == expected.split()


def test_the_command_is_found_behind_a_global_option() -> None:
    assert command_word(["-chdir=x", "plan"]) == command_word(["-chdir", "x", "plan", "-out", "p"]) == "plan"
    assert command_word(["--help"]) == ""


def test_every_command_teaches() -> None:
    for command in _commands():
        assert command.help, command.name
        if not hasattr(command, "commands"):
            assert "Examples:" in (command.epilog or ""), command.name
        for option in command.params:
            assert getattr(option, "help", None), f"{command.name} {option.name}"


def test_the_catalogue_names_the_file_of_every_command() -> None:
    names = {command.name for command in typer.main.get_command(application()).commands.values()}  # type: ignore[attr-defined]
    assert names == set(catalogue.COMMANDS)
    for name, file in catalogue.COMMANDS.items():
        alone = typer.main.get_command(application(name))
        assert name in alone.commands, f"{name} is not in {file}"  # type: ignore[attr-defined]


def _commands() -> Iterator[Any]:
    queue: list[Any] = [typer.main.get_command(application())]
    while queue:
        command = queue.pop()
        inner = getattr(command, "commands", {})
        queue += inner.values()
        yield command
