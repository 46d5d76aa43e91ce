"""The registry of model metrics: what each needs, which way is better, its estimate with interval, and paired
differences.

Values equal scikit-learn's. Intervals: Wilson for shares of rows, DeLong for AUC, BCa bootstrap for the rest. The
bootstrap resamples all rows together, not within classes: with fixed class counts the nominal 95 % interval of average
precision covered 89 % of the time, because it forgets that the share of positives is itself a draw
(docs/statistics.md). Macro averages (more than two classes) are means over the classes. It does not compute predictions
and knows no limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlplan.judge.auc import auc_difference, auc_estimate
from mlplan.judge.bootstrap import AveragePrecision, Difference, Moments, Statistic, bca
from mlplan.judge.intervals import Array, Estimate, paired_proportions, unknown, wilson

BINARY, MULTICLASS, REGRESSION = "binary_classification", "multiclass", "regression"


@dataclass(frozen=True)
class Metric:
    """What a metric is. needs: "score" (probability or ranking), "prediction" (label or number). tasks: where it makes
    sense."""

    name: str
    greater_is_better: bool
    needs: str
    tasks: tuple[str, ...]
    description: str


def _metric(name: str, greater: bool, needs: str, tasks: tuple[str, ...], description: str) -> tuple[str, Metric]:
    return name, Metric(name, greater, needs, tasks, description)


_CLASSES = (BINARY, MULTICLASS)
METRICS: dict[str, Metric] = dict(
    (
        _metric("roc_auc", True, "score", (BINARY,), "Chance that a positive row scores above a negative one"),
        _metric("average_precision", True, "score", (BINARY,), "Precision averaged over recall"),
        _metric("accuracy", True, "prediction", _CLASSES, "Share of rows predicted right"),
        _metric("precision", True, "prediction", _CLASSES, "Share of predicted positives that are positive"),
        _metric("recall", True, "prediction", _CLASSES, "Share of positives that are found"),
        _metric("f1", True, "prediction", _CLASSES, "Harmonic mean of precision and recall"),
        _metric("log_loss", False, "score", _CLASSES, "Mean negative log-likelihood of the truth"),
        _metric("brier", False, "score", (BINARY,), "Mean squared error of the probability"),
        _metric("rmse", False, "prediction", (REGRESSION,), "Root of the mean squared error"),
        _metric("mae", False, "prediction", (REGRESSION,), "Mean absolute error"),
        _metric("r2", True, "prediction", (REGRESSION,), "Share of the variance explained"),
    )
)
"""Every metric by name."""


@dataclass(frozen=True)
class Predictions:
    """What one model said about some rows. prediction: (n,) labels or numbers. score: (n,) of the positive class, or
    (n, classes)."""

    prediction: Any = None
    score: Any = None


def estimate(
    metric: str,
    y: Any,
    prediction: Any = None,
    score: Any = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    classes: Sequence[Any] | None = None,
) -> Estimate:
    """Return the metric with its interval; an estimate without value, with the reason, when the rows cannot give one.

    Shapes: y (n,), prediction (n,), score (n,) or (n, classes). classes: all labels, in the order of the columns of
    `score`; the last of two is the positive one. Left out, they are the sorted labels that occur.
    """
    rows = _Rows.of(metric, y, [Predictions(prediction, score)], classes)
    if isinstance(rows, Estimate):
        return rows
    (model,) = rows.models
    if metric == "roc_auc":
        return auc_estimate(rows.y, model, confidence)
    share = rows.share(metric, model)
    if share is not None:
        hits, of = share
        return wilson(hits, of, confidence) if of else unknown(len(rows.y), _EMPTY[metric], confidence=confidence)
    if metric in ("average_precision", "f1") and rows.binary and not rows.y.any():
        return unknown(len(rows.y), _EMPTY["recall"], confidence=confidence)
    return bca(_statistic(metric, rows, model), "bootstrap (BCa)", confidence=confidence, seed=seed)


def difference(
    metric: str,
    y: Any,
    first: Predictions,
    second: Predictions,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    classes: Sequence[Any] | None = None,
) -> Estimate:
    """Return metric(first) − metric(second), both on the same rows: DeLong for AUC, Tango's score interval of McNemar's
    counts for accuracy and binary recall, paired BCa bootstrap for the rest."""
    rows = _Rows.of(metric, y, [first, second], classes)
    if isinstance(rows, Estimate):
        return rows
    a, b = rows.models
    if metric == "roc_auc":
        return auc_difference(rows.y, a, b, confidence)
    if metric == "accuracy" or (metric == "recall" and rows.binary):
        counted = np.ones(len(rows.y), bool) if metric == "accuracy" else rows.y.astype(bool)
        right_a, right_b = (a == rows.y)[counted], (b == rows.y)[counted]
        only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
        if not counted.any():
            return unknown(len(rows.y), _EMPTY[metric], confidence=confidence)
        return paired_proportions(only_a, only_b, int(counted.sum()), confidence)
    if rows.binary and metric in ("average_precision", "f1", "precision") and not rows.y.any():
        return unknown(len(rows.y), _EMPTY["recall"], confidence=confidence)
    return bca(_pair(metric, rows, a, b), "paired bootstrap (BCa)", confidence=confidence, seed=seed)


_EMPTY = {
    "accuracy": "there are no rows",
    "precision": "the model predicted no positive row",
    "recall": "no row is positive",
}


@dataclass(frozen=True)
class _Rows:
    """Truth and models as numbers: labels become class indices (binary: 1 is positive), `models` holds what the metric
    needs."""

    y: NDArray[Any]
    models: list[NDArray[Any]]
    count: int

    @property
    def binary(self) -> bool:
        return self.count == 2

    @staticmethod
    def of(metric: str, y: Any, models: Sequence[Predictions], classes: Sequence[Any] | None) -> _Rows | Estimate:
        known = METRICS[metric]
        truth = np.asarray(y)
        if len(truth) == 0:
            return unknown(0, "there are no rows")
        given = [np.asarray(m.score if known.needs == "score" else m.prediction) for m in models]
        for values in given:
            if values.dtype == object and all(v is None for v in np.ravel(values)):
                return unknown(len(truth), f"the model gives no {known.needs}, which {metric} needs", invalid=True)
            if len(values) != len(truth):
                return unknown(len(truth), f"{len(values)} {known.needs}s for {len(truth)} rows", invalid=True)
        if REGRESSION in known.tasks:
            return _finite(_Rows(truth.astype(np.float64), [v.astype(np.float64) for v in given], 0), known.needs)
        columns = [truth, *given] if known.needs == "prediction" else [truth]
        broken = _finite(_Rows(truth, given, 0), known.needs)
        if isinstance(broken, Estimate):
            return broken
        count, indices = _indices(classes, columns)
        if known.needs == "prediction":
            return _Rows(indices[0], list(indices[1:]), count)
        scores = [_positive_score(v.astype(np.float64), count) for v in given]
        if count > 2 and known.tasks == (BINARY,):
            return unknown(len(truth), f"{metric} is for two classes, there are {count}", invalid=True)
        shape = (len(truth),) if count == 2 else (len(truth), count)
        if any(v.shape != shape for v in scores):
            return unknown(len(truth), f"scores of {count} classes must have shape {shape}", invalid=True)
        return _Rows(indices[0], scores, count)

    def share(self, metric: str, model: NDArray[Any]) -> tuple[int, int] | None:
        """Return (hits, rows counted) when the metric is a plain share of rows."""
        if metric not in _EMPTY or (metric != "accuracy" and not self.binary):
            return None
        right = model == self.y
        if metric == "accuracy":
            return int(right.sum()), len(right)
        counted = (model if metric == "precision" else self.y) == 1
        return int(right[counted].sum()), int(counted.sum())


def _indices(classes: Sequence[Any] | None, columns: list[NDArray[Any]]) -> tuple[int, list[NDArray[np.int64]]]:
    """Return the number of classes and each column as class indices; a label that `classes` does not know is -1, never
    right."""
    known = [] if classes is None else [np.asarray(classes)]
    text = any(c.dtype.kind in "OUS" for c in [*columns, *known])
    columns, known = ([c.astype(str) if text else c.astype(np.float64) for c in part] for part in (columns, known))
    labels = known[0] if known else np.unique(np.concatenate(columns))
    order = np.argsort(labels)
    # When a single class occurs and nobody said which, 0 and False are the negative one.
    offset = int(len(labels) == 1 and str(labels[0]) not in ("0", "0.0", "False"))
    out = []
    for column in columns:
        place = order[np.clip(np.searchsorted(labels, column, sorter=order), 0, len(labels) - 1)]
        out.append(np.where(labels[place] == column, place + offset, -1))
    return max(len(labels), 2), out


def _positive_score(score: Array, classes: int) -> Array:
    return score[:, 1] if score.ndim == 2 and score.shape[1] == 2 and classes <= 2 else score


def _finite(rows: _Rows, needs: str) -> _Rows | Estimate:
    for values in [rows.y, *rows.models]:
        bad = int((~np.isfinite(values)).sum()) if values.dtype.kind == "f" else 0
        if bad:
            what = "labels" if values is rows.y else f"{needs}s"
            return unknown(len(rows.y), f"{bad} of {len(values)} {what} are not finite numbers", invalid=True)
    return rows


def _statistic(metric: str, rows: _Rows, model: NDArray[Any]) -> Statistic:
    if metric == "average_precision":
        return AveragePrecision(rows.y, model)
    columns, function = _moments(metric, rows, model)
    return Moments.of(columns, function)


def _pair(metric: str, rows: _Rows, a: NDArray[Any], b: NDArray[Any]) -> Statistic:
    if metric == "average_precision":
        return Difference(AveragePrecision(rows.y, a), AveragePrecision(rows.y, b))
    (first, function), (second, _) = _moments(metric, rows, a), _moments(metric, rows, b)
    width = first.shape[1]
    return Moments.of(np.hstack([first, second]), lambda means: function(means[:, :width]) - function(means[:, width:]))


def _moments(metric: str, rows: _Rows, model: NDArray[Any]) -> tuple[Array, Callable[[Array], Array]]:
    """Return the columns whose mean decides the metric, and the function of that mean."""
    if metric in ("precision", "recall", "f1"):
        kinds = [1] if rows.binary else list(range(rows.count))
        truth, said = (np.stack([v == k for k in kinds], axis=1) for v in (rows.y, model))
        return np.concatenate([truth & said, truth, said], axis=1).astype(np.float64), partial(_ratio, metric)
    if metric == "log_loss":
        return _log_losses(rows, model)[:, None], _mean
    error = model - rows.y
    if metric == "r2":
        return np.stack([error**2, rows.y - rows.y.mean(), (rows.y - rows.y.mean()) ** 2], axis=1), _r2
    if metric == "mae":
        return np.abs(error)[:, None], _mean
    return (error**2)[:, None], (_root if metric == "rmse" else _mean)


def _log_losses(rows: _Rows, score: Array) -> Array:
    tiny = np.finfo(np.float64).eps
    if score.ndim == 1:
        score = np.stack([1 - score, score], axis=1)
    chance = score[np.arange(len(score)), rows.y.astype(int)] / score.sum(axis=1)
    return np.asarray(-np.log(np.clip(chance, tiny, 1 - tiny)))


def _ratio(metric: str, means: Array) -> Array:
    """Return the macro average over k classes of precision, recall or F1. Shapes: (draws, 3k) -> (draws,)."""
    both, truth, said = np.split(means, 3, axis=1)
    below = {"precision": said, "recall": truth, "f1": (truth + said) / 2}[metric]
    return np.asarray((both / np.where(below > 0, below, 1.0)).mean(axis=1))


def _mean(means: Array) -> Array:
    return means[:, 0]


def _root(means: Array) -> Array:
    return np.asarray(np.sqrt(means[:, 0]))


def _r2(means: Array) -> Array:
    return np.asarray(1 - means[:, 0] / np.maximum(means[:, 2] - means[:, 1] ** 2, 1e-300))
