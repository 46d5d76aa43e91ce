"""The other request forms of `/invocations`: CSV with a header, and the data-frame forms that MLflow's clients send."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec

from mlplan.serve.problems import RequestProblem
from mlplan.serve.settings import MAX_ROWS


class Split(msgspec.Struct):
    """A frame as column names and rows."""

    columns: list[str]
    data: list[list[Any]]


class Frames(msgspec.Struct):
    """The data-frame forms."""

    dataframe_split: Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None


_DECODER = msgspec.json.Decoder(Frames)


def has_frames(body: bytes | bytearray) -> bool:
    """Tell cheaply whether a JSON body may be one of the data-frame forms."""
    return b'"dataframe_' in body[:200]


def rows_of_frames(body: bytes | bytearray) -> list[dict[str, Any]]:
    """Return the rows of a data-frame form. Raises: RequestProblem 400, 422."""
    try:
        frames = _DECODER.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise RequestProblem(400, "malformed-body", f"The body cannot be read: {str(error)[:200]}.") from None
    if frames.dataframe_records is not None:
        return frames.dataframe_records
    if frames.dataframe_split is None:
        raise RequestProblem(422, "contract", "The body has no rows.", reason="shape", path="$")
    names = frames.dataframe_split.columns
    if any(len(row) != len(names) for row in frames.dataframe_split.data):
        message = "Each row must have one value for each column."
        raise RequestProblem(422, "contract", message, reason="shape", path="$.dataframe_split.data")
    return [dict(zip(names, row, strict=True)) for row in frames.dataframe_split.data]


def rows_of_csv(body: bytes | bytearray) -> list[dict[str, Any]]:
    """Return the rows of CSV text with a header, values as text, an empty cell as None.

    Raises: RequestProblem 400, 422.
    """
    try:
        lines = list(csv.reader(io.StringIO(bytes(body).decode("utf-8")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestProblem(
            400, "malformed-body", f"The body is not CSV that can be read: {str(error)[:200]}."
        ) from None
    lines = [line for line in lines if line]
    if not 2 <= len(lines) <= MAX_ROWS + 1:
        message = f"CSV needs a header with column names and 1 to {MAX_ROWS} rows."
        raise RequestProblem(422, "contract", message, reason="shape", path="$")
    header = lines[0]
    if any(len(line) != len(header) for line in lines[1:]):
        raise RequestProblem(
            422, "contract", "Each row must have as many cells as the header.", reason="shape", path="$"
        )
    return [{name: cell or None for name, cell in zip(header, line, strict=True)} for line in lines[1:]]
