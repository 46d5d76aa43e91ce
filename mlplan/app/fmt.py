"""`fmt`: which files are not in the one layout, and what they would be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, has_errors
from mlplan.lang.fmt import format_text
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile

SUFFIXES = (".mlplan.hcl", ".vars.hcl", ".test.hcl", ".lock.hcl")
STDIN = "<stdin>"


@dataclass(frozen=True)
class Formatted:
    """What formatting makes of one file. diagnostics: why it could not be read; then `after` is `before`."""

    path: Path
    before: str
    after: str
    diagnostics: tuple[Diagnostic, ...] = ()
    sources: dict[str, SourceFile] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Tell whether the file is not in the one layout."""
        return self.before != self.after


def formatted(paths: Iterable[Path], recursive: bool = False) -> Iterator[Formatted]:
    """Yield what formatting makes of each file. Raises: DiagnosticError (file-missing, file-unreadable)."""
    for given in paths:
        if not given.exists():
            raise DiagnosticError(Diagnostic("file-missing", "There is no such file", f"{given} does not exist."))
        for path in [given] if given.is_file() else _files(given, recursive):
            try:
                # Bytes, since reading as text would turn CRLF into LF and hide that from the comparison.
                text = path.read_bytes().decode("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                detail = f"{path}: {getattr(error, 'strerror', None) or 'it is not UTF-8'}."
                raise DiagnosticError(Diagnostic("file-unreadable", "A file cannot be read", detail)) from error
            yield format_one(path, text)


def format_one(path: Path, text: str) -> Formatted:
    """Return what formatting makes of a text."""
    source = SourceFile(str(path), text)
    _, problems = parse(source)
    if has_errors(problems):
        return Formatted(path, text, text, tuple(problems), {source.path: source})
    return Formatted(path, text, format_text(text))


def _files(folder: Path, recursive: bool) -> list[Path]:
    found = sorted(p for p in folder.iterdir() if p.name.endswith(SUFFIXES) and p.is_file())
    if recursive:
        inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith("."))
        found += [path for sub in inner for path in _files(sub, recursive)]
    return found
