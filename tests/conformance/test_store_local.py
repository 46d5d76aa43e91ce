"""The store kit over the local store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlplan.spi.store_kit import CHECKS, Connect
from mlplan_state.local import LocalStore


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_local_store(check: Callable[[Connect], None], tmp_path: Path) -> None:
    check(lambda: LocalStore({}, tmp_path, "default"))
