"""Distances between two binned distributions. Every function takes counts of shape (..., bins), so that one call
measures a pair or a thousand resampled pairs.

Nothing here knows columns, limits or verdicts: that is `drift`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
Distance = Callable[[Counts, Counts], NDArray[np.float64]]

_SMOOTH = 0.5
"""Added to every bin, so that an empty one does not make a logarithm infinite (Jeffreys' prior of a multinomial)."""


def psi(reference: Counts, current: Counts) -> NDArray[np.float64]:
    """Return the population stability index, sum((q - p) ln(q / p)), which is Jeffreys' divergence.

    Shapes: reference, current (..., bins); result (...). Source: H. Jeffreys, Proc. R. Soc. A 186 (1946) 453-461; under
    equal distributions its mean is about (bins - 1)(1/n + 1/m) (B. Yurdakul, 2018).
    """
    p, q = _smooth(reference), _smooth(current)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1))


def jensen_shannon(reference: Counts, current: Counts) -> NDArray[np.float64]:
    """Return the Jensen-Shannon distance, the root of the divergence in bits: 0 for equal, 1 for disjoint ones.

    Shapes: reference, current (..., bins); result (...). Source: J. Lin, IEEE Trans. Inf. Theory 37 (1991) 145-151; as
    `scipy.spatial.distance.jensenshannon(p, q, base=2)`.
    """
    p, q = _share(reference), _share(current)
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log2(p / middle), 0.0)
        right = np.where(q > 0, q * np.log2(q / middle), 0.0)
    return np.asarray(np.sqrt(np.clip((left + right).sum(axis=-1) / 2, 0.0, 1.0)))


def kolmogorov_smirnov(reference: Counts, current: Counts) -> NDArray[np.float64]:
    """Return the largest difference of the distribution functions at the edges of the bins, in order.

    It is at most the exact statistic and misses it by at most the share of one bin. Shapes: as above. Source: A. N.
    Kolmogorov (1933), N. V. Smirnov (1939).
    """
    return np.asarray(np.abs(np.cumsum(_share(current), axis=-1) - np.cumsum(_share(reference), axis=-1)).max(axis=-1))


def cohens_w(reference: Counts, current: Counts) -> NDArray[np.float64]:
    """Return Cohen's w, sqrt(sum((q - p)² / p)): the effect size of the chi-square statistic, free of the sample sizes.

    Shapes: as above. Source: J. Cohen, Statistical Power Analysis (1988) 216: 0.1 is small, 0.3 medium, 0.5 large.
    """
    p, q = _smooth(reference), _smooth(current)
    return np.asarray(np.sqrt(((q - p) ** 2 / p).sum(axis=-1)))


def wasserstein(edges: NDArray[np.float64], spread: float) -> Distance:
    """Return the distance that integrates |F - G| over the values, values of a bin spread evenly, in units of `spread`.

    The counts are those of a profile: below the first edge, the bins, above the last edge; what lies outside is taken
    to lie at the edge. Shapes: edges (bins + 1,), counts (..., bins + 2). Source: S. Vallender, Theory Probab. Appl. 18
    (1974) 784-786; as `scipy.stats.wasserstein_distance` divided by the spread.
    """
    widths = np.diff(edges)

    def measure(reference: Counts, current: Counts) -> NDArray[np.float64]:
        gap = np.cumsum(_share(current), axis=-1) - np.cumsum(_share(reference), axis=-1)
        left, right = gap[..., :-2], gap[..., 1:-1]  # difference of the distribution functions at the ends of the bins
        return np.asarray((_mean_absolute(left, right) * widths).sum(axis=-1) / spread)

    return measure


def _mean_absolute(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of |f| over a line from `left` to `right`."""
    same = left * right >= 0
    total = np.abs(left) + np.abs(right)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = (left**2 + right**2) / (2 * total)
    return np.where(same | (total == 0), total / 2, crossing)


def chi_square(reference: Counts, current: Counts) -> tuple[float, float]:
    """Return the chi-square statistic of homogeneity and its p-value; bins empty in both are left out.

    Shapes: reference, current (bins,). Source: K. Pearson (1900); as `scipy.stats.chi2_contingency(..., correction=False)`.
    """
    from scipy import special

    table = np.stack([reference, current])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        return 0.0, 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, float(special.chdtrc(table.shape[1] - 1, statistic))


def kolmogorov_p(statistic: float, n: float, m: float) -> float:
    """Return the asymptotic p-value of a two-sample Kolmogorov-Smirnov statistic; too large for binned values.

    Source: N. V. Smirnov, Ann. Math. Stat. 19 (1948) 279-281, with the sample size n m / (n + m).
    """
    from scipy import special

    return float(special.kolmogorov(statistic * np.sqrt(n * m / (n + m)))) if n and m else 1.0


def _share(counts: Counts) -> NDArray[np.float64]:
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray(counts / np.where(total > 0, total, 1.0))


def _smooth(counts: Counts) -> NDArray[np.float64]:
    return _share(np.asarray(counts, dtype=np.float64) + _SMOOTH)


def as_counts(values: Any) -> Counts:
    """Return counts as the functions above take them."""
    return np.asarray(values, dtype=np.float64)
