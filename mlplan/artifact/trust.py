"""Which types a model file may bring to life. The list is ours and the user's configuration's, never the artifact's.

skops trusts scikit-learn's estimators, numpy's and scipy's functions, and plain Python values by itself; the types
below are the parts of scikit-learn's own models that it leaves to the user's judgement. They hold numbers only. Their
node arrays are indices that compiled code follows, so a forged file could crash the model process: artifacts are loaded
by digest, in their own process.
"""

from __future__ import annotations

from collections.abc import Iterable

DEFAULT_TRUST: tuple[str, ...] = (
    "functools.partial",  # of a function that must be trusted too; scikit-learn wraps check_array in it
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._ball_tree.BallTree64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._kd_tree.KDTree64",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)


def trusted(configured: Iterable[str]) -> tuple[str, ...]:
    """Return the types to trust: ours and the configured ones, sorted."""
    return tuple(sorted({*DEFAULT_TRUST, *configured}))
