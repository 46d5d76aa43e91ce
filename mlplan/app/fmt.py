"""`fmt`: which files are not in the one layout, and what they would be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.fmt import format_text

SUFFIXES = (".mlplan.hcl", ".vars.hcl", ".test.hcl")


def formatted(paths: list[Path]) -> Iterator[tuple[Path, str, str]]:
    """Yield (path, text now, text formatted) of every file that would change. Raises: DiagnosticError for unreadable ones."""
    for given in paths:
        if not given.exists():
            detail = f"{given} does not exist."
            raise DiagnosticError(Diagnostic("file-missing", "There is no such file", detail))
        files = [given] if given.is_file() else sorted(p for p in given.iterdir() if p.name.endswith(SUFFIXES))
        for path in files:
            text = path.read_text(encoding="utf-8")
            after = format_text(text)
            if after != text:
                yield path, text, after
