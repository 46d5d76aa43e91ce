"""A sealed model for the server's tests."""

from __future__ import annotations

from tests.unit.artifact.conftest import sealed, trained

__all__ = ["sealed", "trained"]
