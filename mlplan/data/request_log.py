"""Profiles of windows of the prediction log: JSON lines that a server is still writing.

A line that is torn or is no such document is passed over; a file that has gone raises FileNotFoundError, since it was
rotated to another name and the caller must list the folder again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlplan.data.contract import Contract
from mlplan.data.engine import Engine
from mlplan.data.failure import QueryFailed
from mlplan.data.profile import Bins, count_profile
from mlplan.data.relation import call, text
from mlplan.data.trees import cast, try_cast
from mlplan.ledger.profile import ColumnProfile, Profile

if TYPE_CHECKING:
    import pandas as pd
    from sqlglot import Expr

_LONGEST_LINE = 16 * 2**20
_LINE, _DOCUMENT, _VALUES = "line", "document", "inputs"


def profile_requests(
    files: Sequence[Path],
    columns: Sequence[str],
    since: float,
    until: float,
    reference: Profile,
    version: str | None = None,
) -> Profile:
    """Return the profile of what was asked in [since, until), in the bins of a reference.

    Units: seconds since the epoch. version: only requests that this version answered. Columns that the reference does
    not have are left out. Raises FileNotFoundError, QueryFailed.
    """
    chosen = [column for column in columns if column in reference.columns]
    bins = {column: Bins.of(reference.columns[column]) for column in chosen}
    usable = [path for path in files if (status := path.stat()).st_size and status.st_mtime >= since]
    source = f"requests from {since:.0f} to {until:.0f}"
    if not usable:
        return Profile(source, 0, {column: _nothing(reference.columns[column]) for column in chosen})
    table = _window(usable, chosen, since, until, version)
    values = {column: _value(position, bins[column]) for position, column in enumerate(chosen, 1)}
    with Engine(usable, None) as engine:
        try:
            made, rows = count_profile(engine, table, values, bins)
        except QueryFailed:
            for path in usable:
                path.stat()
            raise
    return Profile(source, rows, made)


def sample_requests(
    files: Sequence[Path],
    contract: Contract,
    columns: Sequence[str],
    since: float,
    until: float,
    version: str | None = None,
    rows: int = 20_000,
) -> pd.DataFrame:
    """Return what was asked in [since, until), columns as in `read.sample_frame`: at most `rows` requests, chosen by the
    hash of their line. Raises FileNotFoundError, QueryFailed.
    """
    from sqlglot import exp

    usable = [path for path in files if (status := path.stat()).st_size and status.st_mtime >= since]
    if not usable:
        import pandas as pd

        return pd.DataFrame({column: [] for column in columns})
    bins = {column: Bins(contract.columns[column].logical.numeric) for column in columns}
    picked = [exp.alias_(_value(i, bins[c]), c, quoted=True) for i, c in enumerate(columns, 1)]
    query = exp.select(*picked).from_(_window(usable, columns, since, until, version))
    with Engine(usable, None) as engine:
        return engine.frame(query.order_by(call("HASH", exp.column(_VALUES, quoted=True))).limit(rows))


def _nothing(column: ColumnProfile) -> ColumnProfile:
    return ColumnProfile(column.name, column.type, 0, 0, (0,) * len(column.counts), column.edges, column.categories)


def _window(files: Sequence[Path], columns: Sequence[str], since: float, until: float, version: str | None) -> Expr:
    """Return the table of the window's requests, the asked values as a list of texts in the order of `columns`."""
    from sqlglot import exp

    line = exp.column(_LINE, quoted=True)
    whole = exp.Case(ifs=[exp.If(this=call("JSON_VALID", line), true=line.copy())])
    documents = exp.select(exp.alias_(whole, _DOCUMENT, quoted=True)).from_(_lines(files)).subquery("d")
    document = exp.column(_DOCUMENT, quoted=True)
    at = try_cast(_pick(document, "/at"), "DOUBLE")
    inside = [
        exp.GTE(this=at, expression=exp.convert(since)),
        exp.LT(this=at.copy(), expression=exp.convert(until)),
    ]
    if version is not None:
        inside.append(exp.EQ(this=_pick(document, "/version"), expression=text(version)))
    places = exp.Array(expressions=[text(f"/inputs/{_escaped(column)}") for column in columns] or [text("/inputs")])
    values = exp.alias_(call("JSON_EXTRACT_STRING", document.copy(), places), _VALUES, quoted=True)
    return exp.select(values).from_(documents).where(*inside).subquery("w")


def _lines(files: Sequence[Path]) -> Expr:
    """Return the lines of text files as a table; anything may stand in them."""
    from sqlglot import exp

    options: dict[str, Expr] = {
        "columns": exp.Struct(expressions=[exp.PropertyEQ(this=exp.to_identifier(_LINE), expression=text("VARCHAR"))]),
        "auto_detect": exp.false(),
        "header": exp.false(),
        "delim": text("\x01"),  # a control character is never bare in JSON, so that no line has two columns
        "quote": text(""),
        "escape": text(""),
        "strict_mode": exp.false(),
        "ignore_errors": exp.true(),
        "max_line_size": exp.Literal.number(_LONGEST_LINE),
    }
    paths = exp.Array(expressions=[text(str(path)) for path in files])
    return exp.Table(this=call("READ_CSV", paths, **options))


def _pick(document: Expr, pointer: str) -> Expr:
    return call("JSON_EXTRACT_STRING", document.copy(), text(pointer))


def _escaped(column: str) -> str:
    """Return a name as part of a JSON pointer (RFC 6901)."""
    return column.replace("~", "~0").replace("/", "~1")


def _value(position: int, how: Bins) -> Expr:
    """Return the value of the column at a position (from 1), of the type in which it is counted; NaN is missing."""
    from sqlglot import exp

    value = exp.Bracket(this=exp.column(_VALUES, quoted=True), expressions=[exp.Literal.number(position)], offset=1)
    if not how.numeric:
        return value
    number = try_cast(value, "DOUBLE")
    return exp.Nullif(this=number, expression=cast(text("NaN"), "DOUBLE"))
