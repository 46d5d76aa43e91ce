"""How the files of a snapshot become a table of an engine: the reading functions and their options, as expression
trees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import Expr

FILE = "mlplan:file"
"""Column that holds the path a row came from."""

PARQUET_ROW = "file_row_number"
"""Column that the engine adds to Parquet rows: position in the file, from 0."""

_LONGEST_LINE = 16 * 2**20
"""Bytes of the longest CSV line or JSON document that is read."""


def text(value: str) -> Expr:
    """Return a string literal; quoting is the renderer's work."""
    from sqlglot import exp

    return exp.Literal.string(value)


def name(value: str) -> Expr:
    """Return a column by its exact name."""
    from sqlglot import exp

    return exp.column(value, quoted=True)


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
        return exp.Table(this=call("READ_CSV", files, **options, **_csv_options(paths, missing)))
    return exp.Table(this=call("READ_JSON", files, **options, **_json_options(columns)))


def _csv_options(paths: Sequence[Path], missing: Sequence[str]) -> Mapping[str, Expr]:
    """Fix the dialect (RFC 4180 in UTF-8, with a header) instead of guessing it from the first rows."""
    from sqlglot import exp

    tabs = ".tsv" in paths[0].name.lower()
    return {
        "header": exp.true(),
        "all_varchar": exp.true(),
        "delim": text("\t" if tabs else ","),
        "quote": text('"'),
        "escape": text('"'),
        "nullstr": exp.Array(expressions=[text(value) for value in ("", *missing)]),
        "max_line_size": exp.Literal.number(_LONGEST_LINE),
    }


def _json_options(columns: Sequence[str]) -> Mapping[str, Expr]:
    from sqlglot import exp

    options: dict[str, Expr] = {
        "format": text("newline_delimited"),
        "maximum_object_size": exp.Literal.number(_LONGEST_LINE),
    }
    if columns:
        fields = [exp.PropertyEQ(this=exp.to_identifier(c, quoted=True), expression=text("JSON")) for c in columns]
        options["columns"] = exp.Struct(expressions=fields)
    return options
