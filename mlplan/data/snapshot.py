"""Snapshots: the exact bytes of a data source under one digest, whether they are still there, and what changed between
two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlplan.data.fetched import is_remote, place, restore
from mlplan.data.hashing import ChangedWhileReading, hash_files
from mlplan.data.sources import Source, shown
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

_NAMED = 3
"""How many files a sentence names before it says "and 7 more"."""


@dataclass(frozen=True)
class FileEntry:
    """One file. path: relative to the root with forward slashes, absolute when outside. Units: `size` bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Snapshot:
    """Exact bytes: `digest` is "sha256:…" over the sorted manifest of (path, size, sha256). rows: None until counted."""

    digest: str
    format: str
    files: tuple[FileEntry, ...]
    rows: int | None = None

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(file.size for file in self.files)

    def paths(self, root: Path) -> tuple[Path, ...]:
        """Return where the files are, in the order in which they are read."""
        return tuple(
            place(root, file.path, file.sha256) if is_remote(file.path) else root / file.path for file in self.files
        )

    def with_rows(self, rows: int | None) -> Snapshot:
        """Return a copy that knows its number of rows."""
        return replace(self, rows=rows)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, the manifest as [path, size, sha256] lists."""
        files = [[file.path, file.size, file.sha256] for file in self.files]
        return {"digest": self.digest, "format": self.format, "rows": self.rows, "files": files}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Snapshot:
        """Return the snapshot of a JSON document."""
        files = tuple(FileEntry(str(path), int(size), str(digest)) for path, size, digest in document["files"])
        return Snapshot(document["digest"], document["format"], files, document.get("rows"))


def take(source: Source, cache: Path | None) -> Snapshot:
    """Return the snapshot of a source. `cache`: the folder of caches, `.mlplan/cache`.

    Raises DiagnosticError: source-unreadable, snapshot-moving.
    """
    if source.fetched:
        return of_files(source.format, (FileEntry(copy.url, copy.size, copy.sha256) for copy in source.fetched))
    try:
        hashed = hash_files(source.files, cache)
    except ChangedWhileReading as error:
        raise DiagnosticError(_moving(shown(error.path, source.root))) from error
    except OSError as error:
        name = shown(Path(error.filename), source.root) if error.filename else source.text
        detail = f'"{name}" cannot be read: {error.strerror or error}. Check that it exists and that you may read it.'
        raise DiagnosticError(Diagnostic("source-unreadable", "Data file cannot be read", detail)) from error
    names = (shown(path, source.root) for path in source.files)
    return of_files(
        source.format, (FileEntry(name, size, digest) for name, (size, digest) in zip(names, hashed, strict=True))
    )


def of_files(format: str, files: Any) -> Snapshot:
    """Return the snapshot of file entries, in any order."""
    ordered = tuple(sorted(files, key=lambda file: file.path))
    digest = hashlib.sha256()
    for file in ordered:
        digest.update(f"{file.path}\0{file.size}\0{file.sha256}\n".encode("utf-8", "surrogateescape"))
    return Snapshot(f"sha256:{digest.hexdigest()}", format, ordered)


def verify(snapshot: Snapshot, root: Path, cache: Path | None, *, read_again: bool = False) -> list[Diagnostic]:
    """Return what is no longer as it was pinned; nothing when the exact bytes are there.

    read_again: hash every file anew instead of trusting that a file with the same size, times and inode has the same
    bytes. Diagnostics: snapshot-changed, snapshot-moving.
    """
    problems: list[str] = []
    present = []
    for file, path in zip(snapshot.files, snapshot.paths(root), strict=True):
        lost = restore(root, file.path) if is_remote(file.path) and not path.exists() else None
        try:
            size = path.stat().st_size
        except OSError:
            problems.append(f'"{file.path}" {lost or ("is another one now" if is_remote(file.path) else "is gone")}')
            continue
        if size == file.size:
            present.append((file, path))
        else:
            problems.append(f'"{file.path}" has {size:,} bytes and had {file.size:,}')
    try:
        hashed = hash_files([path for _, path in present], cache, use_cached=not read_again)
    except ChangedWhileReading as error:
        return [_moving(shown(error.path, root))]
    except OSError as error:
        return [_changed(snapshot, [f'"{error.filename}" cannot be read: {error.strerror}'])]
    for (file, _), (_, digest) in zip(present, hashed, strict=True):
        if digest != file.sha256:
            problems.append(f'"{file.path}" has other bytes of the same size')
    return [_changed(snapshot, problems)] if problems else []


def _changed(snapshot: Snapshot, problems: list[str]) -> Diagnostic:
    detail = (
        f"The pinned snapshot {short(snapshot.digest)} is not what is on disk: {_some(problems)}. "
        "A run reads exactly the pinned bytes. Restore the files, or plan again to see and accept the new snapshot."
    )
    return Diagnostic("snapshot-changed", "Data changed after it was pinned", detail)


def _moving(name: str) -> Diagnostic:
    detail = f'"{name}" changed while it was read. Wait until whatever writes it has finished, then run again.'
    return Diagnostic("snapshot-moving", "Data file is being written", detail)


def short(digest: str) -> str:
    """Return a digest as people see it, "sha256:1a2b3c4d5e6f"."""
    return digest[: len("sha256:") + 12]


@dataclass(frozen=True)
class SnapshotDifference:
    """What changed between two snapshots: paths, and rows and bytes more (negative: fewer); `rows` None when not
    counted.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    rows: int | None
    size: int

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def words(self) -> list[str]:
        """Return one phrase for each kind of change, ready for a plan's reasons."""
        phrases = []
        for word, paths in (("new", self.added), ("changed", self.changed), ("removed", self.removed)):
            if paths:
                phrases.append(f"{len(paths)} {word} {'file' if len(paths) == 1 else 'files'}: {_some(paths)}")
        if phrases and self.rows is not None:
            phrases.append(f"{self.rows:+,} rows")
        return phrases


def difference(before: Snapshot | None, after: Snapshot) -> SnapshotDifference:
    """Return what changed from `before` (None: nothing was there) to `after`."""
    old = {file.path: file.sha256 for file in before.files} if before else {}
    new = {file.path: file.sha256 for file in after.files}
    rows_before = before.rows if before else 0
    return SnapshotDifference(
        added=tuple(path for path in new if path not in old),
        changed=tuple(path for path in new if path in old and new[path] != old[path]),
        removed=tuple(path for path in old if path not in new),
        rows=after.rows - rows_before if after.rows is not None and rows_before is not None else None,
        size=after.size - (before.size if before else 0),
    )


def _some(names: Any) -> str:
    names = list(names)
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
