"""A model that is too old lets an unattended run take newer data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlplan.engine.kind import View
from mlplan.engine.types import Desired
from mlplan.kinds.monitor.answers import data_to_refresh, too_old
from mlplan.spi.schema import Reference

DAY = 86_400.0
TRAINED = "2026-01-01T00:00:00+00:00"
TRAINED_AT = 1_767_225_600.0
MODEL = Desired(
    "model.m", "model", "m",
    {
        "train": {"max_age": 30 * DAY, "data": {"train": Reference("data_contract.rows")}},
        "evaluate": {"data": Reference("data_contract.holdout")},
    },
)  # fmt: skip


def view(age: float, **attributes: Any) -> View:
    record = SimpleNamespace(attributes={"trained_at": TRAINED, "version": 3, **attributes})
    return cast(
        "View",
        SimpleNamespace(
            desired={MODEL.address: MODEL}, observations={}, now=TRAINED_AT + age, record=lambda address: record
        ),
    )


@pytest.mark.parametrize(("age", "old"), [(29 * DAY, False), (31 * DAY, True)])
def test_age_decides(age: float, old: bool) -> None:
    assert (too_old(MODEL, view(age)) is not None) is old
    assert data_to_refresh(view(age)) == ({"data_contract.rows", "data_contract.holdout"} if old else set())


def test_words_say_version_and_both_times() -> None:
    said = too_old(MODEL, view(31 * DAY))
    assert said is not None
    assert said.startswith("v3 is ")


def test_a_model_without_a_version_is_not_old() -> None:
    assert too_old(MODEL, view(99 * DAY, trained_at=None)) is None
