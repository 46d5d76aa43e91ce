"""Read exactly the listed Parquet files, in the listed order, with the declared types.

Which files, and their digests, is the core's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.schema import Column, Kind

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 65_536


def batches(paths: Sequence[Path], columns: Sequence[Column], rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
    """Yield tables of at most `rows` rows: files in the given order, rows in file order, memory bounded by one batch.

    A declared column that a folder named "key=value" gives is taken from there.
    Raises: ArtifactError `missing-data`, `unreadable-data`, `missing-column`, `wrong-type`.
    """
    import pyarrow as pa

    for path in paths:
        if not path.is_file():
            raise ArtifactError(
                "missing-data",
                "A data file is missing",
                f"{path} does not exist any more; it was part of the snapshot.",
            )
        folders = _folder_values(path, columns)
        inside = [column for column in columns if column.name not in folders]
        try:
            for table in _tables(path, inside, rows):
                for name, value in folders.items():
                    table = table.append_column(name, pa.array([value] * table.num_rows, pa.string()))
                yield _typed(_with_absent(table, columns), columns, path)
        except (pa.ArrowException, OSError) as error:
            first = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise ArtifactError("unreadable-data", "Cannot read the data", f"{path} cannot be read: {first}") from error


def read_table(paths: Sequence[Path], columns: Sequence[Column]) -> pa.Table:
    """Return all rows as one table; see `batches`."""
    import pyarrow as pa

    tables = list(batches(paths, columns))
    if not tables:
        return pa.table({c.name: pa.array([], type=_arrow_type(c.kind)) for c in columns})
    return pa.concat_tables(tables)


def _tables(path: Path, columns: Sequence[Column], rows: int) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        present = file.schema_arrow.names
        _require(present, columns, path)
        for batch in file.iter_batches(batch_size=rows, columns=[c.name for c in columns if c.name in present]):
            yield pa.Table.from_batches([batch])


def _folder_values(path: Path, columns: Sequence[Column]) -> dict[str, str]:
    """Return the declared columns that folders named "key=value" above a file give."""
    pairs = (part.partition("=") for part in path.parts[:-1] if "=" in part)
    declared = {column.name for column in columns}
    return {name: value for name, _, value in pairs if name in declared}


def _with_absent(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Return a table with the columns that may be missing and that a file written before they were declared has not."""
    import pyarrow as pa

    for column in columns:
        if column.name not in table.column_names:
            table = table.append_column(column.name, pa.nulls(table.num_rows, _arrow_type(column.kind)))
    return table


def _require(present: Sequence[str], columns: Sequence[Column], path: Path) -> None:
    missing = [c.name for c in columns if c.name not in present and not c.nullable]
    if missing:
        raise ArtifactError(
            "missing-column",
            "A column is missing in the data",
            f"{path.name} does not have {', '.join(missing)}; it has {', '.join(list(present)[:30])}. "
            "The data contract and the files do not agree: correct one of them.",
        )


def _typed(table: pa.Table, columns: Sequence[Column], path: Path) -> pa.Table:
    """Return the declared columns in the declared order, cast without loss."""
    import pyarrow as pa

    arrays = []
    for column in columns:
        values, wanted = table.column(column.name), _arrow_type(column.kind)
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if pa.types.is_timestamp(values.type) and values.type.tz is not None:
            values = values.cast(pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us"))
        try:
            arrays.append(values.cast(wanted) if values.type != wanted else values)
        except pa.ArrowException as error:
            raise ArtifactError(
                "wrong-type",
                "A column does not have its declared type",
                f'Column "{column.name}" of {path.name} is {values.type}, which does not become {column.type} without '
                "loss: "
                f"{str(error).splitlines()[0][:200]}",
            ) from error
    return pa.table(dict(zip([c.name for c in columns], arrays, strict=True)))


def _arrow_type(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("us"),
        "date": pa.timestamp("us"),
    }
    return types[kind]
