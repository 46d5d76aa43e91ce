"""The probe: rows with the answers the model gave when it was sealed. Whoever loads it must get the same answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.frame import frame_of_rows
from mlplan.artifact.manifest import digest_of
from mlplan.artifact.schema import RequestSchema

if TYPE_CHECKING:
    from mlplan.artifact.flavor import Outputs, Predictor

MAX_ROWS = 1000
ABSOLUTE = 1e-9
RELATIVE = 1e-6
"""Answers may differ by ABSOLUTE + RELATIVE * |expected|: room for another CPU's rounding, not for another model."""


def answer(predictor: Predictor, schema: RequestSchema, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the predictor's answers to `rows` as plain values by output column.

    Raises: ArtifactError `model-failed` when the model raises, `wrong-type` when a row does not fit the schema.
    """
    features = [column for column in schema.columns if column.name in predictor.info.features]
    frame = frame_of_rows(rows, features)
    try:
        return plain(predictor.predict(frame))
    except Exception as error:  # a model is foreign code: it may raise anything
        raise ArtifactError(
            "model-failed",
            "The model fails on rows of its own data",
            f"Asked with {len(rows)} rows it raised {type(error).__name__}: {str(error)[:500]}. A model must answer "
            "every row that "
            "keeps the contract, with missing values where the contract allows them.",
        ) from error


def plain(outputs: Outputs) -> dict[str, list[Any]]:
    """Return outputs as lists of plain values."""
    return {name: values.tolist() for name, values in outputs.items()}


def differences(expected: Mapping[str, Sequence[Any]], found: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return what differs beyond the tolerance, at most five sentences."""
    problems: list[str] = []
    for name, wanted in expected.items():
        got = found.get(name)
        if got is None or len(got) != len(wanted):
            problems.append(f"{name} has {0 if got is None else len(got)} answers instead of {len(wanted)}.")
            continue
        for row, (left, right) in enumerate(zip(wanted, got, strict=True)):
            if not _close(left, right):
                problems.append(f"Row {row}: {name} should be {left} and is {right}.")
    return problems[:5]


def _close(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, list):
        return isinstance(got, list) and len(wanted) == len(got) and all(map(_close, wanted, got))
    if isinstance(wanted, float) and isinstance(got, float):
        return math.isclose(wanted, got, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(wanted == got)


def prediction_digest(expected: Mapping[str, Sequence[Any]]) -> str:
    """Return "sha256:…" of the answers, floats rounded to six significant digits, so that noise does not change it."""
    return digest_of({name: [_rounded(value) for value in values] for name, values in expected.items()})


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return f"{value:.6g}" if isinstance(value, float) else value
