"""Why data could not be read: which file, and what to do. Also whether files changed while they were read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mlplan.data.engine import MEMORY_SETTING, Engine, QueryFailed
from mlplan.data.relation import read
from mlplan.data.sources import shown

_MOST_PROBED = 200
_LONGEST_REASON = 400

Facts = tuple[int, int, int]
"""size, mtime_ns, inode."""


def file_facts(paths: Sequence[Path]) -> dict[Path, Facts | None]:
    """Return what the file system says of each path; None where there is no file."""
    return {path: _facts(path) for path in paths}


def moved(before: dict[Path, Facts | None]) -> list[Path]:
    """Return the paths that are not as they were."""
    return [path for path, facts in before.items() if _facts(path) != facts]


def why_unreadable(
    failure: QueryFailed,
    format: str,
    paths: Sequence[Path],
    root: Path,
    cache: Path | None,
    missing: Sequence[str] = (),
) -> str:
    """Return sentences that say which file cannot be read and why, reading each file alone to find it."""
    if failure.kind == "memory":
        return (
            f"The check needs more memory than it may use. Raise {MEMORY_SETTING} (for example to 4GiB), or check fewer "
            "columns at once."
        )
    for path in paths[:_MOST_PROBED]:
        reason = _probe(format, path, cache, missing)
        if reason is not None:
            return f'"{shown(path, root)}" cannot be read as {format}: {reason}'
    return f"The data cannot be read as {format}: {_short(failure.message, paths, root)}"


def _probe(format: str, path: Path, cache: Path | None, missing: Sequence[str]) -> str | None:
    from sqlglot import exp

    with Engine([path], cache, threads=1) as engine:
        try:
            engine.rows(
                exp.select(exp.Count(this=exp.Columns(this=exp.Star()))).from_(read(format, [path], missing=missing))
            )
        except QueryFailed as failure:
            return _short(failure.message, [path], path.parent)
    return None


def _short(message: str, paths: Sequence[Path], root: Path) -> str:
    """Return the engine's reason in one line, without its advice on settings that nobody can set here."""
    reason = message.partition(": ")[2] or message
    reason = reason.split("Possible Solution")[0].split("Possible fixes")[0].split("The search space used was")[0]
    for path in paths:
        reason = reason.replace(str(path), shown(path, root))
    reason = " ".join(reason.split())
    return reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"


def _facts(path: Path) -> Facts | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
