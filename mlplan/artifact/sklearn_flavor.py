"""scikit-learn models, kept as skops files: no pickle, and nothing is imported before the audit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlplan.artifact import skops_file
from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.flavor import ModelInfo
from mlplan.artifact.trust import trusted

if TYPE_CHECKING:
    import pandas as pd

    from mlplan.artifact.flavor import Outputs

# Their `predict` is the argmax of their `predict_proba`, ties to the first class: one pass answers both.
_ONE_PASS = frozenset(
    {
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.linear_model._logistic.LogisticRegressionCV",
        "sklearn.tree._classes.DecisionTreeClassifier",
    }
)


class SklearnFlavor:
    """The built-in flavor."""

    name = "sklearn"
    file = "model.skops"

    def detect(self, model: Any) -> bool:
        """Tell whether the object is an estimator that predicts."""
        from sklearn.base import BaseEstimator

        return isinstance(model, BaseEstimator) and callable(getattr(model, "predict", None))

    def recognises(self, path: Path) -> bool:
        """Tell by content whether the file is a skops file."""
        return skops_file.is_skops(path)

    def save(self, model: Any, path: Path) -> None:
        """Write a fitted model. Raises: ArtifactError `not-a-model`."""
        import skops.io
        from sklearn.exceptions import NotFittedError
        from sklearn.utils.validation import check_is_fitted

        try:
            check_is_fitted(model)
        except (NotFittedError, TypeError) as error:
            raise ArtifactError(
                "not-a-model", "This object is not a model that can be kept", f"It is not fitted: {error}"
            ) from error
        try:
            skops.io.dump(model, path)
        except Exception as error:  # skops raises what the object's own state functions raise
            raise ArtifactError(
                "not-a-model",
                "This object is not a model that can be kept",
                f"skops cannot write it: {type(error).__name__}: {error}. Keep functions and open handles out of the "
                "pipeline.",
            ) from error

    def describe(self, model: Any) -> dict[str, Any]:
        """Return features and classes as plain values, where the model knows them."""
        known: dict[str, Any] = {}
        names = _attribute(model, "feature_names_in_")
        if names is not None:
            known["features"] = [str(name) for name in names]
        classes = _attribute(model, "classes_")
        if isinstance(classes, np.ndarray):
            known["classes"] = classes.tolist()
        return known

    def normalise(self, source: Path, target: Path) -> str:
        """Rewrite the file without addresses and times."""
        return skops_file.rewrite(source, target)

    def audit(self, path: Path, trust: Sequence[str]) -> list[str]:
        """Return the types in the file that are not trusted."""
        import skops.io

        skops_file.check_bounds(path)
        try:
            found = skops.io.get_untrusted_types(file=path)
        except Exception as error:  # a damaged file makes skops raise anything, from KeyError to RecursionError
            raise _unreadable(path, error) from error
        return sorted(set(found) - set(trusted(trust)))

    def load(self, path: Path, info: ModelInfo, trust: Sequence[str]) -> SklearnPredictor:
        """Audit, then load."""
        import skops.io

        refused = self.audit(path, trust)
        if refused:
            raise untrusted(refused)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # versions are compared by `versions`, with an error of ours
                model = skops.io.load(path, trusted=list(trusted(trust)))
        except Exception as error:
            raise _unreadable(path, error) from error
        known = self.describe(model)
        features = tuple(known.get("features") or info.features)
        return SklearnPredictor(
            model, replace(info, features=features, classes=tuple(known.get("classes") or info.classes))
        )

    def requirements(self) -> tuple[str, ...]:
        """Return the distributions whose versions must match."""
        return ("scikit-learn", "numpy", "scipy", "pandas", "joblib")


def untrusted(types: Sequence[str]) -> ArtifactError:
    """Return the error that names the refused types and how to allow them."""
    listed = ", ".join(f'"{name}"' for name in types[:20])
    return ArtifactError(
        "untrusted-types",
        "The model holds types that are not trusted",
        f"Loading it would bring these types to life, which may run their code: {listed}. If they are yours, or you "
        "have read them, "
        f"allow them in the model's block:\n\n    trust = [{listed}]\n",
    )


def _unreadable(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(
        "unreadable-model",
        "The model file cannot be read",
        f"{path.name} is damaged, or was written by another version of skops: {type(error).__name__}: "
        f"{str(error)[:300]}",
    )


def _attribute(model: Any, name: str) -> Any:
    """Return a fitted attribute; a pipeline's properties raise when its last step does not have it."""
    try:
        return getattr(model, name, None)
    except AttributeError:
        return None


class SklearnPredictor:
    """A loaded scikit-learn model."""

    def __init__(self, model: Any, info: ModelInfo) -> None:
        from sklearn import config_context

        self.info = info
        self._model = model
        self._context = config_context
        self._features = list(info.features)
        self._named = _attribute(model, "feature_names_in_") is not None
        last = model
        while steps := getattr(last, "steps", None):  # a pipeline may end in a pipeline
            last = steps[-1][1]
        self._one_pass = f"{type(last).__module__}.{type(last).__qualname__}" in _ONE_PASS and hasattr(
            model, "predict_proba"
        )

    def predict(self, frame: pd.DataFrame) -> Outputs:
        """Answer for each row; see `Predictor`."""
        same = len(frame.columns) == len(self._features) and list(frame.columns) == self._features
        asked: Any = frame if same else frame[self._features]
        if not self._named:  # trained on bare arrays: names would only make it warn
            asked = asked.to_numpy()
        # parameters were checked when the model was fitted; checking them again costs 5 % of a small request
        with self._context(skip_parameter_validation=True):
            if self.info.task == "regression":
                return {"prediction": np.asarray(self._model.predict(asked), dtype=np.float64).reshape(len(frame))}
            return self._classify(asked)

    def _classify(self, asked: Any) -> Outputs:
        model = self._model
        if hasattr(model, "predict_proba"):
            scores = np.asarray(model.predict_proba(asked), dtype=np.float64)
            prediction = model.classes_[scores.argmax(axis=1)] if self._one_pass else np.asarray(model.predict(asked))
        else:
            prediction = np.asarray(model.predict(asked))
            scores = np.asarray(model.decision_function(asked), dtype=np.float64)
        if self.info.task == "binary_classification":
            return {"prediction": prediction, "score": scores if scores.ndim == 1 else scores[:, -1]}
        return {"prediction": prediction, "scores": scores}
