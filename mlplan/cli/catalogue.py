"""Which file holds which command, so that a run imports no more than the command that it was asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import typer

# In the order in which help lists them: the story first, then looking, deciding, and tools around the files.
COMMANDS = {
    "init": "project",
    "validate": "project",
    "fmt": "project",
    "plan": "planning",
    "apply": "planning",
    "destroy": "planning",
    "check": "planning",
    "import": "importing",
    "show": "showing",
    "output": "showing",
    "history": "stating",
    "explain": "showing",
    "evidence": "knowing",
    "comment": "showing",
    "report": "reporting",
    "state": "stating",
    "workspace": "workspace",
    "promote": "deciding",
    "abort": "deciding",
    "release": "deciding",
    "override": "deciding",
    "force-unlock": "stating",
    "console": "console",
    "graph": "graph",
    "contract": "contract",
    "test": "testing",
    "schema": "language",
    "language-server": "language",
    "providers": "knowing",
    "version": "project",
}


def register(application: typer.Typer, wanted: str) -> None:
    """Add the command that is wanted; every command when it is none of them: for help, and to suggest the one that was meant."""
    names = [COMMANDS[wanted]] if wanted in COMMANDS else list(dict.fromkeys(COMMANDS.values()))
    for name in names:
        importlib.import_module(f"mlplan.cli.{name}").register(application)
    place = {name: index for index, name in enumerate(COMMANDS)}
    application.registered_commands.sort(key=lambda c: place.get(c.name or "", len(place)))


def add(
    application: typer.Typer, command: Callable[..., int], name: str = "", examples: str = "", **settings: Any
) -> None:
    """Add a command; its help ends with examples, one a line, kept as they are written."""
    # click rewraps paragraphs unless they begin with a line that holds nothing but a backspace.
    epilog = "\b\nExamples:\n" + "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
    application.command(name or command.__name__.replace("_", "-"), epilog=epilog if examples else None, **settings)(
        command
    )
