"""Data sets of other people, as files: those that come with scikit-learn, and one with everything a table can hold."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Table:
    """A file, and its columns as a contract would declare them: {"type": …, "label": true, …} by name."""

    path: Path
    frame: pd.DataFrame
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def contract(self, name: str, **arguments: str) -> str:
        """Return the data_contract block. arguments: further ones, as HCL text."""
        lines = [f'data_contract "{name}" {{', f'  source = "data/{self.path.name}"']
        lines += [f"  {key} = {value}" for key, value in arguments.items()]
        lines.append("  columns = {")
        for column, spec in self.columns.items():
            inner = ", ".join(f"{k} = {_hcl(v)}" for k, v in spec.items())
            lines.append(f'    "{column}" = {{ {inner} }}')
        return "\n".join([*lines, "  }", "}", ""])

    def rows(self, count: int) -> list[dict[str, Any]]:
        """Return request rows: everything but the label."""
        import json

        label = next(n for n, spec in self.columns.items() if spec.get("label"))
        text = self.frame.drop(columns=[label]).head(count).to_json(orient="records", date_format="iso")
        found: list[dict[str, Any]] = json.loads(text)
        return found


def _hcl(value: Any) -> str:
    return (
        str(value).lower()
        if isinstance(value, bool)
        else str(value)
        if isinstance(value, int | float)
        else f'"{value}"'
    )


def write(folder: Path, name: str, frame: pd.DataFrame, columns: Mapping[str, Mapping[str, Any]]) -> Table:
    """Write a frame as CSV or Parquet, by the ending of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if name.endswith(".csv"):
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return Table(path, frame, columns)


def of_sklearn(folder: Path, name: str, file: str, label: str, kind: str) -> Table:
    """Return one of scikit-learn's own data sets, names of columns untouched. kind: of the label; "string": names of classes."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame: pd.DataFrame = bunch.data.copy()
    target = bunch.target
    frame[label] = [str(bunch.target_names[t]) for t in target] if kind == "string" else target
    columns: dict[str, dict[str, Any]] = {str(column): {"type": "float"} for column in bunch.data.columns}
    columns[label] = {"type": kind, "label": True}
    return write(folder, file, frame.sample(frac=1.0, random_state=0), columns)


def mixed(folder: Path, file: str, rows: int = 300) -> Table:
    """Return text, numbers, truth, dates and moments, with values missing, and a label that depends on them."""
    rng = random.Random(3)
    made: list[dict[str, Any]] = []
    for number in range(rows):
        city = rng.choice(["Köln", "São Paulo", 'x, "y"', None])
        amount = None if rng.random() < 0.1 else round(rng.gauss(10, 3), 3)
        member = rng.random() < 0.5
        late = (amount or 10) + 4 * member + rng.gauss(0, 2) > 12
        moment = pd.Timestamp("2024-01-01") + pd.Timedelta(hours=number)
        made.append(
            {
                "id": f"r{number}", "city": city, "amount": amount, "visits": rng.randrange(20), "member": member,
                "seen_at": moment, "born": moment.date(), "late": late,
            }
        )  # fmt: skip
    columns: dict[str, dict[str, Any]] = {
        "id": {"type": "string"},
        "city": {"type": "string", "nullable": True},
        "amount": {"type": "float", "nullable": True},
        "visits": {"type": "int"},
        "member": {"type": "bool"},
        "seen_at": {"type": "timestamp"},
        "born": {"type": "date"},
        "late": {"type": "bool", "label": True},
    }
    return write(folder, file, pd.DataFrame(made), columns)
