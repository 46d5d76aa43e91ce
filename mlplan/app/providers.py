"""`providers`: which providers the files use, for what, and whether they can work here."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

from mlplan.app.compose import DEFAULT_PROVIDER, Project
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.spi.capabilities import ProviderError


@dataclass(frozen=True)
class ProviderUse:
    """One provider. name: as the files call it; type: what is loaded; version: of its distribution, None when not installed.

    problem: why it cannot work here, None when it can.
    """

    name: str
    type: str
    version: str | None
    used_by: tuple[str, ...]
    problem: str | None


def providers(project: Project, check: bool = True) -> list[ProviderUse]:
    """Return the providers of the files, by name. check: ask each whether it can work here; that may reach out to it."""
    users: dict[str, list[str]] = {name: [] for name in project.program.providers}
    for instance in project.program.instances:
        if instance.kind == "environment":
            users.setdefault(instance.provider or DEFAULT_PROVIDER, []).append(instance.address)
    installed = {point.name: point.dist for point in importlib.metadata.entry_points(group="mlplan.providers")}
    found = []
    for name in sorted(users):
        config = project.program.providers.get(name)
        type_ = config.type if config is not None else name.partition(".")[0]
        distribution = installed.get(type_)
        version = distribution.version if distribution is not None else None
        problem = _problem(project, name) if check else None
        found.append(ProviderUse(name, type_, version, tuple(users[name]), problem))
    return found


def _problem(project: Project, name: str) -> str | None:
    try:
        project.providers.get(name).check()
    except ProviderError as error:
        return f"{error.summary}. {error.detail}".strip()
    except DiagnosticError as error:
        return " ".join(f"{d.summary}. {d.detail}" for d in error.diagnostics)
    return None
