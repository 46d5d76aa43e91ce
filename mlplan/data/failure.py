"""What an engine says when it cannot answer."""

from __future__ import annotations

from pathlib import Path


class QueryFailed(Exception):  # noqa: N818  (it tells what happened)
    """The engine could not answer. kind: "memory", "value" (a computation over the data failed), "read", or "engine"
    (it is not there). path: the file that is the reason, where that is known.
    """

    def __init__(self, kind: str, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.path = path
