"""Sources in PostgreSQL: `postgres://user@host:5432/database?table=schema.name`, copied to Parquet in a fixed order.

The table says of itself how many rows it has and what they hash to; only when that changed are they copied. The password
comes from PGPASSWORD or ~/.pgpass, never from files of the project.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from mlplan.data.fetched import Fetched, fetch, missing_package
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

_NAME = re.compile(r"[^\x00\"]{1,63}")
_BATCH = 20_000
_OPTIONS = ("sslmode", "sslrootcert", "connect_timeout", "host")
SCHEMES = ("postgres://", "postgresql://")


def fetch_table(text: str, root: Path) -> Fetched:
    """Return a copy of the table as it is in one moment. Raises: DiagnosticError."""
    parts = urlsplit(text)
    query = dict(parse_qsl(parts.query))
    names = [part.strip('"') for part in query.pop("table", "").split(".") if part]
    if len(names) not in (1, 2) or not all(_NAME.fullmatch(name) for name in names):
        raise DiagnosticError(_problem(f'"{_shown(parts)}" names no table. Write ?table=name or ?table=schema.name.'))
    if parts.password:
        detail = f'"{_shown(parts)}" has a password in it. Take it out; set PGPASSWORD, or write it into ~/.pgpass.'
        raise DiagnosticError(_problem(detail))
    try:
        import psycopg
    except ImportError as error:
        raise DiagnosticError(missing_package("postgres", error.name)) from error
    try:
        with psycopg.connect(**_connection(parts, query)) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            return _copied(connection, _shown(parts), names, root)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        detail = f'"{_shown(parts)}" cannot be read: {reason}. Check host, database, table, user and password (PGPASSWORD, ~/.pgpass).'
        raise DiagnosticError(Diagnostic("source-unreadable", "Data file cannot be read", detail)) from error


def _connection(parts: SplitResult, query: dict[str, str]) -> dict[str, Any]:
    unknown = sorted(set(query) - set(_OPTIONS))
    if unknown:
        raise DiagnosticError(_problem(f'"{_shown(parts)}" has unknown options: {", ".join(unknown)}.'))
    given = {"host": parts.hostname, "port": parts.port, "user": parts.username, "dbname": parts.path.lstrip("/")}
    return {"connect_timeout": 10, **{k: v for k, v in given.items() if v}, **query}


def _copied(connection: psycopg.Connection[Any], shown: str, names: list[str], root: Path) -> Fetched:
    from psycopg import sql

    table = sql.Identifier(*names)
    with connection.cursor() as cursor:
        # md5 of a row's text as a number; the sum does not depend on the order in which rows lie.
        cursor.execute(
            sql.SQL(
                "SELECT count(*), coalesce(sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint), 0)::text FROM {} t"
            ).format(table)
        )
        row = cursor.fetchone()
        cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(table))
        schema = [(c.name, c.type_code, c.precision, c.scale) for c in cursor.description or ()]
    mark = {"rows": row[0], "hash": row[1], "columns": [list(column) for column in schema]} if row else {}
    return fetch(root, shown, mark, lambda path: _write(connection, table, schema, path))


def _write(connection: psycopg.Connection[Any], table: Any, columns: list[tuple[Any, ...]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from psycopg import sql

    fields = [(name, *_arrow(connection, code, precision, scale)) for name, code, precision, scale in columns]
    schema = pa.schema([(name, type_) for name, type_, _ in fields])
    chosen = [
        sql.SQL("{}::text").format(sql.Identifier(name)) if as_text else sql.Identifier(name)
        for name, _, as_text in fields
    ]
    query = sql.SQL('SELECT {} FROM {} t ORDER BY t::text COLLATE "C"').format(sql.SQL(", ").join(chosen), table)
    with connection.cursor(name="mlplan_copy") as cursor, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        cursor.itersize = _BATCH
        cursor.execute(query)
        while rows := cursor.fetchmany(_BATCH):
            values = zip(*rows, strict=True)
            arrays = [pa.array(list(column), type_) for column, (_, type_, _) in zip(values, fields, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _arrow(
    connection: psycopg.Connection[Any], code: int, precision: int | None, scale: int | None
) -> tuple[pa.DataType, bool]:
    """Return the Arrow type of a column, and whether its values are read as text because it has no counterpart."""
    import pyarrow as pa

    found = connection.adapters.types.get(code)
    name = found.name if found else ""
    simple: dict[str, pa.DataType] = {
        "bool": pa.bool_(), "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(), "float4": pa.float32(),
        "float8": pa.float64(), "text": pa.string(), "varchar": pa.string(), "bpchar": pa.string(), "date": pa.date32(),
        "timestamp": pa.timestamp("us"), "timestamptz": pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    if name == "numeric" and precision and precision <= 38:
        return pa.decimal128(precision, scale or 0), False
    if found is not None and found.array_oid == code and name in simple:
        return pa.list_(simple[name]), False
    if name in simple:
        return simple[name], False
    return pa.string(), True


def _shown(parts: SplitResult) -> str:
    """Return the address without what is nobody's business."""
    host = parts.hostname or "localhost"
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return f"postgres://{user}{host}{port}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def _problem(detail: str) -> Diagnostic:
    return Diagnostic("source-not-supported", "Data source is not supported", detail)
