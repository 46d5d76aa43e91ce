"""A transformer that a user might write."""

from __future__ import annotations

import time
from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin


class Shift(TransformerMixin, BaseEstimator):
    """Leaves the frame as it is."""

    def fit(self, X: Any, y: Any = None) -> Shift:  # noqa: N803  (scikit-learn's name)
        self.feature_names_in_ = list(X.columns)
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        return X


class Fussy(Shift):
    """Raises at distance 666, and takes a second at 777."""

    def transform(self, X: Any) -> Any:  # noqa: N803
        if (X["distance"] == 666).any():
            raise ValueError("too far")
        if (X["distance"] == 777).any():
            time.sleep(1.0)
        return X
