"""What arrived with a new snapshot: columns that came or went, files that are late, and files too small to be whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from mlplan.data.contract import Contract
from mlplan.data.engine import Engine
from mlplan.data.freshness import newest_of
from mlplan.data.relation import FILE, name
from mlplan.data.snapshot import Snapshot, difference, of_files
from mlplan.data.view import open_view

MOST_FILES = 200
"""New files whose rows are looked at one by one."""

_SMALL = 0.2
_LEAST_OTHERS = 3
_NAMED = 3


@dataclass(frozen=True)
class Arrival:
    """One new or changed file. Units: first and last seconds since the epoch of its rows; None without a time column."""

    path: str
    rows: int
    first: float | None = None
    last: float | None = None


def new_files(before: Snapshot | None, after: Snapshot) -> Snapshot | None:
    """Return the part of a snapshot that only new files make; None when files changed or went, or all are new."""
    found = difference(before, after)
    if before is None or found.changed or found.removed or not found.added or len(found.added) == len(after.files):
        return None
    added = set(found.added)
    return of_files(after.format, (file for file in after.files if file.path in added))


def arrivals(contract: Contract, snapshot: Snapshot, root: Path, cache: Path | None = None) -> list[Arrival]:
    """Return rows and time of each file of a snapshot of few files, by one scan of the time column. Raises QueryFailed."""
    from sqlglot import exp

    if len(snapshot.files) > MOST_FILES or contract.time is None:
        return []
    paths = snapshot.paths(root)
    shown = {str(path): file.path for path, file in zip(paths, snapshot.files, strict=True)}
    with Engine(paths, cache) as engine:
        view = open_view(engine, contract, snapshot.format, paths)
        if contract.time not in view.stored:
            return []
        table = view.table([contract.time], flags=False, rows=True)
        moments = [f(this=name(contract.time)) for f in (exp.Min, exp.Max)]
        query = exp.select(name(FILE), exp.Count(this=exp.Star()), *moments).from_(table).group_by(name(FILE))
        found = engine.rows(query)
    made = [Arrival(shown.get(str(f), str(f)), int(n), newest_of(low), newest_of(high)) for f, n, low, high in found]
    return sorted(made, key=lambda arrival: arrival.path)


def late_words(found: list[Arrival], newest: float | None) -> str:
    """Return which files hold only rows from before the newest one that was there already; empty when none does."""
    late = [a for a in found if newest is not None and a.last is not None and a.last < newest]
    shown = [f"{a.path} ({a.rows:,} rows, {_day(a.first)} to {_day(a.last)})" for a in late[:_NAMED]]
    if not shown:
        return ""
    more = f" and {len(late) - _NAMED} more" if len(late) > _NAMED else ""
    return f"{', '.join(shown)}{more}: all before {_day(newest)}, which was the newest row until now"


def small_words(before: Snapshot | None, after: Snapshot) -> str:
    """Return which new or changed files have far fewer bytes than the others, as half-written ones do; empty when none."""
    found = difference(before, after)
    fresh = {*found.added, *found.changed}
    others = [file.size for file in after.files if file.path not in fresh]
    if len(others) < _LEAST_OTHERS:
        return ""
    usual = median(others)
    small = [f for f in after.files if f.path in fresh and f.size < _SMALL * usual]
    shown = [f"{file.path} ({file.size:,} bytes)" for file in small[:_NAMED]]
    more = f" and {len(small) - _NAMED} more" if len(small) > _NAMED else ""
    return f"{', '.join(shown)}{more}: the others have about {usual:,.0f}; is it written to its end?" if small else ""


def column_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return how the stored columns differ, one phrase each: came, went, or are of another type."""
    words = [f"{column} came ({kind})" for column, kind in after.items() if column not in before]
    words += [f"{column} went" for column in before if column not in after]
    both = ((c, before[c], after[c]) for c in before if c in after and before[c] != after[c])
    return [*words, *(f"{column} {old} → {new}" for column, old, new in both)]


def _day(seconds: float | None) -> str:
    return "?" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="minutes")[:16]
