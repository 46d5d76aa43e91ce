"""Reads the files of one folder. A file that is too large, leads out or is not text is a diagnostic."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.source import SourceFile

EDITED: ContextVar[Mapping[Path, str]] = ContextVar("edited", default=MappingProxyType({}))
"""What editors hold and have not written yet, by path; read in the place of the file."""
MOST_BYTES = 2 * 1024 * 1024
MOST_TREE = 16 * 1024 * 1024


class Files:
    """Reads folders of one project and keeps what it read, by the path shown to people."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sources: dict[str, SourceFile] = {}
        self._total = 0

    def folder(self, folder: Path) -> tuple[list[SourceFile], list[Diagnostic]]:
        """Return the module files of a folder. Diagnostics: file-unreadable."""
        found: list[SourceFile] = []
        problems: list[Diagnostic] = []
        for path in sorted(folder.glob("*.mlplan.hcl")):
            shown = self.shown(path)
            try:
                found.append(self._read(path, folder, shown))
                self.sources[shown] = found[-1]
            except UnicodeDecodeError as error:
                problems.append(unreadable(shown, f"it is not UTF-8 (byte {error.start})"))
            except OSError as error:
                problems.append(unreadable(shown, error.strerror or str(error)))
        return found, problems

    def shown(self, path: Path) -> str:
        """Return a path as people see it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def _read(self, path: Path, folder: Path, shown: str) -> SourceFile:
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise OSError(0, "it leads out of the project or is no file")
        size = path.stat().st_size
        self._total += size
        if size > MOST_BYTES or self._total > MOST_TREE:
            raise OSError(0, "it is too large (2 MiB a file, 16 MiB together)")
        edited = EDITED.get().get(path)
        return SourceFile(shown, path.read_text(encoding="utf-8-sig") if edited is None else edited)


def unreadable(shown: str, why: str) -> Diagnostic:
    """Return the error about a file that cannot be read."""
    return Diagnostic("file-unreadable", "A file cannot be read", f"{shown}: {why}.")
