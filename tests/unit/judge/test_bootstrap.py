"""BCa intervals against scipy's on the same numbers, delete-one values against recomputation, coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from mlplan.judge.bootstrap import AveragePrecision, Difference, Moments, bca
from mlplan.judge.metrics import Predictions, difference, estimate


def _rmse(means: np.ndarray) -> np.ndarray:
    return np.sqrt(means[:, 0])


def test_bca_agrees_with_scipy() -> None:
    errors = np.random.default_rng(1).exponential(size=80)
    ours = bca(Moments.of((errors**2)[:, None], _rmse), "bootstrap", confidence=0.95, seed=0, draws=20_000)
    theirs = stats.bootstrap(
        (errors,), lambda x, axis: np.sqrt((x**2).mean(axis=axis)), n_resamples=20_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval  # fmt: skip
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.04 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.04 * width)


def test_average_precision_and_its_delete_one_values() -> None:
    rng = np.random.default_rng(3)
    y, score = rng.random(60) < 0.3, rng.normal(size=60).round(1)
    statistic = AveragePrecision(y, score)
    assert statistic.under(np.ones((1, 60)))[0] == pytest.approx(sk.average_precision_score(y, score))
    without = statistic.without_one()
    for row in range(60):
        kept = np.arange(60) != row
        assert without[row] == pytest.approx(sk.average_precision_score(y[kept], score[kept])), row


def test_differences_share_their_resamples() -> None:
    """Two almost equal models: the paired interval is far narrower than that of either, which two apart could not be."""
    rng = np.random.default_rng(4)
    y = rng.normal(size=300)
    first = y + rng.normal(size=300)
    second = first + 0.05 * rng.normal(size=300)
    alone = estimate("rmse", y, first)
    apart = difference("rmse", y, Predictions(first), Predictions(second))
    assert apart.high - apart.low < 0.2 * (alone.high - alone.low)


def test_paired_difference_covers() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(150):
        y = rng.normal(size=80)
        a, b = np.abs(rng.normal(size=80)), np.abs(1.2 * rng.normal(size=80))
        first, second = Moments.of(a[:, None], lambda m: m[:, 0]), Moments.of(b[:, None], lambda m: m[:, 0])
        found = bca(Difference(first, second), "paired", confidence=0.95, seed=seed, draws=600)
        covered += found.low <= (1 - 1.2) * np.sqrt(2 / np.pi) <= found.high
        assert len(y) == found.n
    assert 0.88 <= covered / 150 <= 0.995


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(6)
    y, score = rng.random(200) < 0.4, rng.random(200)
    assert estimate("average_precision", y, score=score, seed=9) == estimate(
        "average_precision", y, score=score, seed=9
    )


def test_many_rows_are_pressed_into_cells_without_changing_the_answer() -> None:
    rng = np.random.default_rng(7)
    errors = rng.normal(size=(12_000, 1)) ** 2
    pressed = bca(Moments.of(errors, _rmse), "x", confidence=0.95, seed=0)
    exact = 1.96 * errors.std() / np.sqrt(12_000) / (2 * np.sqrt(errors.mean()))
    assert (pressed.high - pressed.low) / 2 == pytest.approx(exact, rel=0.06)


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "f1", "log_loss", "brier", "rmse", "mae", "r2"])
def test_values_equal_scikit_learns(metric: str) -> None:
    rng = np.random.default_rng(8)
    score = rng.random(150)
    y = rng.random(150) < score
    said = score > 0.4
    theirs = {
        "accuracy": lambda: sk.accuracy_score(y, said), "precision": lambda: sk.precision_score(y, said),
        "recall": lambda: sk.recall_score(y, said), "f1": lambda: sk.f1_score(y, said),
        "log_loss": lambda: sk.log_loss(y, score), "brier": lambda: sk.brier_score_loss(y, score),
        "rmse": lambda: sk.root_mean_squared_error(y, score), "mae": lambda: sk.mean_absolute_error(y, score),
        "r2": lambda: sk.r2_score(y, score),
    }  # fmt: skip
    prediction = score if metric in ("rmse", "mae", "r2") else said
    found = estimate(metric, y.astype(float) if metric in ("rmse", "mae", "r2") else y, prediction, score)
    assert found.value == pytest.approx(theirs[metric]())
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("metric", ["f1", "precision", "recall", "log_loss"])
def test_values_of_many_classes_equal_scikit_learns(metric: str) -> None:
    rng = np.random.default_rng(9)
    names = np.array(["a", "b", "c"])
    score = rng.dirichlet([1, 1, 1], size=200)
    y = names[[rng.choice(3, p=p) for p in score]]
    said = names[score.argmax(axis=1)]
    theirs = {"log_loss": lambda: sk.log_loss(y, score, labels=list(names))}
    expected = theirs.get(metric, lambda: getattr(sk, f"{metric}_score")(y, said, average="macro"))()
    assert estimate(metric, y, said, score, classes=list(names)).value == pytest.approx(expected)
