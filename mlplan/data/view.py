"""The typed view: a snapshot's files as one table whose columns have the declared names and types.

Beside every column whose stored values can be wrong stands a flag column, so that one scan counts missing and wrong
values apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlplan.data.contract import Contract
from mlplan.data.conversion import convert
from mlplan.data.relation import FILE, PARQUET_ROW, hive_columns, name
from mlplan.data.trees import try_cast

if TYPE_CHECKING:
    from sqlglot import Expr

    from mlplan.data.engines import DataEngine

FLAG = "mlplan:wrong:"
"""Prefix of flag columns."""

STORED = "mlplan:stored:"
"""Prefix of columns with the text of a value as the file holds it, where a stored value can be wrong."""

ROW = "mlplan:row"
"""Column with the position of a row, from 1: in its file for Parquet, in all files together otherwise."""


@dataclass(frozen=True)
class View:
    """A typed view.

    table: selectable expression. stored: declared column -> type in the files, of those that are there. absent:
    declared, not there. undeclared: there, not declared. mismatched: stored as another type. flagged: has a flag
    column. present: every column of the files -> its stored type. numbered: the engine counts the rows of each file.
    """

    format: str
    stored: Mapping[str, str]
    absent: tuple[str, ...]
    undeclared: tuple[str, ...]
    mismatched: frozenset[str]
    selections: Mapping[str, Expr] = field(repr=False)
    flags: Mapping[str, Expr] = field(repr=False)
    source: Expr = field(repr=False)
    numbered_source: Expr = field(repr=False)
    present: Mapping[str, str] = field(default_factory=dict)
    numbered: bool = False

    def table(self, columns: Sequence[str] | None = None, *, flags: bool = True, rows: bool = False) -> Expr:
        """Return the view as a table to select from. rows: with `FILE`, `ROW` and `STORED`, which costs a little more."""
        from sqlglot import exp

        wanted = list(self.selections) if columns is None else [c for c in columns if c in self.selections]
        chosen = [_named(self.selections[c].copy(), c) for c in wanted]
        if flags:
            chosen += [_named(self.flags[c].copy(), FLAG + c) for c in wanted if c in self.flags]
        if rows:
            chosen += [name(FILE), exp.alias_(self._row_number(), ROW, quoted=True)]
            stored = [(c, try_cast(name(c), "VARCHAR")) for c in wanted if c in self.flags]
            chosen += [exp.alias_(text, STORED + c, quoted=True) for c, text in stored]
        if not chosen:
            chosen = [exp.alias_(exp.true(), "mlplan:row_exists", quoted=True)]
        source = self.numbered_source if rows else self.source
        return exp.select(*chosen).from_(source.copy()).subquery("v")

    def table_of(self, names: Iterable[str]) -> Expr:
        """Return the view with just the columns that `names`, columns or their flags, come from."""
        needed = {name.removeprefix(FLAG) for name in names}
        return self.table([column for column in self.selections if column in needed])

    def _row_number(self) -> Expr:
        from sqlglot import exp

        if self.numbered:
            return exp.Add(this=name(PARQUET_ROW), expression=exp.Literal.number(1))
        return exp.Window(this=exp.RowNumber())


def _named(expression: Expr, alias: str) -> Expr:
    from sqlglot import exp

    return exp.Alias(this=expression, alias=exp.Identifier(this=alias, quoted=True))


def open_view(engine: DataEngine, contract: Contract, format: str, paths: Sequence[Path]) -> View:
    """Return the view of `paths` as the contract declares them. Raises QueryFailed when a file cannot be read."""
    declared = list(contract.columns)
    hive = hive_columns(paths)
    source = engine.read(format, paths, missing=contract.missing)
    present = {column: stored for column, stored in engine.columns(source) if column != FILE}
    inside: list[str] = []
    if format == "json":
        inside = [column for column in declared if column not in hive] or [next(iter(present))]
        source = engine.read(format, paths, columns=inside)
    by_engine = format == "parquet" or engine.numbers_rows
    numbered = source
    if by_engine:
        numbered = engine.read(format, paths, missing=contract.missing, columns=inside, numbered=True)
    stored = {column: present[column] for column in declared if column in present}
    if format == "json":  # documents have no schema: a column that no document has is one that is always missing
        stored = {column: "VARCHAR" if column in hive else "JSON" for column in declared}
    selections, flags, mismatched = {}, {}, set()
    for column, kind in stored.items():
        as_text = format == "csv" or column in hive
        conversion = convert(name(column), kind, contract.columns[column].logical, as_text=as_text)
        selections[column] = conversion.value
        if conversion.wrong is not None:
            flags[column] = conversion.wrong
        if conversion.mismatch:
            mismatched.add(column)
    return View(
        format=format,
        stored=stored,
        absent=tuple(column for column in declared if column not in stored),
        undeclared=tuple(column for column in present if column not in contract.columns),
        mismatched=frozenset(mismatched),
        selections=selections,
        flags=flags,
        source=source,
        numbered_source=numbered,
        present=present,
        numbered=by_engine,
    )
