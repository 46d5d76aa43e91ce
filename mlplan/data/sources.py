"""Resolves a contract's `source` to the files it names. Looks at names and sizes only; content is read by `snapshot`
and `scan`.
"""

from __future__ import annotations

import glob
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from mlplan.data.fetched import Fetched
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

_FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
_COMPRESSED = (".gz", ".zst")
_MOST_FILES = 100_000
_MAGIC = set("*?[")
REMOTE = ("s3://", "postgres://", "postgresql://")
"""How sources begin that do not lie in files here."""


@dataclass(frozen=True)
class Source:
    """Files of one format, in the order in which they are read.

    text: as written in the contract. root: the project's folder, to which shown paths are relative. fetched: of what the
    files are copies, in their order; empty when the data lies here.
    """

    text: str
    format: str
    files: tuple[Path, ...]
    root: Path
    fetched: tuple[Fetched, ...] = ()


def resolve(
    text: str, root: Path, format: str | None = None, address: str | None = None
) -> tuple[Source | None, list[Diagnostic]]:
    """Return the files that `text` names: a file, a folder or a glob relative to `root`, a .dvc pointer, s3:// or postgres://.

    What does not lie here is copied into the cache. Diagnostics: source-not-supported, source-not-found, source-empty,
    source-unreadable, source-format, data-not-pulled, pointer-differs, missing-extra.
    """
    problem = _unsupported(text)
    if problem is not None:
        return None, [problem.at(address=address)]
    try:
        if text.startswith(REMOTE):
            return _remote(text, root, format, address)
        found, diagnostics = _pointed(text, root) if text.endswith(".dvc") else _files(text, root)
    except DiagnosticError as error:
        return None, [d.at(address=address) for d in error.diagnostics]
    if not diagnostics:
        chosen, diagnostics = _format(text, found, format)
        if not diagnostics:
            return Source(text, chosen, tuple(found), root), []
    return None, [d.at(address=address) for d in diagnostics]


def _remote(text: str, root: Path, format: str | None, address: str | None) -> tuple[Source | None, list[Diagnostic]]:
    """Copy what lies elsewhere. Raises: DiagnosticError."""
    if text.startswith("s3://"):
        from mlplan.data.s3 import fetch_objects

        copies = tuple(fetch_objects(text, root))
    else:
        from mlplan.data.tables import fetch_table

        copies = (fetch_table(text, root),)
    files = [copy.path for copy in copies]
    chosen, diagnostics = _format(text, files, format)
    if diagnostics:
        return None, [d.at(address=address) for d in diagnostics]
    return Source(text, chosen, tuple(files), root, copies), []


def _pointed(text: str, root: Path) -> tuple[list[Path], list[Diagnostic]]:
    from mlplan.data.dvc import pointed

    path = root / text
    if not path.exists():
        return [], [_not_found(text, root)]
    found = pointed(path, text)
    return found, _problems(found, root)


def format_of(path: str | Path) -> str | None:
    """Return the format that a file's name says, None when it says none."""
    name = str(path).lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return _FORMATS.get(os.path.splitext(name)[1])


def shown(path: Path, root: Path) -> str:
    """Return a path as people and snapshots see it: relative to the root where it is inside, with forward slashes."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()


def _unsupported(text: str) -> Diagnostic | None:
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme and not text.startswith(REMOTE):
        reason = f'Sources of kind "{scheme}://" are not supported'
        advice = "There are s3://bucket/key and postgres://host/database?table=name, and files under the root"
    elif "\0" in text:
        reason, advice = "A source cannot contain a zero byte", "Name a file, a folder or a glob"
    else:
        return None
    detail = f"The source is {text!r}. {reason}. {advice}, such as data/flights/*.parquet."
    return Diagnostic("source-not-supported", "Data source is not supported", detail)


def _files(text: str, root: Path) -> tuple[list[Path], list[Diagnostic]]:
    base = root / text
    try:
        if base.is_dir():
            found = [base / name for name in sorted(glob.iglob("**/*", root_dir=base, recursive=True))]
            found = [path for path in found if format_of(path) is not None]
        elif base.exists():
            found = [base]
        else:
            found = [root / name for name in sorted(glob.iglob(text, root_dir=root, recursive=True))]
        found = _once([path for path in found if not _hidden(path) and not path.is_dir()])
    except OSError as error:
        return [], [_unreadable(text, error)]
    if not found:
        return [], [_not_found(text, root)]
    if len(found) > _MOST_FILES:
        detail = f'The source "{text}" names {len(found):,} files; at most {_MOST_FILES:,} are read. Compact them into fewer.'
        return [], [Diagnostic("source-not-supported", "Data source is not supported", detail)]
    return found, _problems(found, root)


def _once(paths: list[Path]) -> list[Path]:
    """Return paths without those that a link of a folder to one above leads to again: their rows would count many times."""
    seen: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: len(path.parts)):
        seen.setdefault(os.path.realpath(path.parent) + os.sep + path.name, path)
    kept = set(seen.values())
    return [path for path in paths if path in kept]


def _hidden(path: Path) -> bool:
    """Tell whether a file is bookkeeping, as `_SUCCESS`, `.crc` or `_metadata` beside data that other programs wrote."""
    return path.name.startswith((".", "_"))


def _problems(files: list[Path], root: Path) -> list[Diagnostic]:
    problems = []
    for path in files:
        try:
            status = path.stat()
        except OSError as error:
            problems.append(_unreadable(shown(path, root), error))
            continue
        name = shown(path, root)
        if not stat.S_ISREG(status.st_mode):
            detail = f'"{name}" is not an ordinary file. Name files only; pipes and devices are never opened.'
            problems.append(Diagnostic("source-unreadable", "Data file cannot be read", detail))
        elif status.st_size == 0:
            detail = f'"{name}" is empty (0 bytes). Remove it, or wait until whatever writes it has finished.'
            problems.append(Diagnostic("source-empty", "Data file is empty", detail))
        elif not os.access(path, os.R_OK):
            problems.append(_unreadable(name, PermissionError("permission denied")))
        elif _MAGIC & set(str(path)):
            detail = (
                f'"{name}" has one of the characters * ? [ in its path, which would be read as a pattern. Rename it.'
            )
            problems.append(Diagnostic("source-unreadable", "Data file cannot be read", detail))
    return problems


def _unreadable(name: str, error: OSError) -> Diagnostic:
    detail = f'"{name}" cannot be read: {error.strerror or error}. Check that it exists and that you may read it.'
    return Diagnostic("source-unreadable", "Data file cannot be read", detail)


def _not_found(text: str, root: Path) -> Diagnostic:
    parent = root / text
    while parent != parent.parent and not parent.is_dir():
        parent = parent.parent
    near = (
        sorted(path.name for path in parent.iterdir() if not path.name.startswith("."))[:5] if parent.is_dir() else []
    )
    listing = f' The folder "{shown(parent, root)}" holds {", ".join(near) if near else "nothing"}.'
    detail = f'No file matches the source "{text}", which is relative to the folder of the configuration.{listing}'
    return Diagnostic("source-not-found", "Data source not found", detail)


def _format(text: str, files: list[Path], declared: str | None) -> tuple[str, list[Diagnostic]]:
    if declared is not None:
        return declared, []
    by_format: dict[str | None, Path] = {}
    for path in files:
        by_format.setdefault(format_of(path), path)
    summary = "Format of the data source is not clear"
    if None in by_format:
        detail = (
            f'The name of "{by_format[None].name}" does not say its format. Use .parquet, .csv, .tsv, .jsonl or .arrow '
            f'(with .gz or .zst for text), or set format = "parquet", "csv", "json" or "arrow".'
        )
        return "", [Diagnostic("source-format", summary, detail)]
    if len(by_format) > 1:
        kinds = ", ".join(f"{format_} ({path.name})" for format_, path in by_format.items())
        detail = f'The source "{text}" names files of several formats: {kinds}. Name those of one format.'
        return "", [Diagnostic("source-format", summary, detail)]
    return next(str(format_) for format_ in by_format), []
