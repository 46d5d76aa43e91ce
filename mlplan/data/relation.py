"""How the files of a snapshot become a table of an engine: the reading functions and their options, as expression
trees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.data.csv_files import LONGEST_LINE, Headers, delimiter, headers_of, is_compressed
from mlplan.data.json_files import Layout, layout_of

if TYPE_CHECKING:
    from sqlglot import Expr

FILE = "mlplan:file"
"""Column that holds the path a row came from."""

PARQUET_ROW = "file_row_number"
"""Column that the engine adds to Parquet rows: position in the file, from 0."""

_BUFFER = 2 * LONGEST_LINE


def text(value: str) -> Expr:
    """Return a string literal; quoting is the renderer's work."""
    from sqlglot import exp

    return exp.Literal.string(value)


def name(value: str) -> Expr:
    """Return a column by its exact name."""
    from sqlglot import exp

    return exp.Column(this=exp.Identifier(this=value, quoted=True))


def call(function: str, *arguments: Expr, **options: Expr) -> Expr:
    """Return a call of an engine's function with named options."""
    from sqlglot import exp

    named = [exp.EQ(this=exp.to_identifier(option), expression=value) for option, value in options.items()]
    return exp.Anonymous(this=function, expressions=[*arguments, *named])


def hive_columns(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the partition columns that folders named "key=value" give, when all files have them."""
    keys = [tuple(part.partition("=")[0] for part in path.parts[:-1] if "=" in part) for path in paths]
    return keys[0] if keys and all(key == keys[0] for key in keys) else ()


def read(
    format: str,
    paths: Sequence[Path],
    *,
    missing: Sequence[str] = (),
    columns: Sequence[str] = (),
    numbered: bool = False,
) -> Expr:
    """Return the table that reads `paths` in their order.

    missing: texts that stand for no value in CSV. columns: what to read from JSON documents; none means the engine
    looks for itself. numbered: add `PARQUET_ROW`, Parquet only. Text formats are read as text, so that a wrong value is
    counted, not fatal.
    """
    from sqlglot import exp

    files = exp.Array(expressions=[text(str(path)) for path in paths])
    hive = exp.true() if hive_columns(paths) else exp.false()
    options: dict[str, Expr] = {
        "union_by_name": exp.true(),
        "filename": text(FILE),
        "hive_partitioning": hive,
        "hive_types_autocast": exp.false(),
    }
    if format == "parquet":
        if numbered:
            options[PARQUET_ROW] = exp.true()
        return exp.Table(this=call("READ_PARQUET", files, **options))
    if format == "csv":
        return _read_csv(headers_of(paths), options, missing)
    return exp.Table(this=call("READ_JSON", files, **options, **_json_options(columns, layout_of(paths))))


def _read_csv(headers: Headers, options: Mapping[str, Expr], missing: Sequence[str]) -> Expr:
    """Return the files of each header as a table of texts, the tables united by the names of their columns."""
    from sqlglot import exp

    tables: list[Expr] = []
    shared = {option: value for option, value in options.items() if option != "union_by_name"}
    for names, paths in headers.items():
        files = exp.Array(expressions=[text(str(path)) for path in paths])
        tables.append(exp.Table(this=call("READ_CSV", files, **shared, **_csv_options(names, paths, missing))))
    if len(tables) == 1:
        return tables[0]
    united: Any = exp.select("*").from_(tables[0])
    for table in tables[1:]:
        united = exp.Union(this=united, expression=exp.select("*").from_(table), distinct=False, by_name=True)
    return exp.Subquery(this=united, alias=exp.TableAlias(this=exp.to_identifier("files")))


def _csv_options(names: Sequence[str], paths: Sequence[Path], missing: Sequence[str]) -> Mapping[str, Expr]:
    """Fix the dialect (RFC 4180 in UTF-8, with a header) and the columns instead of guessing them from the first rows."""
    from sqlglot import exp

    columns = [
        exp.PropertyEQ(this=exp.to_identifier(column, quoted=True), expression=text("VARCHAR")) for column in names
    ]
    return {
        "auto_detect": exp.false(),
        "columns": exp.Struct(expressions=columns),
        "header": exp.true(),
        "delim": text(delimiter(paths[0])),
        "comment": text(""),
        "parallel": exp.false() if any(map(is_compressed, paths)) else exp.true(),
        "quote": text('"'),
        "escape": text('"'),
        "nullstr": exp.Array(expressions=[text(value) for value in ("", *missing)]),
        "max_line_size": exp.Literal.number(LONGEST_LINE),
        "buffer_size": exp.Literal.number(_BUFFER),  # otherwise many times the longest line, for every thread
    }


def _json_options(columns: Sequence[str], layout: Layout) -> Mapping[str, Expr]:
    from sqlglot import exp

    options: dict[str, Expr] = {
        "format": text(layout),
        "records": text("true"),
        "maximum_object_size": exp.Literal.number(LONGEST_LINE),
    }
    if columns:
        fields = [exp.PropertyEQ(this=exp.to_identifier(c, quoted=True), expression=text("JSON")) for c in columns]
        options["columns"] = exp.Struct(expressions=fields)
    return options
