"""Profiles of snapshots and of the prediction log: distributions small enough to keep, comparable without the data.

Without a reference two scans are made: a sample of rows gives the bins and the categories, then all rows are counted into
them. With a reference its bins are known and one scan is enough. `judge.drift` compares profiles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.data.bins import Histogram, edges_of
from mlplan.data.contract import Column, Contract
from mlplan.data.engines import DataEngine, open_engine
from mlplan.data.read import comparable, place_hash
from mlplan.data.relation import name
from mlplan.data.snapshot import Snapshot
from mlplan.data.trees import cast, grouped
from mlplan.data.view import View, open_view
from mlplan.ledger.profile import ColumnProfile, Profile

if TYPE_CHECKING:
    from sqlglot import Expr

BINS = 100
CATEGORIES = 100
SAMPLE = 100_000
"""Rows from which bins are chosen. Counts are always of all rows."""

_LEAST_SHARE = 0.001
"""Of the rows that a category has in a column with more values than can be kept."""

_MOST_AT_ONCE = 200
"""Columns counted in one query."""

_LARGEST = 1e150
"""Numbers beyond it, infinity too, are counted but have no part in mean and deviation, whose squares would overflow."""


def profiled_columns(contract: Contract) -> tuple[Column, ...]:
    """Return the columns that have a profile: not the label, keys, moments, nested values, nor anything personal."""
    return tuple(
        c
        for c in contract.columns.values()
        if not (c.label or c.pii or c.name in contract.key) and c.logical.scalar and not c.logical.temporal
    )


def profile(
    contract: Contract,
    snapshot: Snapshot,
    root: Path,
    reference: Profile | None = None,
    columns: Sequence[str] | None = None,
    cache: Path | None = None,
) -> Profile:
    """Return the profile of a snapshot; with `reference`, in its bins and of its columns. Raises QueryFailed."""
    paths = snapshot.paths(root)
    with open_engine(contract, paths, cache) as engine:
        view = open_view(engine, contract, snapshot.format, paths)
        wanted = [c for c in profiled_columns(contract) if c.name in view.stored]
        wanted = [c for c in wanted if columns is None or c.name in columns]
        if reference is None:
            bins = _choose_bins(engine, view, wanted, snapshot, root)
        else:
            bins = {c.name: Bins.of(reference.columns[c.name]) for c in wanted if c.name in reference.columns}
        made: dict[str, ColumnProfile] = {}
        rows = 0
        listed = list(bins)
        for start in range(0, max(1, len(listed)), _MOST_AT_ONCE):
            chosen = {column: bins[column] for column in listed[start : start + _MOST_AT_ONCE]}
            values = {column: name(column) for column in chosen}
            found, rows = count_profile(engine, view.table(list(chosen), flags=False), values, chosen)
            made |= found
    return Profile(snapshot.digest, rows, made)


@dataclass(frozen=True)
class Bins:
    """How a column is counted: by `edges` when it is numeric, by `categories` otherwise. open: edges come from a sample,
    so that the outermost bins reach to the smallest and largest value.
    """

    numeric: bool
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    open: bool = False

    @staticmethod
    def of(column: ColumnProfile) -> Bins:
        """Return the bins of a profile."""
        return Bins(column.type == "numeric", column.edges, column.categories)


def count_profile(
    engine: DataEngine, table: Expr, values: Mapping[str, Expr], bins: Mapping[str, Bins]
) -> tuple[dict[str, ColumnProfile], int]:
    """Return the profile of each column and the number of rows, in one scan of `table`. Raises QueryFailed."""
    from sqlglot import exp

    aggregates: list[Expr] = [exp.Count(this=exp.Star())]
    histograms: dict[str, Histogram] = {}
    sizes = []
    for column, how in bins.items():
        wanted = _aggregates(values[column], how)
        aggregates += wanted
        sizes.append(len(wanted))
        if not how.numeric:
            histograms[column] = Histogram(cast(values[column].copy(), "VARCHAR"), categories=how.categories)
        elif how.edges:
            histograms[column] = Histogram(cast(values[column].copy(), "DOUBLE"), how.edges)
    row, found = engine.counted(table, aggregates, list(histograms.values()))
    counts = dict(zip(histograms, found, strict=True))
    rows, position, made = int(row[0]), 1, {}
    for (column, how), size in zip(bins.items(), sizes, strict=True):
        make = _numeric_profile if how.numeric else _categorical_profile
        made[column] = make(column, how, rows, row[position : position + size], counts.get(column, ()))
        position += size
    return made, rows


def _aggregates(value: Expr, how: Bins) -> list[Expr]:
    """Return the count, of numbers also mean and deviation, smallest and largest finite value."""
    from sqlglot import exp

    if not how.numeric:
        return [exp.Count(this=value.copy())]
    number = cast(value.copy(), "DOUBLE")
    ends = [cast(exp.convert(end), "DOUBLE") for end in (-_LARGEST, _LARGEST)]
    usual = exp.Between(this=number.copy(), low=ends[0], high=ends[1])
    # a value, not a filter of each aggregate: engines work out the same value once, and hundreds of filters each anew
    finite = exp.Case(ifs=[exp.If(this=usual, true=number)])
    functions = [exp.Avg, exp.StddevSamp, exp.Min, exp.Max]
    return [exp.Count(this=value.copy()), *(f(this=finite.copy()) for f in functions)]


def _numeric_profile(
    column: str, how: Bins, rows: int, answers: Sequence[Any], counted: Sequence[int]
) -> ColumnProfile:
    present, mean, deviation, low, high = answers
    edges = how.edges
    counts = list(counted) if edges else [0, int(present)]
    if how.open and edges and low is not None:  # values beyond the sample belong to the outermost bins
        if low < edges[0]:
            counts[1] += counts[0]
            counts[0], edges = 0, (float(low), *edges[1:])
        if high > edges[-1]:
            counts[-2] += counts[-1]
            counts[-1], edges = 0, (*edges[:-1], float(high))
    return ColumnProfile(
        column, "numeric", rows, rows - int(present), tuple(counts), tuple(edges), mean=mean, deviation=deviation
    )


def _categorical_profile(
    column: str, how: Bins, rows: int, answers: Sequence[Any], counted: Sequence[int]
) -> ColumnProfile:
    (present,) = answers
    return ColumnProfile(column, "categorical", rows, rows - int(present), tuple(counted), (), how.categories)


def _choose_bins(
    engine: DataEngine, view: View, columns: Sequence[Column], snapshot: Snapshot, root: Path
) -> dict[str, Bins]:
    """Return bins at the quantiles, and the most frequent categories, of a sample that is the same every time."""
    from sqlglot import exp

    if not columns:
        return {}
    rows = snapshot.rows
    if rows is None:
        rows = int(engine.rows(exp.select(exp.Count(this=exp.Star())).from_(view.table([], flags=False)))[0][0])
    bins: dict[str, Bins] = {}
    for start in range(0, len(columns), _MOST_AT_ONCE):
        some = columns[start : start + _MOST_AT_ONCE]
        table = view.table([c.name for c in some], flags=False, rows=rows > SAMPLE)
        picked = [exp.alias_(comparable(name(c.name), c), c.name, quoted=True) for c in some]
        query = exp.select(*picked).from_(table)
        if rows > SAMPLE:
            share = exp.Literal.number(int(2**32 * SAMPLE / rows))
            query = query.where(grouped(exp.Mod(this=place_hash(root, 0), expression=exp.convert(2**32))) < share)
        arrays = engine.arrays(query)
        bins |= {c.name: _bins(c, arrays[c.name]) for c in some}
    return bins


def _bins(column: Column, sample: Any) -> Bins:
    import numpy as np

    present = np.ma.compressed(sample)
    if column.logical.numeric:
        values = present.astype(np.float64)
        return Bins(True, edges_of(values[np.isfinite(values)], BINS), open=True)
    counted = Counter(str(value) for value in present.tolist())
    ranked = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    if len(ranked) > CATEGORIES:  # near-unique values are no categories: which of them a sample holds twice is chance
        least = max(2, counted.total() * _LEAST_SHARE)
        ranked = [pair for pair in ranked if pair[1] >= least]
    declared = [_shown(value) for value in column.one_of or ()]
    names = dict.fromkeys((*declared, *(value for value, _ in ranked)))
    return Bins(False, categories=tuple(names)[:CATEGORIES])


def _shown(value: Any) -> str:
    """Return a declared value as the engine casts it to text."""
    return str(value).lower() if isinstance(value, bool) else str(value)
