"""Area under the ROC curve with DeLong's variance, alone and as a paired difference of two models on the same rows.

O(n log n) by midranks. It knows nothing of limits or slices; `metrics` chooses it, `gates` judges by it.
"""

from __future__ import annotations

import math

import numpy as np

from mlplan.judge.intervals import Array, Estimate, clopper_pearson, normal_quantile, unknown


def midranks(values: Array) -> Array:
    """Return ranks from 1, ties sharing their mean rank. Shapes: (n,) -> (n,)."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    mean_rank = last - (count - 1) / 2.0
    return np.asarray(mean_rank[group], dtype=np.float64)


def delong(positive: Array, scores: Array) -> tuple[Array, Array]:
    """Return the AUC of each score and the covariance matrix of these AUCs.

    Shapes: positive (n,) of bool with both classes present; scores (k, n); returns (k,), (k, k).
    Source: DeLong, DeLong & Clarke-Pearson (1988); the midrank algorithm of Sun & Xu (2014), IEEE SPL 21: 1389-1393,
    eq. 5-8.
    """
    m, n = int(positive.sum()), int((~positive.astype(bool)).sum())
    mask = positive.astype(bool)
    v10, v01 = np.empty((len(scores), m)), np.empty((len(scores), n))
    for k, score in enumerate(scores):
        together = midranks(score)
        v10[k] = (together[mask] - midranks(score[mask])) / n  # share of negatives below each positive
        v01[k] = 1.0 - (together[~mask] - midranks(score[~mask])) / m  # share of positives above each negative
    covariance = np.zeros((len(scores), len(scores)))
    if m > 1:
        covariance += np.atleast_2d(np.cov(v10)) / m
    if n > 1:
        covariance += np.atleast_2d(np.cov(v01)) / n
    return v10.mean(axis=1), covariance


def auc_estimate(positive: Array, score: Array, confidence: float = 0.95) -> Estimate:
    """Return the AUC with a logit-transformed DeLong interval, which stays inside (0, 1) and covers better near 1 than
    the plain one.

    When positives and negatives do not overlap at all DeLong's variance is zero and says nothing; then min(m, n)
    disjoint pairs, all ordered alike, are exact Bernoulli trials and Clopper-Pearson bounds the AUC.
    Shapes: (n,), (n,). Source: Pepe (2003), The Statistical Evaluation of Medical Tests, 5.2.5 (logit interval).
    """
    mask = positive.astype(bool)
    m, n = int(mask.sum()), int((~mask).sum())
    if m == 0 or n == 0:
        return unknown(len(mask), f"all {len(mask)} rows are of one class", confidence=confidence)
    (auc,), covariance = delong(mask, score[None, :])
    value, variance = float(auc), float(covariance[0, 0])
    pairs = min(m, n)
    if value in (0.0, 1.0):
        exact = clopper_pearson(pairs if value == 1.0 else 0, pairs, confidence)
        return Estimate(value, exact.low, exact.high, m + n, "clopper-pearson on disjoint pairs", confidence)
    if variance <= 1e-18 or pairs < 2:  # one row of a class, or every score tied: DeLong has nothing to measure
        spread = clopper_pearson(0, pairs, confidence).high
        low, high = max(0.0, value - spread), min(1.0, value + spread)
        return Estimate(value, low, high, m + n, "clopper-pearson on disjoint pairs", confidence)
    low, high = _logit_interval(value, variance, confidence)
    return Estimate(value, low, high, m + n, "delong (logit)", confidence)


def _logit_interval(value: float, variance: float, confidence: float) -> tuple[float, float]:
    half = normal_quantile(confidence) * math.sqrt(variance) / (value * (1 - value))
    centre = math.log(value / (1 - value))
    return 1 / (1 + math.exp(half - centre)), 1 / (1 + math.exp(-half - centre))


def auc_difference(positive: Array, first: Array, second: Array, confidence: float = 0.95) -> Estimate:
    """Return AUC(first) − AUC(second) on the same rows with DeLong's paired interval (plain, as a difference needs no
    logit).

    Two different rankings of equal, perfect AUC have no variance; the chance of a discordant pair is then bounded
    exactly from min(m, n) disjoint concordant pairs. Shapes: (n,), (n,), (n,).
    """
    mask = positive.astype(bool)
    m, n = int(mask.sum()), int((~mask).sum())
    if m == 0 or n == 0:
        return unknown(len(mask), f"all {len(mask)} rows are of one class", confidence=confidence)
    aucs, covariance = delong(mask, np.stack([first, second]))
    value = float(aucs[0] - aucs[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance > 1e-18 and min(m, n) > 1:
        half = normal_quantile(confidence) * math.sqrt(variance)
        return Estimate(value, value - half, value + half, m + n, "delong (paired)", confidence)
    if np.array_equal(midranks(first), midranks(second)):
        return Estimate(value, value, value, m + n, "equal rankings", confidence)
    half = clopper_pearson(0, min(m, n), confidence).high
    return Estimate(value, value - half, value + half, m + n, "clopper-pearson on disjoint pairs", confidence)


def ovr_estimate(classes: Array, score: Array, confidence: float = 0.95) -> Estimate:
    """Return the mean over the classes of the AUC of each class against the rest, as scikit-learn's `roc_auc_ovr`.

    Shapes: classes (n,) of indices, score (n, k). A class that never occurs makes it unknown.
    """
    found = _ovr(classes, score)
    n = len(classes)
    if isinstance(found, str):
        return unknown(n, found, confidence=confidence)
    value, influence = found
    variance = float((influence**2).sum()) / n**2
    if value in (0.0, 1.0) or variance <= 1e-18:
        # nothing varies: the class with the fewest rows bounds it, as for two classes
        pairs = int(min(np.bincount(classes.astype(int), minlength=score.shape[1])))
        spread = clopper_pearson(0, pairs, confidence).high
        low, high = max(0.0, value - spread), min(1.0, value + spread)
        return Estimate(value, low, high, n, "clopper-pearson on disjoint pairs", confidence)
    low, high = _logit_interval(value, variance, confidence)
    return Estimate(value, low, high, n, "delong, one against the rest (logit)", confidence)


def ovr_difference(classes: Array, first: Array, second: Array, confidence: float = 0.95) -> Estimate:
    """Return the difference of two models' one-against-the-rest AUC on the same rows. Shapes as in `ovr_estimate`."""
    found = [_ovr(classes, score) for score in (first, second)]
    n = len(classes)
    if isinstance(found[0], str) or isinstance(found[1], str):
        return unknown(n, str(found[0]), confidence=confidence)
    value = found[0][0] - found[1][0]
    variance = float(((found[0][1] - found[1][1]) ** 2).sum()) / n**2
    if variance <= 1e-18 and not np.array_equal(first, second):
        pairs = int(min(np.bincount(classes.astype(int), minlength=first.shape[1])))
        half = clopper_pearson(0, pairs, confidence).high
        return Estimate(value, value - half, value + half, n, "clopper-pearson on disjoint pairs", confidence)
    half = normal_quantile(confidence) * math.sqrt(variance)
    return Estimate(value, value - half, value + half, n, "delong, one against the rest (paired)", confidence)


def _ovr(classes: Array, score: Array) -> tuple[float, Array] | str:
    """Return the mean AUC and the influence of each row on it, or why there is none.

    The influence of a row on one class's AUC is its DeLong component less the AUC, over the share of rows on its side; the
    influences of the classes add up, which carries their covariance.
    """
    n, k = score.shape
    values, influence = np.empty(k), np.zeros(n)
    for label in range(k):
        mask = classes == label
        positives = int(mask.sum())
        if positives in (0, n):
            return f"a class has {positives} of {n} rows"
        together = midranks(score[:, label])
        v10 = (together[mask] - midranks(score[mask, label])) / (n - positives)
        v01 = 1.0 - (together[~mask] - midranks(score[~mask, label])) / positives
        values[label] = v10.mean()
        influence[mask] += (v10 - values[label]) * n / positives / k
        influence[~mask] += (v01 - values[label]) * n / (n - positives) / k
    return float(values.mean()), influence
