"""A model that MLflow logged becomes a version that the gates judge; nothing is trained, and the next plan is empty."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pandas as pd
import sklearn
from sklearn.linear_model import LogisticRegression

from tests.e2e.running import mlplan
from tests.world.small_project import write_project

MLMODEL = """\
flavors:
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: {version}
utc_time_created: '2026-01-02 03:04:05.000000'
"""
BLOCK = """
import {
  to = model.toy
  id = "mlflow:logged#v4"
}
"""


def test_a_logged_model_becomes_a_version(tmp_path: Path) -> None:
    write_project(tmp_path)
    rows = pd.read_csv(tmp_path / "rows.csv")
    logged = tmp_path / "logged"
    logged.mkdir()
    (logged / "model.pkl").write_bytes(pickle.dumps(LogisticRegression().fit(rows[["x", "z"]], rows["hot"])))
    (logged / "MLmodel").write_text(MLMODEL.format(version=sklearn.__version__))
    main = tmp_path / "main.mlplan.hcl"
    main.write_text(main.read_text() + BLOCK)
    assert mlplan("init", folder=tmp_path).returncode == 0

    shown = mlplan("plan", "-json", folder=tmp_path)
    change = next(c for c in json.loads(shown.stdout)["resource_changes"] if c["address"] == "model.toy")
    assert change["change"]["importing"] == {"id": "mlflow:logged#v4"}
    assert change["change"]["actions"] == ["no-op"]

    applied = mlplan("apply", "-auto-approve", folder=tmp_path, timeout=300)
    assert applied.returncode == 0, applied.stderr
    assert "1 to import, 1 to add" in applied.stdout
    assert "train v" not in applied.stderr
    model = json.loads(mlplan("state", "show", "model.toy", "-json", folder=tmp_path).stdout)
    assert "2026-01-02T03:04:05+00:00" in json.dumps(model)
    assert mlplan("output", "-raw", "toy", folder=tmp_path).stdout.strip() == "4"

    after = mlplan("plan", "-detailed-exitcode", folder=tmp_path)
    assert after.returncode == 0, after.stdout
    again = mlplan("import", "model.toy", "mlflow:logged", folder=tmp_path)
    assert again.returncode == 1
    assert "already-managed" in again.stderr
