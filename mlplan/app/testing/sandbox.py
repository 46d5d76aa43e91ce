"""A copy of a project for one test file: nothing that a run writes reaches the project."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEFT_OUT = frozenset(
    {".mlplan", ".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".ruff_cache", ".mypy_cache"}
)
LARGE = 16 * 1024 * 1024
"""Units: bytes. From here on a file is linked instead of copied where the file system allows it: data is read, not written."""


@contextmanager
def copy_of(root: Path) -> Iterator[Path]:
    """Yield the folder of a copy; it is gone afterwards, whatever happened."""
    with tempfile.TemporaryDirectory(prefix="mlplan-test-", ignore_cleanup_errors=True) as folder:
        target = Path(folder).resolve() / "project"
        # Links are kept as they are: where they lead to outside of the project, the files do not read them in the project either.
        shutil.copytree(root, target, symlinks=True, ignore=_left_out, copy_function=_copy)
        yield target


def _left_out(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in LEFT_OUT or _is_special(Path(folder, name))}


def _is_special(path: Path) -> bool:
    """Tell whether this is a socket, pipe or device, which cannot be copied."""
    return not (path.is_symlink() or path.is_file() or path.is_dir())


def _copy(source: str, target: str) -> object:
    if os.path.getsize(source) >= LARGE:
        try:
            os.link(source, target)
            return target
        except OSError:
            pass  # another file system, or one without links: copied below
    return shutil.copy2(source, target)
