"""Every metric against scikit-learn, under all its names; what intervals of several classes cover, by simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from mlplan.judge.metrics import Predictions, difference, estimate
from mlplan.judge.registry import ALIASES, BINARY, METRICS, MULTICLASS, REGRESSION, canonical

NAMES = np.array(["a", "b", "c"])
CLASSES = {
    "accuracy": sk.accuracy_score, "balanced_accuracy": sk.balanced_accuracy_score, "matthews_corrcoef": sk.matthews_corrcoef,
    **{f"{m}_{a}": lambda y, p, m=m, a=a: getattr(sk, f"{m}_score")(y, p, average=a)
       for m in ("precision", "recall", "f1") for a in ("macro", "weighted") if (m, a) != ("recall", "weighted")},
}  # fmt: skip
TWO = {
    "specificity": lambda y, p: sk.recall_score(y, p, pos_label=False),
    "false_positive_rate": lambda y, p: 1 - sk.recall_score(y, p, pos_label=False),
    "selection_rate": lambda y, p: p.mean(),
}
NUMBERS = {"mse": sk.mean_squared_error, "mape": sk.mean_absolute_percentage_error}


def three(n: int, seed: int, sharpness: float = 1.0) -> tuple[Any, Any, Any]:
    """Return labels, predictions and scores of three classes."""
    rng = np.random.default_rng(seed)
    score = rng.dirichlet([sharpness] * 3, size=n)
    y = NAMES[(score.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)]
    return y, NAMES[score.argmax(axis=1)], score


@pytest.mark.parametrize("metric", CLASSES)
def test_metrics_of_predicted_classes(metric: str) -> None:
    y, said, _ = three(300, 1)
    found = estimate(metric, y, said, classes=list(NAMES))
    assert found.value == pytest.approx(CLASSES[metric](y, said))
    assert found.low < found.value < found.high
    two, guess = y == "a", said == "a"
    assert estimate(metric, two, guess).value == pytest.approx(CLASSES[metric](two, guess))


@pytest.mark.parametrize("metric", TWO)
def test_rates_of_two_classes(metric: str) -> None:
    y, said, _ = three(300, 2)
    two, guess = y == "a", said == "a"
    assert estimate(metric, two, guess).value == pytest.approx(TWO[metric](two, guess))
    apart = difference(metric, two, Predictions(guess), Predictions(np.zeros(300, bool)))
    assert apart.value == pytest.approx(TWO[metric](two, guess) - TWO[metric](two, np.zeros(300, bool)))


@pytest.mark.parametrize("metric", NUMBERS)
def test_errors_of_numbers(metric: str) -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(5, size=100)
    guess = y + rng.normal(size=100)
    assert estimate(metric, y, guess).value == pytest.approx(NUMBERS[metric](y, guess))


def test_a_class_that_never_occurs_is_left_out_of_balanced_accuracy_as_scikit_learn_does() -> None:
    y, said = np.array(["a", "b", "a", "b"]), np.array(["a", "c", "a", "b"])
    with pytest.warns(UserWarning, match="y_pred contains classes"):
        expected = sk.balanced_accuracy_score(y, said)
    assert estimate("balanced_accuracy", y, said, classes=list(NAMES)).value == pytest.approx(expected)


def test_auc_of_several_classes_is_the_mean_of_each_against_the_rest() -> None:
    y, _, score = three(400, 4)
    found = estimate("roc_auc", y, score=score, classes=list(NAMES))
    assert found.value == pytest.approx(sk.roc_auc_score(y, score, multi_class="ovr", labels=list(NAMES)))
    without = estimate("roc_auc", y[y != "c"], score=score[y != "c"], classes=list(NAMES))
    assert "a class has 0 of" in without.reason
    assert not without.known


def test_auc_intervals_of_several_classes_cover() -> None:
    truth = estimate("roc_auc", *_scored(200_000, 5), classes=list(NAMES)).value
    inside = apart = 0
    for seed in range(200):
        y, _, score = three(150, 100 + seed)
        found = estimate("roc_auc", y, score=score, classes=list(NAMES))
        inside += found.low <= truth <= found.high
        rng = np.random.default_rng(seed)
        first, second = (Predictions(score=score + rng.uniform(0, 0.5, score.shape)) for _ in range(2))  # equally good
        gap = difference("roc_auc", y, first, second, classes=list(NAMES))
        apart += gap.low <= 0 <= gap.high
    assert 0.9 <= inside / 200 <= 0.99
    assert 0.9 <= apart / 200 <= 0.995


def _scored(n: int, seed: int) -> tuple[Any, None, Any]:
    y, _, score = three(n, seed)
    return y, None, score


def test_equal_models_do_not_differ() -> None:
    y, _, score = three(100, 6)
    same = difference("roc_auc", y, Predictions(score=score), Predictions(score=score), classes=list(NAMES))
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_other_names_are_of_known_metrics_and_do_not_hide_one() -> None:
    assert set(ALIASES.values()) <= set(METRICS)
    assert not set(ALIASES) & set(METRICS)
    assert canonical("mean_absolute_error") == "mae"
    y = np.arange(5.0)
    assert estimate("mean_absolute_error", y, y + 1).value == pytest.approx(1)


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_estimated_for_its_tasks(metric: str) -> None:
    y, said, score = three(120, 7)
    for task in METRICS[metric].tasks:
        rows = {
            BINARY: (y == "a", said == "a", score[:, 0]),
            MULTICLASS: (y, said, score),
            REGRESSION: (score[:, 0] + 1, score[:, 1] + 1, None),
        }[task]
        found = estimate(metric, *rows, classes=list(NAMES) if task == MULTICLASS else None)
        assert found.known, (task, found.reason)
        assert np.isfinite([found.low, found.high]).all()
