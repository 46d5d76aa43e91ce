"""What ids of models name. The stores under tests/world/mlflow were written by MLflow 2.22 and 3.17, and moved since."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mlplan.kinds.model import mlflow_files
from mlplan.kinds.model.sources import Source, source_of
from mlplan.kinds.services import Services
from mlplan.lang.diagnostic import DiagnosticError

STORES = Path(__file__).parents[2] / "world" / "mlflow"
RUN_2, RUN_3 = "b067378c4c5b47c7941e3ce950fbe3f1", "9c0eaae6d7ad4d679edc8fe955c6154c"


def source(identity: str, root: Path) -> Source:
    pins: Any = None
    return source_of(identity, "model.m", root, Services(root, "python", pins))


def refused(identity: str, root: Path) -> str:
    with pytest.raises(DiagnosticError) as caught:
        source(identity, root)
    (found,) = caught.value.diagnostics
    assert found.code == "cannot-import"
    return found.detail


@pytest.mark.parametrize(
    ("identity", "file", "number"),
    [
        ("models:/toy/1", "model/model.pkl", 1),
        ("models:/toy/2", "forest/model.pkl", 2),
        ("models:/toy@champion", "model/model.pkl", 1),
        (f"runs:/{RUN_2}/model", "model/model.pkl", None),
        ("mlflow:mlruns/models/toy/version-2", "forest/model.pkl", 2),
        (f"mlflow:mlruns/0/{RUN_2}/artifacts/model#v9", "model/model.pkl", 9),
        (f"mlruns/0/{RUN_2}/artifacts/model", "model/model.pkl", None),
    ],
)
def test_models_of_an_mlflow_2_store(identity: str, file: str, number: int | None) -> None:
    found = source(identity, STORES / "2.22")
    assert str(found.path).endswith(file)
    assert found.number == number
    assert found.versions["scikit-learn"] == "1.9.1"
    assert found.features == (("x", "z") if "forest" not in file else ())


@pytest.mark.parametrize(
    "identity", ["models:/toy/1", f"runs:/{RUN_3}/model", "models:/m-9bb6ed03aa6d45548f6126407a057d73"]
)
def test_models_of_an_mlflow_3_store(identity: str) -> None:
    found = source(identity, STORES / "3.17")
    assert found.path.name == "model.skops"
    assert found.features == ("x", "z")
    assert found.made is not None
    assert found.made.startswith("2026-")


def test_another_store_is_named_with_the_model(tmp_path: Path) -> None:
    assert source(f"mlflow:{STORES / '2.22' / 'mlruns'}#models:/toy/1", tmp_path).number == 1


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ("models:/toy/7", "versions 1, 2"),
        ("models:/other/1", "no such model"),
        ("models:/toy@best", "no alias best"),
        ("models:/toy", "no experiment"),
        ("runs:/0000/model", "has a run 0000"),
        (f"runs:/{RUN_2}/nothing", "logged no model"),
        (f"runs:/{RUN_2}/../../../etc", "leads out"),
        ("models:/../1", "leads out"),
        ("sha256:12", "no artifact"),
        ("sha256:../../etc", "no artifact"),
        ("nowhere", "neither a file nor a folder"),
        (".", "no manifest.json, MLmodel or model.*"),
    ],
)
def test_what_is_not_there_is_said(identity: str, words: str) -> None:
    assert words in refused(identity, STORES / "2.22")


def test_other_flavors_code_of_their_own_and_damage_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(STORES / "2.22" / "mlruns" / "0" / RUN_2 / "artifacts" / "model", folder)
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(text.replace("  sklearn:\n", "  xgboost:\n"))
    assert "xgboost; what can be imported is scikit-learn's" in refused("m", tmp_path)
    (folder / "MLmodel").write_text(text.replace("code: null", "code: code"))
    assert "brings code of its own" in refused("m", tmp_path)
    (folder / "MLmodel").write_text(text.replace("pickled_model: model.pkl", "pickled_model: ../../secret"))
    assert "leads out" in refused("m", tmp_path)
    (folder / "MLmodel").write_text("a: [")
    assert "cannot be read" in refused("m", tmp_path)
    (folder / "MLmodel").write_text("!!python/object/apply:os.system ['true']")
    assert "cannot be read" in refused("m", tmp_path)


def test_files_elsewhere_are_not_fetched(tmp_path: Path) -> None:
    version = tmp_path / "mlruns" / "models" / "toy" / "version-1"
    version.mkdir(parents=True)
    (version / "meta.yaml").write_text("storage_location: s3://bucket/model\nversion: 1\n")
    assert "download it first" in refused("models:/toy/1", tmp_path)


def test_requirements_are_read_for_what_the_model_depends_on(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("mlflow==2\nNumPy==2.1.0\nscipy>=1\nscikit_learn==1.5.2 ; python_version > '3'\n")
    assert mlflow_files._versions(path) == {"numpy": "2.1.0", "scikit-learn": "1.5.2"}
