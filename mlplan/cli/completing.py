"""What the shell offers for addresses and workspaces. Says nothing when the files or the state cannot be read just now."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mlplan.lang.diagnostic import DiagnosticError
from mlplan.spi.store import StoreError


def addresses(incomplete: str) -> list[str]:
    """Return the addresses that the files declare, deployments included."""
    return _beginning(incomplete, _declared())


def decided(incomplete: str) -> list[str]:
    """Return addresses, and the short form of deployments: fraud@production."""
    every = _declared()
    short = []
    for address in every:
        model, found, environment = address.partition('.deployment["')
        if found:
            short.append(f"{model.removeprefix('model.')}@{environment.removesuffix(chr(34) + ']')}")
    return _beginning(incomplete, [*short, *every])


def workspaces(incomplete: str) -> list[str]:
    """Return the workspaces that have a state."""
    from mlplan.app.compose import Settings, open_project
    from mlplan.app.workspace import names

    try:
        return _beginning(incomplete, names(open_project(Settings(Path.cwd(), environment=dict(os.environ)))))
    except (DiagnosticError, StoreError):
        return []


def _declared() -> list[str]:
    from mlplan.app.compose import Settings, open_project
    from mlplan.app.graph import graph_of_files

    try:
        # Isolated: a completion must not wait for a store in another place.
        return list(
            graph_of_files(open_project(Settings(Path.cwd(), environment=dict(os.environ)), isolated=True)).actions
        )
    except (DiagnosticError, StoreError):
        return []


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
