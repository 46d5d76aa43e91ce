"""DVC pointer files: which data they name, and whether what lies there is what they say. The pointer is read without DVC.

Source: DVC's documentation of .dvc files; a directory's digest is the MD5 of the JSON list of its files' digests.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

_LARGEST = 1 << 20
_FOLDER = ".dir"


def pointed(path: Path, shown: str) -> list[Path]:
    """Return the files that a pointer names, after looking whether they are what it says. Raises: DiagnosticError."""
    digest, target = read_pointer(path, shown)
    if not target.exists():
        detail = (
            f'"{shown}" points at "{target.name}" (md5 {digest}), which is not here. Fetch it:\n    dvc pull {shown}'
        )
        raise DiagnosticError(Diagnostic("data-not-pulled", "Data has not been fetched", detail))
    found = _folder_digest(target) if target.is_dir() else _file_digest(target)
    if found != digest:
        detail = (
            f'"{target.name}" has md5 {found}, and "{shown}" says {digest}. Either the data was changed (dvc add, and commit '
            f"the pointer) or the pointer was (dvc checkout {shown})."
        )
        raise DiagnosticError(Diagnostic("pointer-differs", "Data is not what its pointer says", detail))
    if not target.is_dir():
        return [target]
    return sorted(file for file in target.rglob("*") if file.is_file() and not file.name.startswith((".", "_")))


def read_pointer(path: Path, shown: str) -> tuple[str, Path]:
    """Return the MD5 and the place of the one output of a pointer; no data is read. Raises: DiagnosticError."""
    import yaml

    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is larger than a pointer ever is")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        (output,) = document["outs"]
        digest, name = str(output["md5"]), str(output["path"])
        base = path.parent / str(document.get("wdir", "."))
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        detail = f'"{shown}" is not a pointer that dvc add makes, with one output and its md5: {reason}.'
        raise DiagnosticError(Diagnostic("source-unreadable", "Data file cannot be read", detail)) from error
    return digest, base / name


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _folder_digest(folder: Path) -> str:
    files: list[dict[str, Any]] = [
        {"md5": _file_digest(file), "relpath": file.relative_to(folder).as_posix()}
        for file in folder.rglob("*")
        if file.is_file()
    ]
    listed = json.dumps(sorted(files, key=lambda f: f["relpath"]), sort_keys=True)
    return hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest() + _FOLDER
