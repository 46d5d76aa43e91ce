"""Sealing: what goes in, what is refused, and that equal content has one name."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import joblib
import pytest

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.manifest import read_document, verify
from mlplan.artifact.open import open_artifact, open_predictor
from mlplan.artifact.schema import RequestSchema
from mlplan.artifact.seal import SealRequest, remove, seal
from tests.unit.artifact.training import COLUMNS, FEATURES, PROBE, boosting, logistic, make_table, train


def request(output: Path, store: Path, **changes: Any) -> SealRequest:
    values: dict[str, Any] = {
        "output": output,
        "store": store,
        "model": "model.flights",
        "task": "binary_classification",
        "schema": RequestSchema.from_json({"columns": COLUMNS}),
        "probe": PROBE,
    }
    return SealRequest(**{**values, **changes})


def refused(output: Path, store: Path, **changes: Any) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        seal(request(output, store, **changes))
    assert [path for path in store.iterdir() if path.name.startswith(".")] == []
    return caught.value


def test_the_folder_is_named_by_its_content_and_read_only(sealed: Any) -> None:
    name = sealed.digest.removeprefix("sha256:")
    assert (sealed.path.parent.name, sealed.path.name) == (name[:2], name)
    assert verify(sealed.path) == []
    assert all(path.stat().st_mode & 0o222 == 0 for path in [sealed.path, *sealed.path.rglob("*")])


def test_the_same_output_is_sealed_once(trained: Path, sealed: Any) -> None:
    again = seal(request(trained, sealed.path.parent.parent))
    assert (again.digest, again.path) == (sealed.digest, sealed.path)
    assert [path.name for path in sealed.path.parent.parent.iterdir()] == [sealed.path.parent.name]


def test_the_same_training_in_another_process_has_the_same_digest(trained: Path, sealed: Any, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.unit.artifact.training import boosting, train; "
        "train(Path(sys.argv[1]), boosting())"
    )
    environment = {"PYTHONHASHSEED": "12345", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "job")], check=True, cwd=Path.cwd(), env=environment)
    output = tmp_path / "job" / "output"
    raw = "model.skops"
    assert (output / raw).read_bytes() != (trained / raw).read_bytes(), "skops writes addresses into its files"
    again = seal(request(output, tmp_path / "store"))
    assert again.manifest.content_digest == sealed.manifest.content_digest
    assert again.manifest.files["model.skops"] == sealed.manifest.files["model.skops"]


def test_another_training_has_another_content_and_another_prediction_digest(sealed: Any, tmp_path: Path) -> None:
    other = seal(request(train(tmp_path / "job", boosting(max_iter=3)), tmp_path / "store"))
    assert other.manifest.content_digest != sealed.manifest.content_digest
    assert other.manifest.prediction_digest != sealed.manifest.prediction_digest
    assert other.digest != sealed.digest


def test_the_sealed_model_answers_as_the_trained_one(tmp_path: Path) -> None:
    model = logistic()
    output = train(tmp_path / "job", model)
    artifact = seal(request(output, tmp_path / "store"))
    frame = make_table(50, seed=3).select(FEATURES).to_pandas()
    outputs = open_predictor(artifact.path).predict(frame)
    assert outputs["score"].tolist() == pytest.approx(model.predict_proba(frame)[:, 1].tolist())
    assert outputs["prediction"].tolist() == model.predict(frame).tolist()


def test_contract_probe_card_and_versions_are_in_it(sealed: Any) -> None:
    contract = read_document(sealed.path / "contract.json")
    required = {column["name"]: column.get("required", True) for column in contract["columns"]}
    assert required == {
        "flight": False,
        "carrier": True,
        "dep_delay": True,
        "distance": True,
        "tail": False,
        "at": False,
    }
    probe = read_document(sealed.path / "probe.json")
    assert len(probe["expected"]["score"]) == len(probe["rows"]) == 3
    assert read_document(sealed.path / "env/versions.json")["modules"]["scikit-learn"]
    assert "`dep_delay`" in (sealed.path / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (pickle.dumps({"a": 1}), "pickle"),
        (pickle.dumps([1, 2], protocol=0), "pickle"),
        (b"\x78\x9cxxxx", "joblib"),
        (b"\x1f\x8bxxxx", "gzip"),
        (b"PK\x03\x04" + b"\0" * 40, "zip"),
    ],
)
def test_files_that_can_run_code_are_refused_by_content_not_by_name(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "model.skops").write_bytes(content)
    error = refused(tmp_path, tmp_path / "store")
    assert error.code == "unsafe-model-file"
    assert kind in error.detail
    assert "save(model)" in error.detail


def test_a_joblib_dump_is_refused(tmp_path: Path) -> None:
    joblib.dump({"a": 1}, tmp_path / "model.skops", compress=3)
    assert refused(tmp_path, tmp_path / "store").code == "unsafe-model-file"


def test_no_model_at_all_says_how_to_save_one(tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("weights")
    error = refused(tmp_path, tmp_path / "store")
    assert error.code == "no-model"
    assert "model.txt" in error.detail


def test_a_link_is_not_a_model(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "model.skops").symlink_to(trained / "model.skops")
    assert refused(tmp_path, tmp_path / "store").code == "no-model"


def test_a_plain_script_may_leave_only_the_model_file(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "model.skops", tmp_path / "model.skops")
    artifact = seal(request(tmp_path, tmp_path / "store"))
    assert list(artifact.manifest.info.features) == FEATURES
    assert list(artifact.manifest.info.classes) == [False, True]


def test_a_type_of_the_user_is_refused_until_it_is_trusted(tmp_path: Path) -> None:
    from sklearn.pipeline import make_pipeline

    from tests.unit.artifact.custom import Shift

    model = make_pipeline(Shift(), boosting())
    output = train(tmp_path / "job", model)
    error = refused(output, tmp_path / "store")
    assert error.code == "untrusted-types"
    assert 'trust = ["tests.unit.artifact.custom.Shift"]' in error.detail
    artifact = seal(request(output, tmp_path / "store", trust=["tests.unit.artifact.custom.Shift"]))
    with pytest.raises(ArtifactError, match=r"custom\.Shift"):
        open_artifact(artifact.path)
    assert open_artifact(artifact.path, ["tests.unit.artifact.custom.Shift"]).predictor.info.features


def test_a_model_file_that_names_a_dangerous_function_is_not_opened(trained: Path, tmp_path: Path) -> None:
    evil, marker = tmp_path / "model.skops", tmp_path / "ran"
    function = {"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode", "content": "system"}
    partial = {
        "__class__": "partial",
        "__module__": "functools",
        "__loader__": "PartialNode",
        "content": {"func": function, "args": {"__loader__": "JsonNode", "content": f'"touch {marker}"'}},
    }
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("schema.json", json.dumps({**partial, "protocol": 2, "_skops_version": "0.16"}))
    assert refused(tmp_path, tmp_path / "store").code in ("untrusted-types", "unreadable-model")
    assert not marker.exists()


@pytest.mark.parametrize(
    "schema", ["{", "[" * 50_000, '{"__loader__": "NoSuchNode", "__class__": "a", "__module__": "b"}', "null"]
)
def test_a_damaged_skops_file_is_said_to_be_damaged(tmp_path: Path, schema: str) -> None:
    with zipfile.ZipFile(tmp_path / "model.skops", "w") as archive:
        archive.writestr("schema.json", schema)
    assert refused(tmp_path, tmp_path / "store").code == "unreadable-model"


def test_a_feature_that_the_contract_does_not_have_is_named(trained: Path, tmp_path: Path) -> None:
    schema = RequestSchema.from_json({"columns": [c for c in COLUMNS if c["name"] != "distance"]})
    error = refused(trained, tmp_path, schema=schema)
    assert error.code == "unknown-feature"
    assert '"distance"' in error.detail


def test_a_probe_row_that_the_model_cannot_answer_is_said(tmp_path: Path) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    strict = make_column_transformer((OneHotEncoder(), ["carrier"]), (SimpleImputer(), ["dep_delay", "distance"]))
    output = train(tmp_path / "job", make_pipeline(strict, LogisticRegression(max_iter=5000)))
    error = refused(output, tmp_path / "store", probe=[{"carrier": "XX", "dep_delay": 1.0, "distance": 5}])
    assert error.code == "model-failed"
    assert "unknown categories" in error.detail


def test_versions_of_training_must_be_installed(trained: Path, tmp_path: Path) -> None:
    document = json.loads((trained / "model.json").read_text())
    document["versions"]["modules"]["scikit-learn"] = "0.1"
    shutil.copytree(trained, tmp_path / "out")
    (tmp_path / "out" / "model.json").write_text(json.dumps(document))
    error = refused(tmp_path / "out", tmp_path / "store")
    assert error.code == "version-mismatch"
    assert "was 0.1 in training" in error.detail


def test_a_regressor_is_not_a_classifier(tmp_path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(boosting()[0], HistGradientBoostingRegressor(max_iter=3))
    output = train(tmp_path / "job", model, "regression", label="distance")
    assert refused(output, tmp_path / "store").code in ("wrong-classes", "model-failed")
    artifact = seal(request(output, tmp_path / "store", task="regression"))
    frame = make_table(5).select(FEATURES).to_pandas()
    assert list(open_predictor(artifact.path).predict(frame)) == ["prediction"]


def test_multiclass_gives_a_score_a_class(tmp_path: Path) -> None:
    output = train(tmp_path / "job", boosting(), "multiclass", label="carrier")
    artifact = seal(request(output, tmp_path / "store", task="multiclass"))
    outputs = open_predictor(artifact.path).predict(make_table(5).select(FEATURES).to_pandas())
    assert outputs["scores"].shape == (5, 3)
    assert outputs["scores"].sum(axis=1).tolist() == pytest.approx([1.0] * 5)


def test_a_damaged_artifact_is_replaced_by_the_right_bytes(trained: Path, tmp_path: Path) -> None:
    first = seal(request(trained, tmp_path))
    card = first.path / "MODEL_CARD.md"
    card.chmod(0o644)
    card.write_text("better than it is")
    again = seal(request(trained, tmp_path))
    assert again.path == first.path
    assert verify(first.path) == []
    remove(first.path)
    assert not first.path.exists()


def test_an_empty_probe_is_refused(trained: Path, tmp_path: Path) -> None:
    assert refused(trained, tmp_path, probe=[]).code == "bad-probe"


def common_models() -> list[Any]:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_selection import SelectKBest
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, SplineTransformer, StandardScaler

    def numbers(*steps: Any) -> Any:
        return make_pipeline(boosting()[0], SimpleImputer(), *steps)

    linear = LogisticRegression(max_iter=2000)
    return [
        numbers(KBinsDiscretizer(5, strategy="uniform"), CalibratedClassifierCV(linear)),
        numbers(SelectKBest(k=2), RandomForestClassifier(5, random_state=0)),
        numbers(StandardScaler(), SplineTransformer(), KNeighborsClassifier()),
        numbers(StandardScaler(), MLPClassifier(5, max_iter=20, random_state=0, tol=10)),
        numbers(StandardScaler(), GridSearchCV(linear, {"C": [0.1, 1.0]})),
        numbers(StandardScaler(), TunedThresholdClassifierCV(linear)),
    ]


@pytest.mark.parametrize("model", common_models(), ids=lambda model: type(model[-1]).__name__)
def test_common_models_need_no_trust_of_the_user(model: Any, tmp_path: Path) -> None:
    artifact = seal(request(train(tmp_path / "job", model), tmp_path / "store"))
    frame = make_table(40, seed=9).select(FEATURES).to_pandas()
    outputs = open_predictor(artifact.path).predict(frame)
    assert outputs["prediction"].tolist() == model.predict(frame).tolist()
    assert outputs["score"].tolist() == pytest.approx(model.predict_proba(frame)[:, 1].tolist())


def test_what_a_killed_process_left_is_swept_when_it_is_old(trained: Path, tmp_path: Path) -> None:
    for name, age in ((".sealing-old", 200_000), (".sealing-new", 10)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    seal(request(trained, tmp_path))
    assert [path.name for path in tmp_path.glob(".sealing-*")] == [".sealing-new"]
