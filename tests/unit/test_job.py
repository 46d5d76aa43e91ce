"""The training script's helper."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlplan import job as jobs
from tests.unit.artifact.training import FEATURES, boosting, make_table, write_job


@pytest.fixture
def job(tmp_path: Path) -> jobs.Job:
    pq.write_table(make_table(), tmp_path / "train.parquet")
    return jobs.load({"MLPLAN_JOB": str(write_job(tmp_path, [tmp_path / "train.parquet"]))})


def test_parameters_seed_label_and_features(job: jobs.Job) -> None:
    assert (job.params, job.seed, job.label()) == ({"max_iter": 12}, 7, "late")
    assert job.features() == ["carrier", "dep_delay", "distance", "tail", "at"]


def test_the_frame_has_the_declared_columns_in_order(job: jobs.Job) -> None:
    frame = job.frame()
    assert list(frame.columns) == ["flight", "carrier", "dep_delay", "distance", "tail", "at", "late"]
    assert len(frame) == 400
    assert frame["late"].dtype == np.bool_


def test_the_global_generators_are_seeded(tmp_path: Path) -> None:
    path = str(write_job(tmp_path, []))
    drawn = []
    for _ in range(2):
        jobs.load({"MLPLAN_JOB": path})
        drawn.append((random.random(), np.random.random()))
    assert drawn[0] == drawn[1]


def test_reports_are_lines_and_are_printed(job: jobs.Job, capsys: pytest.CaptureFixture[str]) -> None:
    job.report(0.5, auc=0.71)
    job.report(2.0)
    lines = [json.loads(line) for line in (job.output / "progress.jsonl").read_text().splitlines()]
    assert [line["progress"] for line in lines] == [0.5, 1.0]
    assert lines[0]["auc"] == 0.71
    assert capsys.readouterr().out == " 50%  auc 0.71\n100%\n"


def test_a_saved_model_says_what_it_is(job: jobs.Job) -> None:
    frame = job.frame()
    model = boosting().fit(frame[FEATURES], frame["late"])
    job.save(model)
    document = json.loads((job.output / "model.json").read_text())
    assert (document["flavor"], document["features"], document["classes"]) == ("sklearn", FEATURES, [False, True])
    assert {"scikit-learn", "numpy", "pandas"} <= set(document["versions"]["modules"])


def test_a_model_trained_on_arrays_gets_the_features_it_is_given(job: jobs.Job) -> None:
    from sklearn.linear_model import LogisticRegression

    frame = job.frame()
    model = LogisticRegression().fit(frame[["distance"]].to_numpy(), frame["late"])
    job.save(model, features=["distance"])
    assert json.loads((job.output / "model.json").read_text())["features"] == ["distance"]


@pytest.mark.parametrize("model", [object(), {"weights": [1]}, boosting()])
def test_what_is_not_a_fitted_model_is_refused(job: jobs.Job, model: Any) -> None:
    with pytest.raises(jobs.JobError, match="not a model that can be kept"):
        job.save(model)


def test_outside_a_job_the_message_says_how_to_run_it() -> None:
    with pytest.raises(jobs.JobError, match="mlplan apply"):
        jobs.load({})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"output": 3}'])
def test_a_broken_job_file_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "job.json").write_text(content)
    with pytest.raises(jobs.JobError, match="cannot be read"):
        jobs.load({"MLPLAN_JOB": str(tmp_path / "job.json")})


def test_unknown_data_and_missing_files_are_said(job: jobs.Job, tmp_path: Path) -> None:
    with pytest.raises(jobs.JobError, match='it has "train"'):
        job.frame("holdout")
    (tmp_path / "train.parquet").unlink()
    with pytest.raises(jobs.JobError, match="does not exist any more"):
        job.frame()


def test_a_plain_script_gets_variables() -> None:
    document = {"output": "/o", "seed": 3, "params": {"b": 1}, "data": {"train": {"paths": ["/a", "/b"]}}}
    assert jobs.environment_of(document) == {
        "MLPLAN_OUTPUT": "/o",
        "MLPLAN_SEED": "3",
        "MLPLAN_PARAMS": '{"b": 1}',
        "MLPLAN_DATA_TRAIN": "/a\n/b",
    }


def test_importing_it_loads_nothing_heavy() -> None:
    script = "import sys, mlplan.job; print(sorted({'numpy', 'pandas', 'sklearn', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
