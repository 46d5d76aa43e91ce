"""The Spark engine: the same expression trees, rendered to Spark SQL and run by any master that Spark knows.

Which columns the files have, and as what they are stored, is read on this side as the embedded engine reads it; the rows
are read by Spark. Every machine of a cluster must see the files under the same paths.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.data.bins import Histogram, shifted
from mlplan.data.contract import Contract
from mlplan.data.engine import Engine, Pick, Texts, memory_limit
from mlplan.data.failure import QueryFailed
from mlplan.data.fetched import missing_package
from mlplan.data.relation import call, read, text
from mlplan.data.spark_dialect import to_spark
from mlplan.data.trees import is_there, when
from mlplan.lang.diagnostic import DiagnosticError

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession
    from sqlglot import Expr

    from mlplan.data.spark_files import Reading

_numbers = itertools.count()
_VALUE_ERRORS = (
    "ARITHMETIC_OVERFLOW", "BINARY_ARITHMETIC_OVERFLOW", "CAST_INVALID_INPUT", "CAST_OVERFLOW", "DIVIDE_BY_ZERO", "DATETIME_OVERFLOW",
    "NUMERIC_VALUE_OUT_OF_RANGE", "INVALID_FRACTION_OF_SECOND",
)  # fmt: skip


@contextmanager
def spark_engine(contract: Contract, files: Sequence[Path], cache: Path | None) -> Iterator[SparkEngine]:
    """Lend an engine on the master that a contract names. Raises QueryFailed. Diagnostics: missing-extra."""
    try:
        import pyspark  # noqa: F401
    except ImportError as error:
        raise DiagnosticError(missing_package("spark", error.name)) from error
    from mlplan.data.spark_session import session

    settings = {str(key): _setting(value) for key, value in (contract.spark.get("settings") or {}).items()}
    with (
        session(contract.spark.get("master"), settings, memory_limit()) as spark,
        Engine(files, cache) as embedded,
    ):
        engine = SparkEngine(spark, embedded)
        try:
            yield engine
        finally:
            engine.close()


def _setting(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


class SparkEngine:
    """Runs trees on a session. embedded: looks at footers and headers, never at rows."""

    sorts_hashes = False
    numbers_rows = True

    def __init__(self, spark: SparkSession, embedded: Engine) -> None:
        self._spark = spark
        self._embedded = embedded
        self._readings: dict[str, Reading] = {}
        self._relations: dict[str, Expr] = {}
        self._frames: set[str] = set()

    def close(self) -> None:
        """Forget the tables."""
        from py4j.protocol import Py4JError

        for table in self._frames:
            try:
                self._spark.catalog.dropTempView(table)
            except Py4JError:
                return  # the Java side is gone, and the tables with it

    def read(
        self,
        format: str,
        paths: Sequence[Path],
        *,
        missing: Sequence[str] = (),
        columns: Sequence[str] = (),
        numbered: bool = False,
    ) -> Expr:
        """Return a table that is made when the first query names it."""
        from sqlglot import exp

        from mlplan.data.spark_files import Reading

        if format == "arrow":
            raise QueryFailed("engine", "Spark does not read Arrow files; use Parquet, or leave out the engine.")
        relation = read(format, paths, missing=missing)
        stored = {} if format == "json" and columns else dict(self._embedded.columns(relation))
        by_file = self._embedded.stored_types(paths) if format == "parquet" else {}
        table = f"mlplan_{next(_numbers)}"
        self._readings[table] = Reading(
            format, tuple(paths), tuple(missing), tuple(columns), numbered, _without_file(stored), by_file
        )
        self._relations[table] = relation
        return exp.Table(this=exp.to_identifier(table))

    def columns(self, relation: Expr) -> list[tuple[str, str]]:
        """Return (name, stored type) of every column."""
        return self._embedded.columns(self._relations[relation.name])

    def stored_types(self, paths: Sequence[Path]) -> dict[str, dict[str, str]]:
        """Return path -> {column: stored type}."""
        return self._embedded.stored_types(paths)

    def rows(self, query: Expr, ordered: bool = True) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return [tuple(_plain(value) for value in row) for row in self._run(query)]

    def named(self, query: Expr) -> list[dict[str, Any]]:
        """Return all rows of a query as dictionaries by column name."""
        return [{key: _plain(value) for key, value in row.asDict().items()} for row in self._run(query)]

    def arrays(self, query: Expr) -> dict[str, Any]:
        """Return the result of a query as numpy arrays by name, masked where a value is missing."""
        import numpy as np

        frame = self.frame(query)
        return {str(c): np.ma.masked_array(frame[c].to_numpy(), mask=frame[c].isna().to_numpy()) for c in frame}

    def frame(self, query: Expr) -> pd.DataFrame:
        """Return the result of a query as a data frame."""
        with _asking():
            found: pd.DataFrame = self._frame(query).toArrow().to_pandas()  # its own way warns of pandas 3
            return found

    def first_rows(self, table: Expr, picks: Sequence[Pick], order: Sequence[Expr], most: int) -> list[list[Texts]]:
        """Return the first rows of each pick: one scan makes an entry of every row a pick wants, and Spark keeps the
        first entries of each pick while it reads.
        """
        from sqlglot import exp

        entries = []
        for position, (fields, condition) in enumerate(picks):
            entry = call("NAMED_STRUCT", text("i"), exp.Literal.number(position), text("f"), fields)
            entries.append(when(condition, entry))
        places = [exp.alias_(value, f"o{i}") for i, value in enumerate(order)]
        each = exp.alias_(call("EXPLODE", call("ARRAY_COMPACT", exp.Array(expressions=entries))), "h")
        wanted = exp.select(*places, each).from_(table).subquery("w")
        by = exp.Order(expressions=[exp.Ordered(this=exp.column(f"o{i}")) for i in range(len(order))])
        pick, fields = exp.column("i", table="h"), exp.column("f", table="h")
        rank = exp.Window(this=exp.RowNumber(), partition_by=[pick.copy()], order=by)
        ranked = (
            exp.select(exp.alias_(pick, "i"), exp.alias_(fields, "f"), exp.alias_(rank, "k"))
            .from_(wanted)
            .subquery("r")
        )
        kept = exp.select("i", "f").from_(ranked).where(exp.column("k") <= most).order_by("i", "k")
        found: list[list[Texts]] = [[] for _ in picks]
        for position, values in self.rows(kept):
            found[position].append(values)
        return found

    def counted(
        self, table: Expr, aggregates: Sequence[Expr], histograms: Sequence[Histogram]
    ) -> tuple[tuple[Any, ...], list[tuple[int, ...]]]:
        """Return aggregates and counts, in two scans: the bins of all histograms are grouped together."""
        from sqlglot import exp

        query = exp.select(*[exp.alias_(a, f"p{i}") for i, a in enumerate(aggregates)]).from_(table.copy())
        (values,) = self.rows(query)
        if not histograms:
            return values, []
        inputs = [exp.alias_(h.value.copy(), f"x{i}") for i, h in enumerate(histograms)]
        entries = [
            call("NAMED_STRUCT", text("i"), exp.Literal.number(i), text("b"), _bin(exp.column(f"x{i}"), h))
            for i, h in enumerate(histograms)
        ]
        each = exp.alias_(call("EXPLODE", exp.Array(expressions=entries)), "h")
        melted = exp.select(each).from_(exp.select(*inputs).from_(table).subquery("x")).subquery("m")
        which, bin_ = exp.column("i", table="h"), exp.column("b", table="h")
        grouped = exp.select(which, bin_, exp.Count(this=exp.Star())).from_(melted).where(is_there(bin_.copy()))
        counts = [[0] * (1 + len(h.categories if h.edges is None else h.edges)) for h in histograms]
        for i, b, n in self.rows(grouped.group_by(which.copy(), bin_.copy())):
            counts[i][b] = int(n)
        return values, [tuple(found) for found in counts]

    def _run(self, query: Expr) -> list[Any]:
        with _asking():
            return list(self._frame(query).collect())

    def _frame(self, query: Expr) -> DataFrame:
        from sqlglot import exp

        from mlplan.data.spark_files import frame_of

        for table in query.find_all(exp.Table):
            if table.name in self._readings and table.name not in self._frames:
                frame_of(self._spark, self._readings[table.name]).createOrReplaceTempView(table.name)
                self._frames.add(table.name)
        kinds = {table: reading.kinds for table, reading in self._readings.items()}
        return self._spark.sql(to_spark(query, kinds))


def _without_file(stored: Mapping[str, str]) -> dict[str, str]:
    from mlplan.data.relation import FILE

    return {column: kind for column, kind in stored.items() if column != FILE}


def _bin(value: Expr, histogram: Histogram) -> Expr:
    """Return the number of a value's bin, null where there is no value."""
    from sqlglot import exp

    if histogram.edges is not None:
        edges = shifted(histogram.edges)
        return when(is_there(value), _search(value, edges, 0, len(edges)))
    names = [
        part for i, category in enumerate(histogram.categories) for part in (text(category), exp.Literal.number(i))
    ]
    other = exp.Literal.number(len(histogram.categories))
    if not names:
        return when(is_there(value), other)
    known = call("TRY_ELEMENT_AT", call("MAP", *names), value.copy())
    return when(is_there(value.copy()), exp.Coalesce(this=known, expressions=[other]))


def _search(value: Expr, edges: Sequence[float], low: int, high: int) -> Expr:
    """Return how many edges are at most a value, by comparing it with the middle one, and so on."""
    from sqlglot import exp

    if low == high:
        return exp.Literal.number(low)
    middle = (low + high) // 2
    edge = exp.Cast(this=text(repr(edges[middle])), to=exp.DataType.build("DOUBLE"))
    if not math.isfinite(edges[middle]):
        edge = exp.Cast(this=text("Infinity"), to=exp.DataType.build("DOUBLE"))
    below = exp.LT(this=value.copy(), expression=edge)
    return when(below, _search(value, edges, low, middle), _search(value, edges, middle + 1, high))


def _plain(value: Any) -> Any:
    return value.asDict() if hasattr(value, "asDict") else value


class _asking:  # noqa: N801  (used as a statement)
    """Turns what Spark raises into QueryFailed."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from py4j.protocol import Py4JError, Py4JJavaError
        from pyspark.errors import PySparkException

        if isinstance(error, PySparkException | Py4JJavaError):
            raise _failed(error) from error
        if isinstance(error, Py4JError | ConnectionError):
            raise QueryFailed(
                "engine", "Spark ended while it was asked. Its memory or its machine may be too small."
            ) from error


def _failed(error: Any) -> QueryFailed:
    message = str(error)
    kind = "value" if any(f"[{code}" in message for code in _VALUE_ERRORS) else "read"
    if "OutOfMemoryError" in message or "OUT_OF_MEMORY" in message:
        kind = "memory"
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(("[", "Caused by"))]
    return QueryFailed(kind, " ".join((causes or lines)[0].split())[:400])
