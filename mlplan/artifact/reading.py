"""Read exactly the listed files, in the listed order, with the declared types.

Which files, and their digests, is the core's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.schema import Column, Kind

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 65_536


def batches(
    paths: Sequence[Path], form: str, columns: Sequence[Column], rows: int = BATCH_ROWS, missing: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """Yield tables of at most `rows` rows: files in the given order, rows in file order, memory bounded by one batch.

    form: "parquet", "csv" (with a header; an empty cell is a missing value) or "json" (a document a line). missing: further
    texts that stand for no value in CSV. A declared column that a folder named "key=value" gives is taken from there.
    Raises: ArtifactError `missing-data`, `unreadable-data`, `missing-column`, `wrong-type`.
    """
    import pyarrow as pa

    if form not in ("parquet", "csv", "json"):
        detail = f'The format "{form}" is not known; use "parquet", "csv" or "json".'
        raise ArtifactError("unreadable-data", "Cannot read the data", detail)
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
            for table in _tables(path, form, inside, rows, missing):
                for name, value in folders.items():
                    table = table.append_column(name, pa.array([value] * table.num_rows, pa.string()))
                yield _typed(_with_absent(table, columns), columns, path)
        except pa.ArrowException as error:
            first = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise ArtifactError(
                "unreadable-data", "Cannot read the data", f"{path} cannot be read as {form}: {first}"
            ) from error


def read_table(paths: Sequence[Path], form: str, columns: Sequence[Column], missing: Sequence[str] = ()) -> pa.Table:
    """Return all rows as one table; see `batches`."""
    import pyarrow as pa

    tables = list(batches(paths, form, columns, missing=missing))
    if not tables:
        return pa.table({c.name: pa.array([], type=_arrow_type(c.kind)) for c in columns})
    return pa.concat_tables(tables)


def _parquet(path: Path, columns: Sequence[Column], rows: int) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        present = file.schema_arrow.names
        _require(present, columns, path)
        for batch in file.iter_batches(batch_size=rows, columns=[c.name for c in columns if c.name in present]):
            yield pa.Table.from_batches([batch])


def _csv(path: Path, columns: Sequence[Column], rows: int, missing: Sequence[str]) -> Iterator[pa.Table]:
    from pyarrow import csv

    convert = csv.ConvertOptions(
        column_types={c.name: _arrow_type(c.kind) for c in columns},
        null_values=["", *missing],
        strings_can_be_null=True,
    )
    parse = csv.ParseOptions(delimiter="\t" if ".tsv" in path.name.lower() else ",", newlines_in_values=True)
    with csv.open_csv(path, convert_options=convert, parse_options=parse) as reader:
        header = list(reader.schema.names)
        names = _column_names(header)
        if names == header:
            _require(names, columns, path)
            yield from _sliced(reader, rows)
            return
    read = csv.ReadOptions(column_names=names, skip_rows_after_names=1)
    with csv.open_csv(path, read_options=read, convert_options=convert, parse_options=parse) as reader:
        _require(names, columns, path)
        yield from _sliced(reader, rows)


def _column_names(header: Sequence[str]) -> list[str]:
    """Return what the checks call the columns of a CSV header: without spaces around, `column_N` where there is no name."""
    return [name.strip() or f"column_{place}" for place, name in enumerate(header, 1)]


def _json(path: Path, columns: Sequence[Column], rows: int) -> Iterator[pa.Table]:
    import pyarrow as pa
    from pyarrow import json

    # Moments are read as they are written; `_typed` makes them what they are declared to be.
    texts = ("timestamp", "date")
    fields = [(c.name, pa.string() if c.kind in texts else _arrow_type(c.kind)) for c in columns]
    # A column that no document has is missing in all of them, as for the contract's checks.
    parse = json.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore")
    with pa.input_stream(path, compression="detect") as stream, json.open_json(stream, parse_options=parse) as reader:
        yield from _sliced(reader, rows)


def _sliced(reader: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    import pyarrow as pa

    for batch in reader:
        table = pa.Table.from_batches([batch])
        for start in range(0, table.num_rows, rows):
            yield table.slice(start, rows)


def _tables(path: Path, form: str, columns: Sequence[Column], rows: int, missing: Sequence[str]) -> Iterator[pa.Table]:
    if form == "parquet":
        return _parquet(path, columns, rows)
    return _csv(path, columns, rows, missing) if form == "csv" else _json(path, columns, rows)


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
