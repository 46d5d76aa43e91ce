"""Pickles from elsewhere: models are read, everything else is refused before it is imported."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.pickled import convert, read_pickle
from mlplan.artifact.skops_file import is_skops

X = np.random.default_rng(1).normal(size=(60, 3))
Y = X[:, 0] + 0.1 * X[:, 1] > 0


class Runs:
    """Would make a folder when it is brought to life."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(3, random_state=0),
        HistGradientBoostingClassifier(max_iter=3),
        GradientBoostingRegressor(n_estimators=3),
    ],
    ids=lambda m: type(m).__name__,
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_models_are_read_and_answer_alike(model: Any, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model.fit(X, Y), protocol=protocol))
    read = read_pickle(path, ())
    assert np.array_equal(read.predict(X), model.predict(X))
    known = convert(path, tmp_path / "model.skops", ())
    assert is_skops(tmp_path / "model.skops")
    assert known.get("classes") in (None, [False, True])


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"csklearn.utils._testing\nTempMemmap\n(S'x'\ntR.",
        b"cnumpy.testing._private.utils\nrunstring\n(S'1'\n}tR.",
        b"cbuiltins\ngetattr\n(cnumpy\nndarray\nS'__class__'\ntR.",
        b"csklearn\nos.system\n(S'true'\ntR.",
    ],
)
def test_what_is_no_part_of_a_model_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    with pytest.raises(ArtifactError) as caught:
        read_pickle(path, ())
    assert caught.value.code == "untrusted-types"


def test_nothing_runs_that_a_pickle_names(tmp_path: Path) -> None:
    path, made = tmp_path / "model.pkl", tmp_path / "made"
    path.write_bytes(pickle.dumps(make_pipeline(StandardScaler(), Runs(str(made)), LogisticRegression())))
    with pytest.raises(ArtifactError):
        read_pickle(path, ())
    assert not made.exists()


@pytest.mark.parametrize("data", [b"", b"no pickle", pickle.dumps(LogisticRegression())[:-9]])
def test_damage_is_said(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    with pytest.raises(ArtifactError) as caught:
        read_pickle(path, ())
    assert caught.value.code == "unreadable-model"


def test_a_pickle_of_something_else_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": np.ones(3)}))
    with pytest.raises(ArtifactError) as caught:
        convert(path, tmp_path / "model.skops", ())
    assert caught.value.code == "not-a-model"
