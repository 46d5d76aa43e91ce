"""`init`: make the state, look whether providers can work, keep the project's own folder out of version control."""

from __future__ import annotations

from dataclasses import dataclass

from mlplan.app.compose import Project
from mlplan.engine.plan import from_provider
from mlplan.lang.diagnostic import Diagnostic
from mlplan.spi.capabilities import ProviderError


@dataclass(frozen=True)
class Initialised:
    """What init found and did."""

    lineage: str
    created: bool
    providers: tuple[str, ...]
    warnings: tuple[Diagnostic, ...]


def init(project: Project) -> Initialised:
    """Make the state unless there is one. Safe to repeat. Raises: DiagnosticError, StoreError."""
    folder = project.services.folder
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    created = not project.ledger.exists()
    state = project.ledger.initialise() if created else project.ledger.open_read()
    names = sorted({i.provider or "local" for i in project.program.instances if i.kind == "environment"})
    warnings = []
    for name in names:
        try:
            project.providers.get(name).check()
        except ProviderError as error:
            warnings.append(from_provider(error, f"provider.{name}"))
    return Initialised(state.lineage, created, tuple(names), tuple(warnings))
