"""How the files of a snapshot become a data frame of Spark, with the same columns and values as in the embedded engine.

Parquet keeps its types; CSV is text in every column; JSON is a variant in every column. Values of folders named
"key=value" are texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.data.csv_files import Headers, delimiter, headers_of
from mlplan.data.failure import QueryFailed
from mlplan.data.json_files import layout_of
from mlplan.data.relation import FILE, PARQUET_ROW, hive_columns
from mlplan.data.spark_dialect import Kinds, member_path

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_BLOCK, _ORDER = "mlplan:block", "mlplan:order"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Reading:
    """What to read, as `relation.read` takes it. stored: column -> type as DuckDB calls it. by_file: the same of each
    Parquet file.
    """

    format: str
    paths: tuple[Path, ...]
    missing: tuple[str, ...]
    columns: tuple[str, ...]
    numbered: bool
    stored: Mapping[str, str]
    by_file: Mapping[str, Mapping[str, str]]

    @property
    def kinds(self) -> Kinds:
        """Return which columns are texts, floats or JSON."""
        texts = {FILE, *hive_columns(self.paths)}
        if self.format == "csv":
            return dict.fromkeys((*self.stored, *texts), "text")
        if self.format == "json":
            return {**dict.fromkeys(self.columns, "variant"), **dict.fromkeys(texts, "text")}
        texts |= {column for column, kind in self.stored.items() if kind == "VARCHAR"}
        floats = {column for column, kind in self.stored.items() if kind in ("FLOAT", "DOUBLE")}
        return {**dict.fromkeys(floats, "float"), **dict.fromkeys(texts, "text")}


def frame_of(spark: SparkSession, reading: Reading) -> DataFrame:
    """Return the data frame of files. Raises QueryFailed."""
    load = {"parquet": _parquet, "csv": _csv, "json": _json}[reading.format]
    frame = load(spark, reading)
    return _numbered(frame) if reading.numbered and reading.format != "parquet" else frame


def _parquet(spark: SparkSession, reading: Reading) -> DataFrame:
    """Read files of equal types together, and unite the groups by name in the types that the embedded engine unites to."""
    from pyspark.sql import functions as f

    groups: dict[Any, list[Path]] = {}
    for path in reading.paths:
        groups.setdefault(tuple(sorted(reading.by_file[str(path)].items())), []).append(path)
    hive = hive_columns(reading.paths)
    frames = []
    for types, paths in groups.items():
        frame = _loader(spark).parquet(*_addresses(paths))
        here = dict(types)
        chosen = [
            _parquet_column(frame, column, here[column], reading.stored[column])
            for column in reading.stored
            if column in here and column not in hive
        ]
        chosen += _places(hive)
        if reading.numbered:
            chosen.append(f.col("_metadata.row_index").alias(PARQUET_ROW))
        frames.append(frame.select(*chosen))
    return _united(frames)


def _parquet_column(frame: DataFrame, column: str, here: str, united: str) -> Column:
    from pyspark.sql import functions as f
    from pyspark.sql.types import LongType

    value = f.col(_quoted(column))
    if here.startswith("TIMESTAMP") and isinstance(frame.schema[column].dataType, LongType):  # nanoseconds
        value = f.timestamp_micros(f.floor(value / f.lit(1000)).cast("bigint"))
        if "ZONE" not in here:
            value = value.cast("timestamp_ntz")
    if here != united and (name := _spark_type(united)):
        value = value.cast(name)
    return value.alias(column)


_TYPES = {
    "BIGINT": "bigint", "INTEGER": "int", "SMALLINT": "smallint", "TINYINT": "tinyint", "DOUBLE": "double", "FLOAT": "float",
    "VARCHAR": "string", "BOOLEAN": "boolean", "DATE": "date", "TIMESTAMP": "timestamp_ntz", "TIMESTAMP_NS": "timestamp_ntz",
    "TIMESTAMP WITH TIME ZONE": "timestamp", "HUGEINT": "decimal(38,0)", "UBIGINT": "decimal(20,0)", "UINTEGER": "bigint",
    "USMALLINT": "int", "UTINYINT": "smallint",
}  # fmt: skip


def _spark_type(stored: str) -> str | None:
    return stored.lower() if stored.startswith("DECIMAL(") else _TYPES.get(stored)


def _csv(spark: SparkSession, reading: Reading) -> DataFrame:
    """Read the bytes as Latin-1 and decode each value, so that a byte that is not UTF-8 ends the scan, as it must."""
    from pyspark.sql import functions as f
    from pyspark.sql.types import StringType, StructField, StructType

    hive = hive_columns(reading.paths)
    nothing = ["", *reading.missing]
    frames = []
    headers = headers_of(reading.paths)
    _refuse_csv(spark, headers)
    for names, paths in headers.items():
        for mark in sorted({delimiter(path) for path in paths}):
            some = [path for path in paths if delimiter(path) == mark]
            loader = _loader(spark).schema(StructType([StructField(f"c{i}", StringType()) for i in range(len(names))]))
            loader = loader.options(
                header=True, sep=mark, quote='"', escape='"', mode="FAILFAST", multiLine=True, encoding="ISO-8859-1",
                enforceSchema=True, unescapedQuoteHandling="RAISE_ERROR", maxColumns=len(names) + 1,
                columnNameOfCorruptRecord="mlplan:corrupt",
            )  # fmt: skip
            frame = loader.csv(_addresses(some))
            chosen = []
            for position, column in enumerate(names):
                value = f.decode(f.encode(f.col(f"c{position}"), "ISO-8859-1"), "UTF-8")
                if column not in hive:
                    chosen.append(f.when(value.isin(nothing), None).otherwise(value).alias(column))
            frames.append(frame.select(*chosen, *_places(hive), *_order(reading)))
    return _united(frames)


def _refuse_csv(spark: SparkSession, headers: Headers) -> None:
    """Raise QueryFailed for what Spark would read without a word in another way: a quote that is never closed, and the
    empty lines of a file with one column, which are rows without a value.
    """
    from pyspark.sql import functions as f

    for names, paths in headers.items():
        if len(names) == 1:
            raise QueryFailed("read", "Spark does not read CSV files of one column; use Parquet, or DuckDB.", paths[0])
        quotes = f.length(f.col("value")) - f.length(f.replace(f.col("value"), f.lit('"'), f.lit("")))
        lines = (
            _loader(spark).text(_addresses(paths)).select(f.col("_metadata.file_path").alias("p"), quotes.alias("q"))
        )
        odd = lines.groupBy("p").agg((f.sum("q") % 2).alias("odd")).where("odd = 1").limit(1).collect()
        if odd:
            raise QueryFailed("read", "a quote is never closed.")  # which file, `why_unreadable` finds


def _json(spark: SparkSession, reading: Reading) -> DataFrame:
    from pyspark.sql import functions as f

    if any(path.name.lower().endswith(".zst") for path in reading.paths):
        raise QueryFailed("read", "Spark does not read JSON that zstd has compressed; use gzip, or Parquet.")
    layout = layout_of(reading.paths)
    if layout == "unstructured":
        raise QueryFailed(
            "read", "Spark reads JSON with one document a line or in one array; this has documents of several lines."
        )
    hive = hive_columns(reading.paths)
    whole = layout == "array"
    lines = _loader(spark).text(_addresses(reading.paths), wholetext=whole)
    text = f.validate_utf8(f.col("value"))
    document = f.parse_json(f.regexp_replace(text, "^\ufeff", ""))
    kept = lines if whole else lines.where(f.trim(f.col("value")) != "")
    documents = kept.select(document.alias("d"), *_places(hive), *_order(reading))
    if whole:
        rest = [f.col(_quoted(column)) for column in documents.columns if column != "d"]
        each = f.explode(f.variant_get(f.col("d"), "$", "array<variant>"))
        documents = documents.select(each.alias("d"), *rest)
    shaped = f.when(f.schema_of_variant(f.col("d")).like("OBJECT%"), f.col("d")).otherwise(
        f.raise_error(f.lit("a row is not a JSON object")).cast("variant")
    )
    documents = documents.withColumn("d", shaped)
    others = [column for column in documents.columns if column != "d"]
    members: DataFrame = documents.select(
        *[_member(column) for column in reading.columns], *[f.col(_quoted(column)) for column in others]
    )
    return members


def _member(column: str) -> Column:
    from pyspark.sql import functions as f

    try:
        path = member_path(column)
    except ValueError as error:
        raise QueryFailed("read", f"Spark cannot read a JSON member by its name: {error}.") from error
    value = f.try_variant_get(f.col("d"), path, "variant")
    return f.when(~f.is_variant_null(value), value).alias(column)


def _loader(spark: SparkSession) -> Any:
    return spark.read.option("__globPaths__", "false")


def _addresses(paths: Sequence[Path]) -> list[str]:
    return [f"file://{path.absolute()}" for path in paths]


def _quoted(column: str) -> str:
    return "`" + column.replace("`", "``") + "`"


def _places(hive: Sequence[str]) -> list[Column]:
    """Return the file of a row and what its folders say."""
    from pyspark.sql import functions as f

    address = f.regexp_replace(f.col("_metadata.file_path"), "^file:/+", "/")
    file = f.url_decode(f.regexp_replace(address, r"\+", "%2B"))
    places = [file.alias(FILE)]
    for column in hive:
        pattern = "/" + _escaped(column) + "=([^/]*)/"
        raw = f.url_decode(f.regexp_replace(f.regexp_extract(file, pattern, 1), r"\+", "%2B"))
        places.append(f.when(raw == _NO_VALUE, None).otherwise(raw).alias(column))
    return places


def _escaped(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter == "_" else f"\\{letter}" for letter in text)


def _order(reading: Reading) -> list[Column]:
    from pyspark.sql import functions as f

    if not reading.numbered:
        return []
    return [f.col("_metadata.file_block_start").alias(_BLOCK), f.monotonically_increasing_id().alias(_ORDER)]


def _numbered(frame: DataFrame) -> DataFrame:
    """Add the position of a row in its file, from 0."""
    from pyspark.sql import functions as f
    from pyspark.sql.window import Window

    place = Window.partitionBy(_quoted(FILE)).orderBy(_quoted(_BLOCK), _quoted(_ORDER))
    position = (f.row_number().over(place) - 1).cast("bigint")
    numbered: DataFrame = frame.withColumn(PARQUET_ROW, position).drop(_BLOCK, _ORDER)
    return numbered


def _united(frames: Sequence[DataFrame]) -> DataFrame:
    united = frames[0]
    for frame in frames[1:]:
        united = united.unionByName(frame, allowMissingColumns=True)
    return united
