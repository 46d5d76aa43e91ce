"""What the kinds share: folders of the project, the pins, the interpreter. Made by `app.compose`; the engine does not look inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Pins(Protocol):
    """Resolved inputs in `mlplan.lock.hcl`."""

    def get(self, address: str) -> Mapping[str, Any] | None:
        """Return what is pinned for an address."""
        ...

    def put(self, address: str, values: Mapping[str, Any]) -> None:
        """Pin; written to the lock file at once."""
        ...

    def drop(self, address: str) -> None:
        """Take the pin of an address out."""
        ...


@dataclass(frozen=True)
class Services:
    """Folders and helpers. python: the interpreter that runs jobs and servers."""

    root: Path
    python: str
    pins: Pins

    @property
    def folder(self) -> Path:
        """The project's own folder."""
        return self.root / ".mlplan"

    @property
    def artifacts(self) -> Path:
        """Sealed artifacts by content."""
        return self.folder / "artifacts"

    @property
    def jobs(self) -> Path:
        """Job folders."""
        return self.folder / "jobs"

    @property
    def requests(self) -> Path:
        """Prediction logs by endpoint."""
        return self.folder / "requests"

    @property
    def cache(self) -> Path:
        """What can be computed again."""
        return self.folder / "cache"

    def artifact_path(self, digest: str) -> Path:
        """Return the folder of a sealed artifact."""
        name = digest.removeprefix("sha256:")
        return self.artifacts / name[:2] / name
