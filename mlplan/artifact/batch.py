"""Predict a whole data set with a sealed artifact into a Parquet file. Metrics over it are computed elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.frame import frame_of_table
from mlplan.artifact.open import Opened, open_artifact
from mlplan.artifact.reading import batches
from mlplan.artifact.schema import Column

if TYPE_CHECKING:
    import pyarrow as pa

OUTPUTS = ("label", "prediction", "score", "scores")


@dataclass(frozen=True)
class PredictRequest:
    """What to predict.

    columns: the contract columns of the data, label included. label: its name; None when there is none. extra_columns:
    columns to copy beside the answers, under their own names (slices, key).
    """

    artifact: Path
    paths: Sequence[Path]
    columns: Sequence[Column]
    predictions: Path
    label: str | None = None
    extra_columns: Sequence[str] = ()
    trust: Sequence[str] = ()
    digest: str | None = None


def predict_files(request: PredictRequest) -> int:
    """Write one row an input row, in order: the extra columns, `label`, `prediction`, and `score` or `scores`.

    Return the rows.

    The file appears whole or not at all; memory is bounded by one batch. Raises: ArtifactError: those of
    `open_artifact` and `reading.batches`, `missing-column`, `column-name-taken`, `model-failed`.
    """
    import pyarrow.parquet as pq

    opened = open_artifact(request.artifact, request.trust, request.digest)
    needed = _needed(request, opened)
    partial = request.predictions.with_name(request.predictions.name + ".partial")
    rows = 0
    writer: pq.ParquetWriter | None = None
    try:
        for table in _answers(request, opened, needed):
            if writer is None:
                writer = pq.ParquetWriter(partial, table.schema, compression="zstd")
            writer.write_table(table.cast(writer.schema))
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise ArtifactError("no-rows", "There is nothing to predict", f"{len(request.paths)} files hold no row.")
    partial.rename(request.predictions)
    return rows


def _needed(request: PredictRequest, opened: Opened) -> list[Column]:
    """Return the columns to read, each once."""
    by_name = {column.name: column for column in request.columns}
    wanted = [*opened.manifest.info.features, *request.extra_columns, *([request.label] if request.label else [])]
    missing = sorted({name for name in wanted if name not in by_name})
    if missing:
        raise ArtifactError(
            "missing-column",
            "A column is missing in the data",
            f"The data does not declare {', '.join(missing)}, which the model or the gates need; it declares "
            f"{', '.join(by_name)}. Declare "
            "the column in the contract of this data.",
        )
    taken = sorted(set(OUTPUTS) & set(request.extra_columns))
    if taken:
        raise ArtifactError(
            "column-name-taken",
            "A column has the name of an answer",
            f"{', '.join(taken)} cannot be copied beside the answers, which are called {', '.join(OUTPUTS)}. Rename "
            "it in the data.",
        )
    return [by_name[name] for name in dict.fromkeys(wanted)]


def _answers(request: PredictRequest, opened: Opened, needed: Sequence[Column]) -> Iterator[pa.Table]:
    import pyarrow as pa

    # the model's own schema decides its dtypes: a holdout declared otherwise must not change what the model sees
    features = [column for name in opened.manifest.info.features if (column := opened.schema.column(name)) is not None]
    for table in batches(request.paths, needed):
        if table.num_rows == 0:
            continue
        outputs = _predict(opened, frame_of_table(table, features))
        columns: dict[str, Any] = {name: table.column(name) for name in request.extra_columns}
        if request.label is not None:
            columns["label"] = table.column(request.label)
        for name, values in outputs.items():
            columns[name] = pa.array(values.tolist() if values.ndim > 1 or values.dtype == object else values)
        yield pa.table(columns)


def _predict(opened: Opened, frame: Any) -> Any:
    try:
        return opened.predictor.predict(frame)
    except Exception as error:  # a model is foreign code: it may raise anything
        raise ArtifactError(
            "model-failed",
            "The model fails on rows of its own data",
            f"Predicting the evaluation data raised {type(error).__name__}: {str(error)[:500]}",
        ) from error
