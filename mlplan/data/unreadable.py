"""Why data could not be read: which file, and what to do. Also whether files changed while they were read."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mlplan.data.engine import MEMORY_SETTING, Engine
from mlplan.data.failure import QueryFailed
from mlplan.data.relation import name
from mlplan.data.sources import shown

_MOST_PROBED = 200
_LONGEST_REASON = 400

_SENTENCES = (
    (
        r"Line: (\d+).*Expected Number of Columns: (\d+) Found: (\d+)",
        "line {0} has {2} values and the header names {1} columns.",
    ),
    (r"Line: (\d+).*unterminated quote", "line {0} has a quote that is never closed, or text after a closing quote."),
    (r"Line: (\d+).*Invalid unicode", "line {0} is not text in UTF-8. Write the file in UTF-8."),
    (r"Parallel CSV Reader currently does not support", "it has a line that is too long to be read."),
    (r"Maximum line size of (\d+) bytes exceeded", "it has a line of more than {0} bytes; such a line is not read."),
    (
        r"state machine reached an invalid state",
        "its lines end in different ways, or a quote stands in the middle of a value (RFC 4180 doubles it).",
    ),
    (r"Line: (\d+)\s*Original Line.*?\n\s*(\w[^\n]*)", "line {0}: {1}"),
)
"""What the engine says of a text file -> what people need to know."""

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
    if failure.kind == "engine":
        return failure.message
    if failure.path is not None:
        return f'"{shown(failure.path, root)}" cannot be read as {format}: {failure.message}'
    for path in paths[:_MOST_PROBED]:
        reason = _probe(format, path, cache, missing)
        if reason is not None:
            return f'"{shown(path, root)}" cannot be read as {format}: {reason}'
    return f"The data cannot be read as {format}: {_short(failure.message, paths, root)}"


def _probe(format: str, path: Path, cache: Path | None, missing: Sequence[str]) -> str | None:
    from sqlglot import exp

    with Engine([path], cache, threads=1) as engine:
        try:
            columns = [column for column, _ in engine.columns(engine.read(format, [path], missing=missing))]
            counts = [exp.Count(this=name(column)) for column in columns]
            engine.rows(exp.select(*counts).from_(engine.read(format, [path], missing=missing)))
        except QueryFailed as failure:
            return failure.message if failure.path else _short(failure.message, [path], path.parent)
    return None


def _short(message: str, paths: Sequence[Path], root: Path) -> str:
    """Return the engine's reason in one line, without its advice on settings that nobody can set here, and without the
    line it stumbled over, which may hold personal data.
    """
    for pattern, sentence in _SENTENCES:
        if match := re.search(pattern, message, re.DOTALL):
            return sentence.format(*match.groups())
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
