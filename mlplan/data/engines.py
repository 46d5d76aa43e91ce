"""What every engine offers to the checks, and which one a contract asks for. It opens engines and knows no SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlplan.data.bins import Histogram
from mlplan.data.contract import Contract
from mlplan.data.engine import Engine, Pick, Texts

if TYPE_CHECKING:
    import pandas as pd
    from sqlglot import Expr


class DataEngine(Protocol):
    """Runs expression trees over files. Every method but `read` raises QueryFailed when it cannot answer.

    sorts_hashes: sorting all hashes of a key is cheap, because everything is in one process. numbers_rows: a numbered
    table counts the rows of each file in formats other than Parquet too.
    """

    sorts_hashes: bool
    numbers_rows: bool

    def read(
        self,
        format: str,
        paths: Sequence[Path],
        *,
        missing: Sequence[str] = (),
        columns: Sequence[str] = (),
        numbered: bool = False,
    ) -> Expr:
        """Return the table that reads files, as `relation.read` describes it."""
        ...

    def columns(self, relation: Expr) -> list[tuple[str, str]]:
        """Return (name, stored type as DuckDB calls it) of every column of a table of `read`."""
        ...

    def stored_types(self, paths: Sequence[Path]) -> dict[str, dict[str, str]]:
        """Return path -> {column: stored type} of Parquet files."""
        ...

    def rows(self, query: Expr, ordered: bool = True) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        ...

    def named(self, query: Expr) -> list[dict[str, Any]]:
        """Return all rows of a query as dictionaries by column name."""
        ...

    def arrays(self, query: Expr) -> dict[str, Any]:
        """Return the result of a query as numpy arrays by name, masked where a value is missing."""
        ...

    def frame(self, query: Expr) -> pd.DataFrame:
        """Return the result of a query as a data frame."""
        ...

    def first_rows(self, table: Expr, picks: Sequence[Pick], order: Sequence[Expr], most: int) -> list[list[Texts]]:
        """Return the values of the first rows, in `order`, in which the condition of each pick holds."""
        ...

    def counted(
        self, table: Expr, aggregates: Sequence[Expr], histograms: Sequence[Histogram]
    ) -> tuple[tuple[Any, ...], list[tuple[int, ...]]]:
        """Return the values of aggregates and the counts of histograms."""
        ...


@contextmanager
def open_engine(contract: Contract, files: Sequence[Path], cache: Path | None) -> Iterator[DataEngine]:
    """Lend the engine that a contract asks for. files: the only paths it will be asked to read. Raises QueryFailed.

    Diagnostics: invalid-memory-setting, missing-extra.
    """
    if contract.engine == "spark":
        from mlplan.data.spark import spark_engine

        with spark_engine(contract, files, cache) as spark:
            yield spark
    else:
        with Engine(files, cache) as embedded:
            yield embedded
