"""Data that does not lie in files here, fetched under its content digest: where a copy lies, and what was fetched before.

Everything below the folder may be deleted at any time; it is fetched again when it is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

_UNSAFE = re.compile(r"[^A-Za-z0-9._=+@ -]")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Fetched:
    """A copy. url: what it is a copy of. Units: `size` bytes."""

    url: str
    path: Path
    size: int
    sha256: str


def is_remote(path: str) -> bool:
    """Tell whether a path of a manifest names something that has to be fetched."""
    return "://" in path


def place(root: Path, url: str, sha256: str) -> Path:
    """Return where the copy of `url` with these bytes lies. Folders named "key=value" keep their meaning."""
    _, _, rest = url.partition("://")
    parts = [part for part in rest.split("?")[0].split("/") if part not in ("", ".", "..")]
    kept = [_UNSAFE.sub("_", part)[:120] for part in parts[1:]] or ["data"]
    if "?" in url:
        kept[-1] += ".parquet"
    return root / ".mlplan" / "cache" / "fetched" / sha256 / Path(*kept)


def known(root: Path, url: str, mark: Mapping[str, Any]) -> Fetched | None:
    """Return the copy that was made when the other side said `mark` of itself (ETag, fingerprint), if it is whole."""
    try:
        entry = json.loads(_index(root, url).read_text())
        found = Fetched(url, place(root, url, str(entry["sha256"])), int(entry["size"]), str(entry["sha256"]))
        same = entry["mark"] == dict(mark) and found.path.stat().st_size == found.size
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if same else None


def fetch(root: Path, url: str, mark: Mapping[str, Any], write: Callable[[Path], None]) -> Fetched:
    """Return a copy that `write` makes at a path; one made before at the same `mark` serves again."""
    found = known(root, url, mark)
    if found is not None:
        return found
    folder = root / ".mlplan" / "cache" / "fetched"
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
    os.close(handle)
    path = Path(temporary)
    try:
        write(path)
        digest, size = _digest(path)
        target = place(root, url, digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)
    index = _index(root, url)
    index.parent.mkdir(parents=True, exist_ok=True)
    part = index.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({"mark": dict(mark), "sha256": digest, "size": size}))
    part.replace(index)
    return Fetched(url, target, size, digest)


def restore(root: Path, url: str) -> str | None:
    """Fetch again what a manifest names and is not here any more; return why that cannot be, None when a copy was made."""
    from mlplan.data import s3, tables

    try:
        if url.startswith("s3://"):
            s3.fetch_one(url, root)
        else:
            tables.fetch_table(url, root)
    except DiagnosticError as error:
        return f"{error.diagnostics[0].summary}: {error.diagnostics[0].detail}"
    return None


def missing_package(extra: str, name: str | None) -> Diagnostic:
    """Return what is said when the package behind a kind of source is not installed."""
    detail = f'This source needs a package that is missing ({name}). Install it:\n    pip install "mlplan[{extra}]"'
    return Diagnostic("missing-extra", "A plug-in lacks a package", detail)


def _index(root: Path, url: str) -> Path:
    name = hashlib.sha256(url.encode()).hexdigest()
    return root / ".mlplan" / "cache" / "fetched" / "index" / f"{name}.json"


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size
