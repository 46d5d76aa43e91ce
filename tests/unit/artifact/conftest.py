"""A trained and a sealed model, made once for the room's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.artifact.training import COLUMNS, PROBE, boosting, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("trained"), boosting())


@pytest.fixture(scope="session")
def sealed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from mlplan.artifact.schema import RequestSchema
    from mlplan.artifact.seal import SealRequest, seal

    return seal(
        SealRequest(
            output=trained,
            store=tmp_path_factory.mktemp("store"),
            model="model.flights",
            task="binary_classification",
            schema=RequestSchema.from_json({"columns": COLUMNS}),
            probe=PROBE,
        )
    )
