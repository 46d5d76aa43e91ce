"""The part of `init` that fetches git modules and pins them by commit; nested ones are found as their callers arrive."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mlplan.app.compose import Settings, schemas
from mlplan.config.fetch import fetch
from mlplan.config.load import LOCK_FILE
from mlplan.config.lock import Lock, read_lock, write_lock
from mlplan.config.module_sources import GitSource
from mlplan.config.tree import TreeReader
from mlplan.lang.diagnostic import DiagnosticError

MOST_ROUNDS = 32


@dataclass(frozen=True)
class Installed:
    """A git module that is there now. new: its commit was not pinned before."""

    source: str
    commit: str
    new: bool


def install(settings: Settings, upgrade: bool = False) -> tuple[Installed, ...]:
    """Fetch every git module that is not here, at its pinned commit; pin those that are not pinned.

    upgrade: take what the refs are now, and pin that. Raises: DiagnosticError.
    """
    path = settings.root / LOCK_FILE
    lock, problems = read_lock(path)
    if problems:
        raise DiagnosticError(*problems)
    found: dict[str, Installed] = {}
    for _ in range(MOST_ROUNDS):
        reader = TreeReader(settings.root, tuple(schemas()), lock.modules)
        reader.read()
        wanted = dict(reader.missing)
        if upgrade:
            wanted |= {source.text: source for source in reader.fetched.values()}
        wanted = {text: source for text, source in wanted.items() if text not in found}
        if not wanted:
            break
        for text, source in wanted.items():
            found[text] = _install(settings, source, lock, upgrade)
            lock = replace(lock, modules={**lock.modules, text: found[text].commit})
            write_lock(path, lock)
    used = {text for text in lock.modules if text in reader.fetched or text in reader.missing}
    if used != set(lock.modules) and not reader.broken:
        write_lock(path, replace(lock, modules={text: lock.modules[text] for text in used}))
    return tuple(found.values())


def _install(settings: Settings, source: GitSource, lock: Lock, upgrade: bool) -> Installed:
    pinned = lock.modules.get(source.text)
    commit = fetch(settings.root, source, None if upgrade else pinned)
    return Installed(source.text, commit, commit != pinned)
