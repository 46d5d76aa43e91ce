"""Distances of binned distributions against scipy and numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from mlplan.judge.distances import (
    as_counts,
    chi_square,
    cohens_w,
    jensen_shannon,
    kolmogorov_p,
    kolmogorov_smirnov,
    psi,
    wasserstein,
)

LEFT = as_counts([20, 30, 50])
RIGHT = as_counts([35, 35, 30])


def test_psi_by_hand() -> None:
    left, right = as_counts([20_000, 30_000, 50_000]), as_counts([35_000, 35_000, 30_000])
    by_hand = 0.15 * math.log(35 / 20) + 0.05 * math.log(35 / 30) - 0.2 * math.log(30 / 50)
    assert psi(left, right) == pytest.approx(by_hand, rel=1e-4)
    assert psi(LEFT, LEFT) == 0
    assert psi(LEFT, RIGHT) == pytest.approx(float(psi(RIGHT, LEFT)))


def test_an_empty_bin_does_not_make_psi_infinite() -> None:
    assert 1 < psi(as_counts([50, 50, 0]), as_counts([0, 50, 50])) < 20


def test_jensen_shannon_is_that_of_scipy() -> None:
    assert jensen_shannon(LEFT, RIGHT) == pytest.approx(float(distance.jensenshannon(LEFT, RIGHT, base=2)))
    assert jensen_shannon(as_counts([1, 0]), as_counts([0, 1])) == pytest.approx(1)


def test_chi_square_is_that_of_scipy() -> None:
    found = stats.chi2_contingency(np.stack([LEFT, RIGHT]), correction=False)
    assert chi_square(LEFT, RIGHT) == pytest.approx((found.statistic, found.pvalue))
    assert chi_square(np.append(LEFT, 0), np.append(RIGHT, 0)) == pytest.approx((found.statistic, found.pvalue))
    assert chi_square(as_counts([5]), as_counts([9])) == (0, 1)


def test_cohens_w_does_not_depend_on_the_sizes() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.35, 0.35, 0.3])
    by_hand = math.sqrt((((q - p) ** 2) / p).sum())
    assert cohens_w(p * 1e6, q * 1e6) == pytest.approx(by_hand, rel=1e-3)
    assert cohens_w(p * 1e6, q * 1e4) == pytest.approx(by_hand, rel=1e-2)


def _binned(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    inside = np.histogram(values, edges)[0]
    return as_counts([(values < edges[0]).sum(), *inside, (values > edges[-1]).sum()])


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.7])
def test_binned_statistics_are_near_the_exact_ones(shift: float) -> None:
    random = np.random.default_rng(5)
    left, right = random.normal(size=20_000), random.normal(shift, 1.1, size=8_000)
    edges = np.quantile(left, np.linspace(0, 1, 101))
    a, b = _binned(left, edges), _binned(right, edges)
    exact = stats.ks_2samp(left, right)
    assert kolmogorov_smirnov(a, b) == pytest.approx(exact.statistic, abs=0.01)
    assert kolmogorov_smirnov(a, b) <= exact.statistic + 1e-12
    earth = stats.wasserstein_distance(left, right)
    assert wasserstein(edges, 1.0)(a, b) == pytest.approx(earth, abs=0.03)


def test_the_asymptotic_p_value_is_that_of_scipy() -> None:
    random = np.random.default_rng(6)
    left, right = random.normal(size=5_000), random.normal(0.05, size=4_000)
    exact = stats.ks_2samp(left, right, method="asymp")
    assert kolmogorov_p(exact.statistic, 5_000, 4_000) == pytest.approx(exact.pvalue, rel=0.05)


def test_wasserstein_by_hand() -> None:
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    # all of the mass moves from the first bin to the last: two units, in units of a spread of four
    assert wasserstein(edges, 4.0)(as_counts([0, 9, 0, 0, 0]), as_counts([0, 0, 0, 3, 0])) == pytest.approx(0.5)


def test_many_pairs_are_measured_at_once() -> None:
    left, right = np.stack([LEFT, RIGHT, LEFT]), np.stack([RIGHT, RIGHT, LEFT])
    for measure in (psi, jensen_shannon, kolmogorov_smirnov, cohens_w):
        assert measure(left, right) == pytest.approx([float(measure(a, b)) for a, b in zip(left, right, strict=True)])
