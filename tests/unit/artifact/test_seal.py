from __future__ import annotations

from pathlib import Path
from typing import Any

from mlplan.artifact.manifest import verify
from mlplan.artifact.schema import RequestSchema
from mlplan.artifact.seal import SealRequest
from tests.unit.artifact.training import COLUMNS, PROBE


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


def test_the_folder_is_named_by_its_content(sealed: Any) -> None:
    name = sealed.digest.removeprefix("sha256:")
    assert sealed.path.name == name
    assert sealed.path.parent.name == name[:2]
    assert verify(sealed.path) == []
