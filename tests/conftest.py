"""Fixtures for every room: the real servers, started when a test first asks for them and ended with the session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tools.services import Services

# A terminal's width, which some runners hand on to their workers, would change what commands print.
os.environ.pop("COLUMNS", None)


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """SeaweedFS and PostgreSQL on free ports; they end with the test run, also when it is killed."""
    with Services() as started:
        yield started
