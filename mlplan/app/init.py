"""`init`: make the state or move it here, look whether providers can work, keep the project's own folder out of version control."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from mlplan.app import backend
from mlplan.app.compose import Project, make_store, open_project
from mlplan.app.run import holder
from mlplan.engine.plan import from_provider
from mlplan.lang.diagnostic import Diagnostic
from mlplan.ledger.keys import Keyring, plain_key
from mlplan.ledger.migrate import Moved, migrate
from mlplan.spi.capabilities import ProviderError
from mlplan.spi.store import WorkspaceStore

OLD_KEY = "MLPLAN_OLD_ENCRYPTION_KEY"
"""Environment variable with the key of the place before, for a move out of encryption."""


@dataclass(frozen=True)
class Initialised:
    """What init found and did. moved: workspace -> what went over from the place before."""

    lineage: str
    created: bool
    providers: tuple[str, ...]
    warnings: tuple[Diagnostic, ...]
    moved: dict[str, Moved]
    before: str = ""


def init(project: Project, *, move: bool = False, anew: bool = False, timeout: float = 0.0) -> Initialised:
    """Make the state unless there is one. Safe to repeat. Units: `timeout` seconds.

    move: bring the state over from the place that was remembered. anew: use this place whatever was remembered. Raises:
    DiagnosticError (backend-changed), LockHeld, StoreError.
    """
    folder = project.services.folder
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    before = backend.remembered(project.settings.root) if not anew else None
    elsewhere = before is not None and not before.same(project.place)
    moved: dict[str, Moved] = {}
    if before is not None and elsewhere:
        if not move:
            raise backend.changed(before, project.place)
        moved = _move(project, before, timeout)
    created = not project.ledger.exists()
    state = project.ledger.initialise() if created else project.ledger.open_read()
    check = getattr(project.store, "check", None)
    if check is not None and not created:
        check()
    backend.remember(project.settings.root, project.place)
    names = sorted({i.provider or "local" for i in project.program.instances if i.kind == "environment"})
    warnings = []
    for name in names:
        try:
            project.providers.get(name).check()
        except ProviderError as error:
            warnings.append(from_provider(error, f"provider.{name}"))
    return Initialised(state.lineage, created, tuple(names), tuple(warnings), moved, str(before) if moved else "")


def _move(project: Project, before: backend.Place, timeout: float) -> dict[str, Moved]:
    """Move every workspace that the place before has."""
    settings = project.settings
    values = backend.arguments_of(before, project.program, settings.environment, settings.root)
    keys = project.keys.reading() if project.keys is not None else None
    given = settings.environment.get(OLD_KEY)
    if keys is None and given is not None:
        keys = Keyring(plain_key(given))
    old = make_store(before.type, values, settings, keys)
    names = old.workspaces() if isinstance(old, WorkspaceStore) else [settings.workspace]
    moved = {}
    for name in names:
        there = replace(settings, workspace=name)
        source = make_store(before.type, values, there, keys)
        if source.exists():
            target = project.store if name == settings.workspace else open_project(there, anywhere=True).store
            moved[name] = migrate(source, target, holder(uuid.uuid4().hex[:12], "init -migrate-state"), timeout)
    return moved
