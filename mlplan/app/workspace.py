"""Workspaces: several states of one project. Which one commands use is kept in the project's own folder."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

from mlplan.app.compose import Project
from mlplan.app.run import holder
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.spi.store import WorkspaceStore

DEFAULT = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def selected(root: Path) -> str:
    """Return the workspace that was selected in this project, or the default one."""
    path = _path(root)
    return path.read_text(encoding="utf-8").strip() or DEFAULT if path.is_file() else DEFAULT


def names(project: Project) -> list[str]:
    """Return the workspaces that have a state, the default one always. Raises: DiagnosticError, StoreError."""
    return sorted({DEFAULT, *_store(project).workspaces()})


def select(project: Project, name: str) -> None:
    """Use a workspace from now on. Raises: DiagnosticError (unknown-workspace)."""
    known = names(project)
    if name not in known:
        detail = f'There is no workspace "{name}". Known: {", ".join(known)}. Make it:\n    mlplan workspace new {name}'
        raise DiagnosticError(
            Diagnostic("unknown-workspace", "There is no such workspace", detail, hint=suggestion(name, known))
        )
    _keep(project, name)


def new(project: Project) -> None:
    """Make the state of the workspace that the project was opened with, and use it. Raises: DiagnosticError, StoreError."""
    name = project.settings.workspace
    if name in _store(project).workspaces():
        detail = f'"{name}" is there already. Use it:\n    mlplan workspace select {name}'
        raise DiagnosticError(Diagnostic("workspace-exists", "There is such a workspace already", detail))
    project.ledger.initialise()
    _keep(project, name)


def delete(project: Project, force: bool) -> int:
    """Remove the workspace that the project was opened with; return how many addresses were forgotten with it.

    Raises: DiagnosticError (workspace-in-use, workspace-not-empty), LockHeld, StoreError.
    """
    name, store = project.settings.workspace, _store(project)
    if name in (DEFAULT, selected(project.settings.root)):
        why = "it is the default one" if name == DEFAULT else "it is the one in use; select another first"
        raise DiagnosticError(
            Diagnostic("workspace-in-use", "This workspace cannot be removed", f'"{name}" stays: {why}.')
        )
    known = store.workspaces()
    if name not in known:
        detail = f'There is no workspace "{name}". Known: {", ".join(names(project))}.'
        raise DiagnosticError(
            Diagnostic("unknown-workspace", "There is no such workspace", detail, hint=suggestion(name, known))
        )
    run = uuid.uuid4().hex[:12]
    lock = project.store.lock(holder(run, "workspace delete"), 0.0)
    try:
        records = project.ledger.open_read().records
        if records and not force:
            detail = (
                f'"{name}" remembers {len(records)} addresses, as {next(iter(records))}. What they stand for would run on with '
                f"nobody knowing. Remove it first:\n    mlplan destroy --workspace {name}\nor forget it with --force."
            )
            raise DiagnosticError(Diagnostic("workspace-not-empty", "This workspace is not empty", detail))
        store.remove(lock)
        project.pins.clear()
    finally:
        lock.release()
    return len(records)


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a workspace. Raises: DiagnosticError (invalid-workspace)."""
    if _NAME.fullmatch(name) is None:
        detail = f'"{name}" cannot name a workspace. Use letters, digits, ".", "_" and "-", at most 64, a letter or digit first.'
        raise DiagnosticError(Diagnostic("invalid-workspace", "This is no name of a workspace", detail))


def _store(project: Project) -> WorkspaceStore:
    if not isinstance(project.store, WorkspaceStore):
        kind = project.program.backend.type if project.program.backend is not None else "local"
        detail = f'The store "{kind}" cannot list its workspaces. Name the one you want with --workspace or MLPLAN_WORKSPACE.'
        raise DiagnosticError(Diagnostic("no-workspaces", "This store cannot list workspaces", detail))
    return project.store


def _keep(project: Project, name: str) -> None:
    path = _path(project.settings.root)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_text(name + "\n", encoding="utf-8")
    temporary.replace(path)


def _path(root: Path) -> Path:
    return root / ".mlplan" / "workspace"
