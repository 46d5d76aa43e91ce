"""AUC against scikit-learn, DeLong's variance against its definition, coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mlplan.judge.auc import auc_difference, auc_estimate, delong


def _normals(rng: np.random.Generator, m: int, n: int, apart: float = 1.2) -> tuple[np.ndarray, np.ndarray]:
    y = np.r_[np.ones(m, bool), np.zeros(n, bool)]
    return y, rng.normal(size=m + n) + apart * y


def _by_definition(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """DeLong, DeLong & Clarke-Pearson (1988), from the whole matrix of pairs."""
    m, n = int(y.sum()), int((~y).sum())
    v10, v01 = [], []
    for score in scores:
        wins = (score[y][:, None] > score[~y][None, :]) + 0.5 * (score[y][:, None] == score[~y][None, :])
        v10.append(wins.mean(axis=1))
        v01.append(wins.mean(axis=0))
    return np.atleast_2d(np.cov(v10)) / m + np.atleast_2d(np.cov(v01)) / n


@pytest.mark.parametrize("ties", [False, True])
def test_auc_and_covariance(ties: bool) -> None:
    rng = np.random.default_rng(1)
    y, first = _normals(rng, 40, 70)
    second = first + rng.normal(size=len(y))
    scores = np.stack([first, second]).round(0 if ties else 6)
    aucs, covariance = delong(y, scores)
    assert aucs == pytest.approx([roc_auc_score(y, s) for s in scores])
    assert covariance == pytest.approx(_by_definition(y, scores))


def test_interval_covers_by_simulation() -> None:
    rng = np.random.default_rng(2)
    truth = 0.801928  # P(N(1.2, 1) > N(0, 1)) = Φ(1.2/√2)
    found = [auc_estimate(*_normals(rng, 30, 40)) for _ in range(600)]
    covered = np.mean([e.low <= truth <= e.high for e in found])
    assert 0.92 <= covered <= 0.985
    assert all(0 <= e.low <= e.value <= e.high <= 1 for e in found)


def test_paired_difference_covers_and_uses_the_pairing() -> None:
    rng = np.random.default_rng(3)
    covered, widths = 0, []
    for _ in range(400):
        y, first = _normals(rng, 40, 40)
        second = first + 0.3 * rng.normal(size=len(y))
        found = auc_difference(y, first, second)
        truth = 0.801928 - 0.791966  # Φ(1.2/√2) − Φ(1.2/√2.18)
        covered += found.low <= truth <= found.high
        alone = auc_estimate(y, first)
        widths.append((found.high - found.low) / (alone.high - alone.low))
    assert 0.92 <= covered / 400 <= 0.985
    assert np.mean(widths) < 0.6


def test_perfect_ranking_still_has_an_interval() -> None:
    y = np.r_[np.ones(20, bool), np.zeros(30, bool)]
    found = auc_estimate(y, y.astype(float))
    assert found.value == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 20))


def test_one_class_is_no_value() -> None:
    assert not auc_estimate(np.ones(5, bool), np.arange(5.0)).known
    assert "one class" in auc_estimate(np.ones(5, bool), np.arange(5.0)).reason


def test_equal_rankings_differ_by_exactly_nothing() -> None:
    y, score = _normals(np.random.default_rng(4), 20, 20)
    found = auc_difference(y, score, np.exp(score))
    assert (found.low, found.value, found.high) == (0.0, 0.0, 0.0)
