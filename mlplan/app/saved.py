"""Saved plans of a project: what is written with them, and what they must be checked against."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mlplan import __version__
from mlplan.app.compose import DEFAULT_PROVIDER, DEFAULT_STORE, Project, Settings
from mlplan.app.encryption import find_block, keyring
from mlplan.config.variables import PREFIX
from mlplan.engine.plan import state_digest
from mlplan.engine.planfile import Present, check_fresh, project_key, read_plan, write_plan
from mlplan.engine.types import Given, Plan
from mlplan.ledger.records import State


def save(project: Project, made: Plan, path: Path) -> None:
    """Write a signed plan file. Raises: DiagnosticError."""
    settings = project.settings
    key = project_key(project.services.folder, settings.environment)
    write_plan(replace(made, given=_given(project)), path, key, project.keys)


def load(settings: Settings, path: Path) -> Plan:
    """Read a plan file; of the project's files only the block encryption is looked at. Raises: DiagnosticError."""
    keys = keyring(find_block(settings.root), settings.root, settings.environment)
    return read_plan(path, project_key(settings.root / ".mlplan", settings.environment), keys)


def restored(settings: Settings, saved: Plan) -> Settings:
    """Return settings with the variables that a plan was made with, below those that are given now."""
    files = settings.variable_files or tuple(settings.root / name for name in saved.given.variable_files)
    return replace(settings, variables={**saved.given.variables, **settings.variables}, variable_files=files)


def check(project: Project, saved: Plan, state: State) -> None:
    """Refuse a plan that does not fit what is there now. Raises: DiagnosticError (plan-stale)."""
    present = Present(
        state, state_digest(state), project.program.digest, project.pins.digest(), project.settings.workspace,
        programs(project),
    )  # fmt: skip
    check_fresh(saved, present)


def programs(project: Project) -> dict[str, str]:
    """Return the versions of mlplan and of the plug-ins from elsewhere that the project uses."""
    program = project.program
    backend = program.backend.type if program.backend is not None else DEFAULT_STORE
    used = {"mlplan.stores": {backend}, "mlplan.providers": {DEFAULT_PROVIDER}}
    used["mlplan.providers"] |= {config.type for config in program.providers.values()}
    found = {"mlplan": __version__}
    for group, names in used.items():
        for point in importlib.metadata.entry_points(group=group):
            if point.name in names and point.dist is not None and point.dist.name != "mlplan":
                found[point.dist.name] = point.dist.version
    return found


def _given(project: Project) -> Given:
    settings, declared = project.settings, project.program.module.variables
    texts: Mapping[str, str] = {
        **{n.removeprefix(PREFIX): v for n, v in settings.environment.items() if n.startswith(PREFIX)},
        **settings.variables,
    }
    known = {name: text for name, text in texts.items() if name in declared}
    hidden = {name for name in known if declared[name].sensitive}
    files = tuple(_relative(path, settings.root) for path in settings.variable_files)
    shown = {name: text for name, text in known.items() if name not in hidden}
    return Given(shown, files, tuple(sorted(hidden)), programs(project))


def _relative(path: Path, root: Path) -> str:
    absolute = path.resolve()
    return str(absolute.relative_to(root)) if absolute.is_relative_to(root) else str(absolute)
