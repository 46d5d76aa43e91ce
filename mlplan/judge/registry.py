"""The registry of model metrics: their names, what each needs, which way is better, and for which tasks it speaks.

Names are scikit-learn's, of its functions or of its scorers; further names of the same metric are in `ALIASES`.
"""

from __future__ import annotations

from dataclasses import dataclass

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


_CLASSES = (BINARY, MULTICLASS)
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", True, "score", _CLASSES, "Chance that a positive row scores above a negative one"),
        Metric("average_precision", True, "score", (BINARY,), "Precision averaged over recall"),
        Metric("accuracy", True, "prediction", _CLASSES, "Share of rows predicted right"),
        Metric("balanced_accuracy", True, "prediction", _CLASSES, "Mean over the classes of the share found"),
        Metric("precision", True, "prediction", _CLASSES, "Share of predicted positives that are positive"),
        Metric("recall", True, "prediction", _CLASSES, "Share of positives that are found"),
        Metric("f1", True, "prediction", _CLASSES, "Harmonic mean of precision and recall"),
        Metric("precision_macro", True, "prediction", _CLASSES, "Precision, averaged over the classes"),
        Metric("recall_macro", True, "prediction", _CLASSES, "Recall, averaged over the classes"),
        Metric("f1_macro", True, "prediction", _CLASSES, "F1, averaged over the classes"),
        Metric("precision_weighted", True, "prediction", _CLASSES, "Precision, averaged by the rows of each class"),
        Metric("f1_weighted", True, "prediction", _CLASSES, "F1, averaged by the rows of each class"),
        Metric("matthews_corrcoef", True, "prediction", _CLASSES, "Correlation of truth and prediction"),
        Metric("specificity", True, "prediction", (BINARY,), "Share of negatives that are predicted negative"),
        Metric("false_positive_rate", False, "prediction", (BINARY,), "Share of negatives predicted positive"),
        Metric("selection_rate", True, "prediction", (BINARY,), "Share of rows predicted positive"),
        Metric("log_loss", False, "score", _CLASSES, "Mean negative log-likelihood of the truth"),
        Metric("brier", False, "score", (BINARY,), "Mean squared error of the probability"),
        Metric("rmse", False, "prediction", (REGRESSION,), "Root of the mean squared error"),
        Metric("mse", False, "prediction", (REGRESSION,), "Mean squared error"),
        Metric("mae", False, "prediction", (REGRESSION,), "Mean absolute error"),
        Metric("mape", False, "prediction", (REGRESSION,), "Mean absolute error as a share of the truth"),
        Metric("r2", True, "prediction", (REGRESSION,), "Share of the variance explained"),
    )
}
"""Every metric by name."""

ALIASES = {
    "roc_auc_score": "roc_auc",
    "roc_auc_ovr": "roc_auc",
    "average_precision_score": "average_precision",
    "accuracy_score": "accuracy",
    "f1_micro": "accuracy",
    "precision_micro": "accuracy",
    "recall_micro": "accuracy",
    "recall_weighted": "accuracy",
    "balanced_accuracy_score": "balanced_accuracy",
    "precision_score": "precision",
    "recall_score": "recall",
    "f1_score": "f1",
    "mcc": "matthews_corrcoef",
    "true_positive_rate": "recall",
    "true_negative_rate": "specificity",
    "brier_score": "brier",
    "brier_score_loss": "brier",
    "root_mean_squared_error": "rmse",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape",
    "r2_score": "r2",
}
"""Further names -> the name. Micro averages and weighted recall are the share of rows that are right, whatever the classes."""


def canonical(name: str) -> str:
    """Return the name under which a metric stands in `METRICS`, or `name` as it is."""
    return ALIASES.get(name, name)
