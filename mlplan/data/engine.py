"""The embedded engine: one DuckDB connection that may read the given files and nothing else, within a memory limit.

It knows nothing of contracts: it renders expression trees to DuckDB's dialect and runs them. `engines` says what another
engine offers; `spark` is one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.data.bins import Histogram, count_in, counts_in
from mlplan.data.cheaper import with_cheaper_counts
from mlplan.data.failure import QueryFailed
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa
    from sqlglot import Expr

MEMORY_SETTING = "MLPLAN_DATA_MEMORY"
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB|Ki|Mi|Gi|Ti|K|M|G|T)?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_LEAST_MEMORY = 64 * 2**20
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


Pick = tuple["Expr", "Expr"]
"""(a row's values as one list of texts, the condition under which it is wanted)."""

Texts = Sequence[str | None]


class Engine:
    """A DuckDB connection for one task. Use as a context manager.

    files: the only paths it may open. cache: folder under which it spills. Units: `memory` bytes.
    """

    dialect = "duckdb"
    sorts_hashes = True
    numbers_rows = False

    def __init__(
        self, files: Sequence[Path], cache: Path | None, memory: int | None = None, threads: int | None = None
    ) -> None:
        import duckdb

        config: dict[str, Any] = {
            "memory_limit": f"{memory or memory_limit()}B",
            "threads": threads or len(os.sched_getaffinity(0)),
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        }
        if cache is not None:
            spill = cache / "spill"
            spill.mkdir(parents=True, exist_ok=True)
            config["temp_directory"] = str(spill)
        else:
            config["temp_directory"] = ""  # the engine's own default is the folder one happens to stand in
        self._connection: duckdb.DuckDBPyConnection = duckdb.connect(":memory:", config=config)
        self._tables = 0
        self._connection.execute("SET TimeZone = 'UTC'")
        # A file's statistics may lie, and those of floats leave NaN out: with them the engine "proves" that a condition
        # never holds, and a check would pass without a look at the values.
        # The other pushes TRY_CAST into the reader of CSV, where a text that is no number ends the query.
        self._connection.execute("SET disabled_optimizers = 'statistics_propagation,type_pushdown'")
        self._connection.execute("SET allowed_paths = ?", [[str(path) for path in files]])
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rows(self, query: Expr, ordered: bool = True) -> list[tuple[Any, ...]]:
        """Return all rows of a query; `QueryFailed` when it cannot be answered. The caller bounds their number."""
        return self._fetch(self._run(query))

    def named(self, query: Expr) -> list[dict[str, Any]]:
        """Return all rows of a query as dictionaries by column name."""
        result = self._run(query)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in self._fetch(result)]

    def frame(self, query: Expr) -> pd.DataFrame:
        """Return the result of a query as a data frame."""
        import duckdb

        try:
            return self._run(query).df()  # type: ignore[no-any-return]
        except duckdb.Error as error:
            raise _failed(error) from error

    def arrays(self, query: Expr) -> dict[str, Any]:
        """Return the result of a query as numpy arrays by name, masked where a value is missing."""
        import duckdb

        try:
            return self._run(query).fetchnumpy()  # type: ignore[no-any-return]
        except duckdb.Error as error:
            raise _failed(error) from error

    def batches(self, query: Expr, rows: int) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Return the columns of a query's result, and the result in batches of at most `rows` rows, in its order."""
        import duckdb

        try:
            reader = self._connection.sql(query.sql(dialect=self.dialect, comments=False)).to_arrow_reader(rows)
        except duckdb.Error as error:
            raise _failed(error) from error
        return reader.schema, self._each(reader)

    def _each(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        import duckdb
        import pyarrow as pa

        try:
            yield from reader
        except duckdb.Error as error:
            raise _failed(error) from error
        except (pa.ArrowException, OSError) as error:  # what the engine raises while its rows are taken
            raise QueryFailed("read", str(error).split("\n\nLINE ")[0].strip()) from error

    def columns(self, relation: Expr) -> list[tuple[str, str]]:
        """Return (name, stored type) of every column of a relation, without reading its rows."""
        from sqlglot import exp

        text = exp.select("*").from_(relation).limit(0).sql(dialect=self.dialect, comments=False)
        result = self._execute(text)
        return [(column[0], str(column[1])) for column in result.description]

    def read(
        self,
        format: str,
        paths: Sequence[Path],
        *,
        missing: Sequence[str] = (),
        columns: Sequence[str] = (),
        numbered: bool = False,
    ) -> Expr:
        """Return the table that reads files; see `relation.read`."""
        from mlplan.data.relation import read

        if format == "arrow":
            from mlplan.data.arrow_files import read_arrow

            return read_arrow(self._register, paths)
        return read(format, paths, missing=missing, columns=columns, numbered=numbered and format == "parquet")

    def _register(self, table: Any) -> str:
        self._tables += 1
        name = f"mlplan_arrow_{self._tables}"
        self._connection.register(name, table)
        return name

    def first_rows(self, table: Expr, picks: Sequence[Pick], order: Sequence[Expr], most: int) -> list[list[Texts]]:
        """Return the first rows of each pick, in one scan."""
        from sqlglot import exp

        place = exp.Tuple(expressions=list(order))
        selections: list[Expr] = []
        for position, (fields, condition) in enumerate(picks):
            arguments = [fields, place.copy(), exp.Literal.number(most)]
            first = exp.Anonymous(this="ARG_MIN", expressions=arguments)
            chosen = exp.Filter(this=first, expression=exp.Where(this=condition))
            selections.append(exp.alias_(chosen, f"e{position}"))
        (row,) = self.rows(exp.select(*selections).from_(table))
        return [found or [] for found in row]

    def counted(
        self, table: Expr, aggregates: Sequence[Expr], histograms: Sequence[Histogram]
    ) -> tuple[tuple[Any, ...], list[tuple[int, ...]]]:
        """Return the values of aggregates and the counts of histograms, in one scan."""
        from sqlglot import exp

        every = [*aggregates, *(count_in(histogram) for histogram in histograms)]
        (row,) = self.rows(exp.select(*[exp.alias_(s, f"p{i}") for i, s in enumerate(every)]).from_(table))
        answers = zip(row[len(aggregates) :], histograms, strict=True)
        return tuple(row[: len(aggregates)]), [counts_in(answer, histogram) for answer, histogram in answers]

    def stored_types(self, paths: Sequence[Path]) -> dict[str, dict[str, str]]:
        """Return path -> {column: stored type} of Parquet files, from their footers alone."""
        from sqlglot import exp

        files = exp.Array(expressions=[exp.Literal.string(str(path)) for path in paths])
        fields = [exp.column(field) for field in ("file_name", "name", "num_children", "duckdb_type")]
        footers = exp.Table(this=exp.Anonymous(this="PARQUET_SCHEMA", expressions=[files]))
        types: dict[str, dict[str, str]] = {str(path): {} for path in paths}
        skip: dict[str, int] = {}
        for file, column, children, kind in self.rows(exp.select(*fields).from_(footers)):
            if file not in skip:  # the first entry of a file is the root of its schema tree
                skip[file] = 0
            elif skip[file]:
                skip[file] += (children or 0) - 1
            else:
                types.setdefault(file, {})[column] = str(kind)
                skip[file] = children or 0
        return types

    def _run(self, query: Expr) -> Any:
        return self._execute(with_cheaper_counts(query).sql(dialect=self.dialect, comments=False, copy=False))

    def _fetch(self, result: Any) -> list[tuple[Any, ...]]:
        import duckdb

        try:
            return result.fetchall()  # type: ignore[no-any-return]
        except duckdb.Error as error:
            raise _failed(error) from error

    def _execute(self, text: str) -> Any:
        import duckdb

        try:
            return self._connection.execute(text)
        except duckdb.Error as error:
            raise _failed(error) from error


def _failed(error: Exception) -> QueryFailed:
    import duckdb

    message = str(error).split("\n\nLINE ")[0].strip()
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryFailed("memory", message)
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException):
        return QueryFailed("value", message)
    return QueryFailed("read", message)


def memory_limit() -> int:
    """Return the bytes an engine may use: the setting MLPLAN_DATA_MEMORY, or a quarter of what the machine or container
    has.

    Diagnostics: invalid-memory-setting.
    """
    text = os.environ.get(MEMORY_SETTING, "").strip()
    if not text:
        return max(_LEAST_MEMORY, _available() // 4)
    match = _MEMORY.fullmatch(text)
    unit = (match[2] or "").lower() if match else ""
    size = float(match[1]) * _FACTORS[unit.removesuffix("b")] if match else 0
    if size < _LEAST_MEMORY:
        detail = f'{MEMORY_SETTING} is "{text}". Write a size of at least 64MiB, such as "2GiB" or "500MB".'
        raise DiagnosticError(Diagnostic("invalid-memory-setting", "Invalid memory setting", detail))
    return int(size)


def _available() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(_CGROUP_LIMIT.read_text())
    except (OSError, ValueError):  # no such file outside of control groups; "max" means no limit
        return physical
    return min(physical, limit)
