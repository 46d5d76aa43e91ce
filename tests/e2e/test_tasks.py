"""Other tasks and other people's data, from files to a prediction: one project with a model of every kind, applied once."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mlplan.cli.main import run
from tests.world.datasets import Table, mixed, of_sklearn

pytestmark = [pytest.mark.envoy, pytest.mark.e2e]

TRAIN = """\
import mlplan.job
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

job = mlplan.job.load()
frame, label = job.frame("train"), job.label("train")
x = frame[job.features("train")]
model = Ridge() if job.task == "regression" else LogisticRegression(C=float(job.params.get("c", 1)), max_iter=500)
job.save(make_pipeline(StandardScaler(), model).fit(x, frame[label]))
"""

PLAIN = '''\
"""Knows nothing of mlplan but the environment variables."""
import json
import os
from pathlib import Path

import pandas as pd
import skops.io
from sklearn.linear_model import LogisticRegression

frame = pd.concat([pd.read_csv(path) for path in os.environ["MLPLAN_DATA_TRAIN"].splitlines()])
params = json.loads(os.environ["MLPLAN_PARAMS"])
columns = ["petal length (cm)", "petal width (cm)"]
model = LogisticRegression(C=params["c"], random_state=int(os.environ["MLPLAN_SEED"]), max_iter=500)
skops.io.dump(model.fit(frame[columns], frame["species"]), Path(os.environ["MLPLAN_OUTPUT"]) / "model.skops")
'''

PACKAGED = """\
import mlplan.job
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from pkg.columns import NUMBERS, WORDS

job = mlplan.job.load()
frame = job.frame("train")
columns = ColumnTransformer(
    [("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), WORDS), ("numbers", "passthrough", NUMBERS)]
)
model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20, early_stopping=False, random_state=job.seed))
job.save(model.fit(frame[[*WORDS, *NUMBERS]], frame["late"]), features=[*WORDS, *NUMBERS])
"""


def model(
    name: str,
    contract: str,
    task: str,
    gate: str,
    run_line: str = "python train.py",
    code: str = "train.py",
    more: str = "",
) -> str:
    return f"""
model "{name}" {{
  {more}
  task = "{task}"
  train {{
    run    = "{run_line}"
    code   = ["{code}"]
    data   = {{ train = data_contract.{contract} }}
    params = {{ c = 1 }}
    seed   = 7
  }}
  evaluate {{
    data = data_contract.{contract}
  }}
  gate "good" {{
    {gate}
  }}
  deploy_to = [environment.dev]
}}
output "{name}" {{
  value = {"{ for k, m in model." + name + ' : k => m.deployment["dev"].url }' if more else f'model.{name}.deployment["dev"].url'}
}}
"""


@dataclass
class Applied:
    """The project after its one apply."""

    folder: Path
    tables: dict[str, Table]
    outputs: dict[str, Any]

    def ask(self, name: str, path: str, body: Any, raw: bytes | None = None) -> tuple[int, Any]:
        """Post to a model's endpoint; return status and document."""
        parts = urlsplit(self.outputs[name])
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request("POST", path, raw or json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text)

    def predict(self, name: str, table: str, count: int = 5) -> list[dict[str, Any]]:
        """Return predictions for the first rows of a table."""
        status, answer = self.ask(name, "/predict", {"instances": self.tables[table].rows(count)})
        assert status == 200, answer
        found: list[dict[str, Any]] = answer["predictions"]
        return found


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    folder = tmp_path_factory.mktemp("tasks")
    data = folder / "data"
    tables = {
        "iris": of_sklearn(data, "iris", "iris.csv", "species", "string"),
        "wine": of_sklearn(data, "wine", "wine.parquet", "grape", "int"),
        "cancer": of_sklearn(data, "breast_cancer", "cancer.csv", "diagnosis", "string"),
        "diabetes": of_sklearn(data, "diabetes", "diabetes.parquet", "progress", "float"),
        "digits": of_sklearn(data, "digits", "digits.parquet", "digit", "int"),
        "mixed": mixed(data, "mixed.csv"),
    }
    (folder / "train.py").write_text(TRAIN)
    (folder / "plain.py").write_text(PLAIN)
    (folder / "pkg").mkdir()
    (folder / "pkg" / "__init__.py").write_text("")
    (folder / "pkg" / "columns.py").write_text('WORDS = ["city"]\nNUMBERS = ["amount", "visits", "member"]\n')
    (folder / "pkg" / "train.py").write_text(PACKAGED)
    accuracy = 'metric = "accuracy"\n    at_least = 0.6'
    blocks = ['environment "dev" {}']
    blocks += [table.contract(name, **({"key": '["id"]'} if name == "mixed" else {})) for name, table in tables.items()]
    blocks += [
        model("iris", "iris", "multiclass", accuracy),
        model("wine", "wine", "multiclass", 'metric = "f1"\n    at_least = 0.8'),
        model("cancer", "cancer", "binary_classification", 'metric = "roc_auc"\n    at_least = 0.9'),
        model("diabetes", "diabetes", "regression", 'metric = "rmse"\n    at_most = 70'),
        model("digits", "digits", "multiclass", 'metric = "log_loss"\n    at_most = 0.5'),
        model("plain", "iris", "multiclass", accuracy, "python plain.py", "plain.py"),
        model("packaged", "mixed", "binary_classification", accuracy, "python -m pkg.train", "pkg/**/*.py"),
        model("sizes", "wine", "multiclass", accuracy, more="for_each = { strong = 0.01, weak = 10 }").replace(
            "params = { c = 1 }", "params = { c = each.value }"
        ),
    ]
    (folder / "main.mlplan.hcl").write_text("\n".join(blocks))
    at = f"-chdir={folder}"
    assert run([at, "init"]) == 0
    try:
        code = run([at, "apply", "-auto-approve"])
        from mlplan.app.compose import Settings, open_project
        from mlplan.app.run import read_state

        outputs = dict(read_state(open_project(Settings(folder))).outputs)
        assert code == 0, outputs
        yield Applied(folder, tables, outputs)
    finally:
        assert run([at, "destroy", "-auto-approve"]) == 0


def test_the_second_plan_is_empty(applied: Applied, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([f"-chdir={applied.folder}", "plan", "-detailed-exitcode"]) == 0
    assert "No changes" in capsys.readouterr().out


def test_text_labels_come_back_as_text(applied: Applied) -> None:
    truth = list(applied.tables["iris"].frame["species"].head(20))
    said = [p["prediction"] for p in applied.predict("iris", "iris", 20)]
    assert sum(a == b for a, b in zip(truth, said, strict=True)) >= 17
    assert set(said) <= {"setosa", "versicolor", "virginica"}


def test_whole_numbers_as_labels(applied: Applied) -> None:
    assert {p["prediction"] for p in applied.predict("wine", "wine", 60)} == {0, 1, 2}
    assert {p["prediction"] for p in applied.predict("digits", "digits", 200)} == set(range(10))


def test_two_classes_with_names(applied: Applied) -> None:
    for prediction in applied.predict("cancer", "cancer"):
        assert prediction["prediction"] in ("benign", "malignant")
        assert 0 <= prediction["score"] <= 1


def test_regression(applied: Applied) -> None:
    for prediction in applied.predict("diabetes", "diabetes"):
        assert 20 < prediction["prediction"] < 350


def test_a_script_that_knows_only_the_environment(applied: Applied) -> None:
    rows = [{"petal length (cm)": 1.4, "petal width (cm)": 0.2}, {"petal length (cm)": 5.9, "petal width (cm)": 2.3}]
    status, answer = applied.ask("plain", "/invocations", {"instances": rows})
    assert status == 200, answer
    assert [p["prediction"] for p in answer["predictions"]] == ["setosa", "virginica"]


def test_missing_values_words_truth_and_moments(applied: Applied) -> None:
    rows = [
        {"city": None, "amount": None, "visits": 3, "member": True},
        {"city": "Köln", "amount": 2.5, "visits": 3, "member": False},
    ]
    status, answer = applied.ask("packaged", "/predict", {"instances": rows})
    assert status == 200, answer
    assert all(isinstance(p["prediction"], bool) for p in answer["predictions"])


def test_a_model_for_each(applied: Applied) -> None:
    assert set(applied.outputs["sizes"]) == {"strong", "weak"}
    urls = set(applied.outputs["sizes"].values())
    assert len(urls) == 2


def test_protocol_version_two(applied: Applied) -> None:
    table = applied.tables["diabetes"]
    rows = table.rows(3)
    inputs = [
        {"name": name, "shape": [3], "datatype": "FP64", "data": [row[name] for row in rows]}
        for name in table.columns
        if name != "progress"
    ]
    status, answer = applied.ask("diabetes", "/v2/models/diabetes/infer", {"id": "a1", "inputs": inputs})
    assert status == 200, answer
    assert answer["id"] == "a1"
    assert answer["outputs"][0]["shape"] == [3]
    plain = [p["prediction"] for p in applied.predict("diabetes", "diabetes", 3)]
    assert answer["outputs"][0]["data"] == pytest.approx(plain)


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"instances": [{"petal length (cm)": "long", "petal width (cm)": 0.2}]}, 422, "petal length (cm)"),
        ({"instances": [{"petal width (cm)": 0.2}]}, 422, "petal length (cm)"),
        ({"instances": [{"petal length (cm)": None, "petal width (cm)": 0.2}]}, 422, "petal length (cm)"),
        ({"instances": []}, 422, "instances"),
        ({"instances": "all"}, 422, "$.instances"),
        ([1, 2], 422, "$"),
    ],
)
def test_requests_that_break_the_contract(applied: Applied, body: Any, status: int, path: str) -> None:
    for route in ("/predict", "/invocations"):
        seen, answer = applied.ask("plain", route, body)
        assert seen == status, answer
        assert path in json.dumps(answer)


def test_a_body_that_is_no_json(applied: Applied) -> None:
    status, answer = applied.ask("plain", "/predict", None, raw=b"{not json")
    assert status == 400, answer
