"""What a training script uses: `job = mlplan.job.load()`, then its parameters, its data, and `job.save(model)`.

A plain script can do without it, by reading MLPLAN_PARAMS (JSON), MLPLAN_SEED, MLPLAN_DATA_<NAME> (paths, one a line)
and writing a model file into MLPLAN_OUTPUT. What is reported here is shown while it runs and never trusted for gates.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from mlplan.artifact.schema import Column

VARIABLE = "MLPLAN_JOB"
PROGRESS = "progress.jsonl"


class JobError(Exception):
    """The script cannot do what it wants in this job; the message says why and what to do."""


@dataclass(frozen=True)
class Job:
    """One training run. params: as declared. output: the folder whose content is kept."""

    model: str
    task: str
    params: Mapping[str, Any]
    seed: int
    output: Path
    _data: Mapping[str, Mapping[str, Any]]

    def frame(self, name: str = "train") -> pd.DataFrame:
        """Return a data set.

        Exactly the pinned files, rows in file order, columns with their declared types, label and key included.

        The dtypes are those the model will see in production (see `mlplan.artifact.frame`). Raises: JobError.
        """
        from mlplan.artifact.errors import ArtifactError
        from mlplan.artifact.frame import frame_of_table
        from mlplan.artifact.reading import read_table

        data = self._named(name)
        columns = self._columns(name)
        try:
            table = read_table([Path(path) for path in data["parquet"]], columns)
            return frame_of_table(table, columns)
        except ArtifactError as error:
            raise JobError(f"{error.summary}: {error.detail}") from error

    def label(self, name: str = "train") -> str:
        """Return the name of the label column. Raises: JobError when the contract has none."""
        label = self._named(name).get("label")
        if not label:
            raise JobError(f'The data "{name}" has no label column. Mark one in its contract with `label = true`.')
        return str(label)

    def features(self, name: str = "train") -> list[str]:
        """Return the columns that are neither label nor key, in the contract's order."""
        data = self._named(name)
        apart = {data.get("label"), *(data.get("key") or ())}
        return [column.name for column in self._columns(name) if column.name not in apart]

    def report(self, progress: float, **metrics: float) -> None:
        """Say how far the run is. progress: 0 to 1. Shown live; metrics said here are never used for gates."""
        line = {"at": round(time.time(), 3), "progress": min(1.0, max(0.0, float(progress)))}
        line.update({name: float(value) for name, value in metrics.items()})
        with (self.output / PROGRESS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        shown = "  ".join(f"{name} {float(value):.4g}" for name, value in metrics.items())
        print(f"{line['progress']:4.0%}  {shown}".rstrip(), flush=True)  # a script's own output, kept in the job's log

    def save(self, model: Any, features: Iterable[str] | None = None) -> Path:
        """Keep a fitted model. features: its columns in order, for a model that does not know them itself.

        Return the file.

        Raises: JobError when the object is not a model that can be kept.
        """
        from mlplan.artifact.errors import ArtifactError
        from mlplan.artifact.flavor import flavor_of
        from mlplan.artifact.versions import observed

        try:
            flavor = flavor_of(model)
            path = self.output / flavor.file
            flavor.save(model, path)
        except ArtifactError as error:
            raise JobError(f"{error.summary}: {error.detail}") from error
        known = flavor.describe(model)
        columns = list(features) if features is not None else known.get("features") or self.features()
        document = {
            "format": 1,
            "flavor": flavor.name,
            "file": flavor.file,
            "features": [str(name) for name in columns],
            "classes": known.get("classes", []),
            "seed": self.seed,
            "versions": observed(),
        }
        (self.output / "model.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        return path

    def _named(self, name: str) -> Mapping[str, Any]:
        data = self._data.get(name)
        if data is None:
            known = ", ".join(f'"{other}"' for other in self._data) or "none"
            raise JobError(f'This job has no data "{name}"; it has {known}. Add it to `train.data` of {self.model}.')
        return data

    def _columns(self, name: str) -> list[Column]:
        from mlplan.artifact.schema import Column, is_servable

        # a column of a type that no model can be asked with cannot be a feature: it is not offered
        return [Column.from_json(c) for c in self._named(name)["columns"] if is_servable(str(c.get("type", "")))]


def load(environment: Mapping[str, str] = os.environ) -> Job:
    """Return the job this process runs in, and seed `random` and numpy's global generator with its seed.

    Raises: JobError outside a job.
    """
    path = environment.get(VARIABLE)
    if not path:
        raise JobError(
            f"This script runs outside a job: {VARIABLE} is not set. Training scripts are started by mlplan, which "
            "gives them their "
            "data and keeps what they save:\n\n    mlplan apply\n"
        )
    try:
        document = json.loads(Path(path).read_bytes())
        output = Path(document["output"])
        job = Job(
            model=str(document.get("model", "")),
            task=str(document.get("task", "")),
            params=dict(document.get("params") or {}),
            seed=int(document.get("seed") or 0),
            output=output,
            _data=dict(document.get("data") or {}),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(f"The job file {path} cannot be read: {type(error).__name__}: {error}.") from error
    output.mkdir(parents=True, exist_ok=True)
    _seed(job.seed)
    return job


def _seed(seed: int) -> None:
    """Seed the global generators, so that a script that forgets to pass the seed is repeatable all the same."""
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed(seed % 2**32)


def environment_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the MLPLAN_* variables for a plain script, from the content of job.json.

    MLPLAN_JOB itself is the caller's to add.
    """
    variables = {
        "MLPLAN_OUTPUT": str(document["output"]),
        "MLPLAN_SEED": str(document.get("seed") or 0),
        "MLPLAN_PARAMS": json.dumps(document.get("params") or {}, sort_keys=True),
    }
    for name, data in (document.get("data") or {}).items():
        variables[f"MLPLAN_DATA_{name.upper()}"] = "\n".join(str(path) for path in data["paths"])
    return variables
