"""`python -m mlplan.artifact` as the core runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mlplan.artifact.__main__ import main
from tests.unit.artifact.training import COLUMNS, make_table, seal_request


def run(verb: str, request: dict[str, Any], folder: Path) -> tuple[int, dict[str, Any]]:
    path = folder / "request.json"
    path.write_text(json.dumps(request))
    code = main([verb, str(path)])
    return code, json.loads(Path(request["result"]).read_text())


def predict_request(sealed: Any, folder: Path, **changes: Any) -> dict[str, Any]:
    data = folder / "holdout.parquet"
    pq.write_table(make_table(60, seed=5), data, row_group_size=7)
    return {
        "artifact": str(sealed.path),
        "digest": sealed.digest,
        "paths": [str(data), str(data)],
        "columns": COLUMNS,
        "label": "late",
        "key": ["flight"],
        "extra_columns": ["carrier", "flight"],
        "predictions": str(folder / "predictions.parquet"),
        "result": str(folder / "result.json"),
        **changes,
    }


def test_a_child_process_seals_and_exits_with_0(trained: Path, sealed: Any, tmp_path: Path) -> None:
    request = seal_request(trained, tmp_path / "store", result=str(tmp_path / "result.json"))
    (tmp_path / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-m", "mlplan.artifact", "seal", str(tmp_path / "request.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert Path(result["path"]).is_dir()
    assert result["prediction_digest"] == sealed.manifest.prediction_digest
    assert result["features"] == ["carrier", "dep_delay", "distance"]


def test_what_a_user_caused_is_in_the_result_file(tmp_path: Path) -> None:
    code, result = run("seal", seal_request(tmp_path, tmp_path / "store"), tmp_path)
    assert code == 1
    assert result["error"]["code"] == "no-model"
    assert set(result["error"]) == {"code", "summary", "detail"}


def test_predictions_keep_the_row_order_and_carry_label_slices_and_key(sealed: Any, tmp_path: Path) -> None:
    code, result = run("predict", predict_request(sealed, tmp_path), tmp_path)
    assert (code, result["rows"]) == (0, 120)
    table = pq.read_table(result["predictions"])
    assert table.column_names == ["flight", "carrier", "label", "prediction", "score"]
    source = make_table(60, seed=5)
    for name, column in (("flight", "flight"), ("label", "late"), ("carrier", "carrier")):
        assert table.column(name).to_pylist() == source.column(column).to_pylist() * 2
    scores, answers = table.column("score").to_pylist(), table.column("prediction").to_pylist()
    assert [score > 0.5 for score in scores] == answers


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"columns": [c for c in COLUMNS if c["name"] != "distance"]}, "missing-column"),
        ({"extra_columns": ["nowhere"]}, "missing-column"),
        ({"paths": []}, "no-rows"),
        ({"digest": "sha256:" + "0" * 64}, "artifact-altered"),
        ({"artifact": "/nowhere"}, "artifact-altered"),
    ],
)
def test_predict_says_what_is_wrong_and_leaves_no_file(sealed: Any, tmp_path: Path, changes: Any, code: str) -> None:
    exit_code, result = run("predict", predict_request(sealed, tmp_path, **changes), tmp_path)
    assert exit_code == 1
    assert result["error"]["code"] == code
    assert not list(tmp_path.glob("predictions.parquet*"))


def test_a_column_with_the_name_of_an_answer_is_refused(sealed: Any, tmp_path: Path) -> None:
    columns = [*COLUMNS, {"name": "score", "type": "number"}]
    code, result = run("predict", predict_request(sealed, tmp_path, columns=columns, extra_columns=["score"]), tmp_path)
    assert (code, result["error"]["code"]) == (1, "column-name-taken")
