"""Where everything of this provider lies below the project's folder, and the messages for names that cannot be used there."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlplan.spi.capabilities import ProviderError
from mlplan_local.files import is_name, remove_empty

LOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Places:
    """The folders of one project: `units/<name>/`, `endpoints/<name>/` and `locks/` below `.mlplan/local/`."""

    root: Path

    @property
    def local(self) -> Path:
        """Return the folder of the provider."""
        return self.root / ".mlplan" / "local"

    def unit(self, name: str) -> Path:
        """Return the folder of a unit."""
        return self.local / "units" / _checked(name)

    def endpoint(self, name: str) -> Path:
        """Return the folder of an endpoint."""
        return self.local / "endpoints" / _checked(name)

    def lock(self, kind: str, name: str) -> Path:
        """Return the lock file of a unit or endpoint; it lies outside their folders, so that these can be removed under it."""
        return self.local / "locks" / f"{kind}.{_checked(name)}"

    def names(self, kind: str) -> list[str]:
        """Return the names of the units or endpoints that have a folder, half-made ones too."""
        folder = self.local / f"{kind}s"
        return sorted(path.name for path in folder.iterdir() if is_name(path.name)) if folder.is_dir() else []

    def mark(self, kind: str, name: str, token: str) -> str:
        """Return the mark that processes of this object carry."""
        project = hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:12]
        return f"{kind}:{project}:{name}:{token}"

    def tidy(self, kind: str, name: str) -> None:
        """Remove the lock file (its holder calls this last) and folders that became empty."""
        with suppress(FileNotFoundError):
            self.lock(kind, name).unlink()
        remove_empty(self.local / f"{kind}s", self.local)
        remove_empty(self.local / "locks", self.local)


def _checked(name: str) -> str:
    if not is_name(name):
        raise ProviderError(
            "A name cannot be used by the local provider",
            f"{name!r} must begin with a letter or digit and hold only letters, digits, '-' and '_', at most 121 of them.",
        )
    return name
