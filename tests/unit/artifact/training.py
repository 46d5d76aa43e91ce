"""A small real data set, training jobs on it, and requests to seal what they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS: list[dict[str, Any]] = [
    {"name": "flight", "type": "integer"},
    {"name": "carrier", "type": "string", "one_of": ["AA", "UA", "DL"]},
    {"name": "dep_delay", "type": "number", "nullable": True, "between": [-60, 1500]},
    {"name": "distance", "type": "integer", "between": [0, 6000]},
    {"name": "tail", "type": "string", "nullable": True, "pii": True},
    {"name": "at", "type": "timestamp"},
    {"name": "late", "type": "bool", "label": True},
]
FEATURES = ["carrier", "dep_delay", "distance"]


def make_table(rows: int = 400, seed: int = 0) -> Any:
    """Return an Arrow table that keeps the contract; late depends on the delay."""
    import pyarrow as pa

    random = np.random.default_rng(seed)
    delay = random.normal(8, 30, rows).clip(-50, 1000)
    missing = random.random(rows) < 0.1
    carrier = random.choice(["AA", "UA", "DL"], rows)
    late = delay + random.normal(0, 20, rows) + 5 * (carrier == "UA") > 15
    return pa.table(
        {
            "flight": pa.array(random.integers(1, 9999, rows)),
            "carrier": pa.array(carrier.tolist()),
            "dep_delay": pa.array(delay, mask=missing),
            "distance": pa.array(random.integers(90, 5000, rows)),
            "tail": pa.array([f"N{i}" if i % 3 else None for i in range(rows)]),
            "at": pa.array(np.datetime64("2013-01-01T05:00", "us") + np.arange(rows) * np.timedelta64(1, "h")),
            "late": pa.array(late),
        }
    )


def write_job(folder: Path, paths: list[Path], task: str = "binary_classification") -> Path:
    """Write the job.json of a training run and return its path."""
    document = {
        "model": "model.flights",
        "task": task,
        "params": {"max_iter": 12},
        "seed": 7,
        "data": {
            "train": {
                "paths": [str(p) for p in paths],
                "parquet": [str(p) for p in paths],
                "label": "late",
                "key": ["flight"],
                "columns": COLUMNS,
            }
        },
        "output": str(folder / "output"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.json"
    path.write_text(json.dumps(document))
    return path


def boosting(**parameters: Any) -> Any:
    """Return an unfitted pipeline as the flights example has it."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_pipeline(
        make_column_transformer((encoder, ["carrier"]), remainder="passthrough"),
        HistGradientBoostingClassifier(random_state=7, **{"max_iter": 12, **parameters}),
    )


def logistic() -> Any:
    """Return an unfitted linear pipeline."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    return make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
            (make_pipeline(SimpleImputer(), StandardScaler()), ["dep_delay", "distance"]),
        ),
        LogisticRegression(),
    )


def train(folder: Path, model: Any, task: str = "binary_classification", label: str = "late") -> Path:
    """Run a training job in this process and return its output folder."""
    import pyarrow.parquet as pq

    from mlplan import job as jobs

    data = folder / "train.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(make_table(), data)
    job = jobs.load({"MLPLAN_JOB": str(write_job(folder, [data], task))})
    frame = job.frame()
    model.fit(frame[FEATURES], frame[label])
    job.save(model)
    return job.output


PROBE = [
    {"carrier": "AA", "dep_delay": 3.5, "distance": 900},
    {"carrier": "UA", "dep_delay": None, "distance": 2500, "flight": 12},
    {"carrier": "DL", "dep_delay": 120.0, "distance": 200},
]


def seal_request(output: Path, store: Path, **changes: Any) -> dict[str, Any]:
    """Return a seal request as the core writes it."""
    return {
        "output": str(output),
        "store": str(store),
        "model": "model.flights",
        "task": "binary_classification",
        "schema": {"columns": COLUMNS},
        "probe": PROBE,
        "card": {"title": "Flights", "description": "Will it be late?", "owner": "ops"},
        "result": str(output / "result.json"),
        **changes,
    }
