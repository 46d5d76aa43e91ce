"""Estimates of model metrics with their intervals, and paired differences of two models.

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

from mlplan.judge.auc import auc_difference, auc_estimate, ovr_difference, ovr_estimate
from mlplan.judge.bootstrap import AveragePrecision, Difference, Moments, Statistic, bca
from mlplan.judge.intervals import Array, Estimate, paired_proportions, unknown, wilson
from mlplan.judge.registry import BINARY, METRICS, REGRESSION, canonical


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
    metric = canonical(metric)
    rows = _Rows.of(metric, y, [Predictions(prediction, score)], classes)
    if isinstance(rows, Estimate):
        return rows
    (model,) = rows.models
    if metric == "roc_auc":
        return auc_estimate(rows.y, model, confidence) if rows.binary else ovr_estimate(rows.y, model, confidence)
    share = rows.share(metric, model)
    if share is not None:
        hit, counted = share
        hits, of = int((hit & counted).sum()), int(counted.sum())
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
    metric = canonical(metric)
    rows = _Rows.of(metric, y, [first, second], classes)
    if isinstance(rows, Estimate):
        return rows
    a, b = rows.models
    if metric == "roc_auc":
        return (auc_difference if rows.binary else ovr_difference)(rows.y, a, b, confidence)
    shares = [rows.share(metric, model) for model in (a, b)] if metric != "precision" else [None]
    if shares[0] is not None and shares[-1] is not None:
        (hit_a, counted), (hit_b, _) = shares[0], shares[-1]
        if not counted.any():
            return unknown(len(rows.y), _EMPTY[metric], confidence=confidence)
        only_a, only_b = (int((one & ~other & counted).sum()) for one, other in ((hit_a, hit_b), (hit_b, hit_a)))
        return paired_proportions(only_a, only_b, int(counted.sum()), confidence)
    if rows.binary and metric in ("average_precision", "f1", "precision") and not rows.y.any():
        return unknown(len(rows.y), _EMPTY["recall"], confidence=confidence)
    return bca(_pair(metric, rows, a, b), "paired bootstrap (BCa)", confidence=confidence, seed=seed)


_EMPTY = {
    "accuracy": "there are no rows",
    "precision": "the model predicted no positive row",
    "recall": "no row is positive",
    "selection_rate": "there are no rows",
    "specificity": "no row is negative",
    "false_positive_rate": "no row is negative",
}
"""Plain shares of rows -> why there is none."""


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

    def share(self, metric: str, model: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        """Return (rows that hit, rows that count) when the metric is a plain share of rows."""
        if metric not in _EMPTY or (metric != "accuracy" and not self.binary):
            return None
        every, right, said = np.ones(len(self.y), bool), model == self.y, model == 1
        return {
            "accuracy": (right, every),
            "selection_rate": (said, every),
            "precision": (right, said),
            "recall": (right, self.y == 1),
            "specificity": (right, self.y == 0),
            "false_positive_rate": (~right, self.y == 0),
        }[metric]


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
    if METRICS[metric].needs == "prediction" and rows.count:
        one = rows.binary and metric in ("precision", "recall", "f1")
        kinds = [1] if one else list(range(rows.count))
        truth, said = (np.stack([v == k for k in kinds], axis=1) for v in (rows.y, model))
        if metric == "balanced_accuracy":  # a class that never occurs has no share
            truth, said = truth[:, occurring := truth.any(axis=0)], said[:, occurring]
        function = _matthews if metric == "matthews_corrcoef" else partial(_ratio, _RATIOS[metric])
        return np.concatenate([truth & said, truth, said], axis=1).astype(np.float64), function
    if metric == "log_loss":
        return _log_losses(rows, model)[:, None], _mean
    error = model - rows.y
    if metric == "r2":
        return np.stack([error**2, rows.y - rows.y.mean(), (rows.y - rows.y.mean()) ** 2], axis=1), _r2
    if metric == "mae":
        return np.abs(error)[:, None], _mean
    if metric == "mape":
        return (np.abs(error) / np.maximum(np.abs(rows.y), np.finfo(np.float64).eps))[:, None], _mean
    return (error**2)[:, None], (_root if metric == "rmse" else _mean)


def _log_losses(rows: _Rows, score: Array) -> Array:
    tiny = np.finfo(np.float64).eps
    if score.ndim == 1:
        score = np.stack([1 - score, score], axis=1)
    chance = score[np.arange(len(score)), rows.y.astype(int)] / score.sum(axis=1)
    return np.asarray(-np.log(np.clip(chance, tiny, 1 - tiny)))


_RATIOS = {
    "precision": ("precision", False), "precision_macro": ("precision", False), "precision_weighted": ("precision", True),
    "recall": ("recall", False), "recall_macro": ("recall", False), "balanced_accuracy": ("recall", False),
    "f1": ("f1", False), "f1_macro": ("f1", False), "f1_weighted": ("f1", True),
}  # fmt: skip
"""Metric -> the share of each class, and whether classes count by their rows."""


def _ratio(how: tuple[str, bool], means: Array) -> Array:
    """Return the average over k classes of precision, recall or F1. Shapes: (draws, 3k) -> (draws,)."""
    both, truth, said = np.split(means, 3, axis=1)
    share, by_rows = how
    below = {"precision": said, "recall": truth, "f1": (truth + said) / 2}[share]
    of_class = both / np.where(below > 0, below, 1.0)
    return np.asarray((of_class * truth).sum(axis=1) / truth.sum(axis=1) if by_rows else of_class.mean(axis=1))


def _matthews(means: Array) -> Array:
    """Return Matthews' correlation of k classes; 0 when all is of one class. Source: Gorodkin (2004), R_K, eq. 8."""
    both, truth, said = np.split(means, 3, axis=1)
    within = (1 - (truth**2).sum(axis=1)) * (1 - (said**2).sum(axis=1))
    apart = both.sum(axis=1) - (truth * said).sum(axis=1)
    return np.asarray(apart / np.sqrt(np.where(within > 1e-15, within, np.inf)))


def _mean(means: Array) -> Array:
    return means[:, 0]


def _root(means: Array) -> Array:
    return np.asarray(np.sqrt(means[:, 0]))


def _r2(means: Array) -> Array:
    return np.asarray(1 - means[:, 0] / np.maximum(means[:, 2] - means[:, 1] ** 2, 1e-300))
