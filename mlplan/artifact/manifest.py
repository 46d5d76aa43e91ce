"""The manifest of a sealed folder, and its verification: every file by digest, nothing added, nothing missing.

Layout: `model.skops` (or the flavor's file), `contract.json`, `probe.json`, `env/versions.json`, optionally
`env/lock.txt`, `MODEL_CARD.md`, `manifest.json`. The artifact's digest is the sha256 of `manifest.json`, and names its
folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.flavor import ModelInfo

MANIFEST = "manifest.json"
CONTRACT = "contract.json"
PROBE = "probe.json"
VERSIONS = "env/versions.json"
LOCK = "env/lock.txt"
CARD = "MODEL_CARD.md"
_MAX_DOCUMENT = 64 * 2**20


@dataclass(frozen=True)
class Manifest:
    """What a sealed folder says of itself.

    files: relative path -> {"sha256": hex, "size": bytes}. Three digests, each "sha256:…": `content_digest` of the
    model whatever the container, `prediction_digest` of its answers to the probe rows, `files_digest` over `files`.
    """

    model: str
    info: ModelInfo
    files: Mapping[str, Mapping[str, Any]]
    content_digest: str
    prediction_digest: str

    @property
    def files_digest(self) -> str:
        """Return the digest over all files."""
        return digest_of({path: entry["sha256"] for path, entry in self.files.items()})

    @property
    def size(self) -> int:
        """Return the bytes of all files but the manifest."""
        return sum(int(entry["size"]) for entry in self.files.values())

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "format": 1,
            "model": self.model,
            "info": self.info.to_json(),
            "digests": {
                "files": self.files_digest,
                "content": self.content_digest,
                "predictions": self.prediction_digest,
            },
            "files": {path: dict(entry) for path, entry in self.files.items()},
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Manifest:
        """Return the manifest of a JSON document."""
        digests = document["digests"]
        info = ModelInfo.from_json(document["info"])
        return Manifest(document["model"], info, document["files"], digests["content"], digests["predictions"])


def canonical(document: Any) -> bytes:
    """Return the one JSON text of plain data: sorted keys, a line end."""
    return (json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def digest_of(document: Any) -> str:
    """Return "sha256:…" of plain data."""
    return "sha256:" + hashlib.sha256(canonical(document)).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a sealed folder. Raises: ArtifactError `not-an-artifact`."""
    try:
        return Manifest.from_json(read_document(folder / MANIFEST))
    except (KeyError, TypeError, AttributeError) as error:
        raise _not_an_artifact(
            folder, f"its {MANIFEST} is not one of ours ({type(error).__name__}: {error})"
        ) from error


def read_document(path: Path) -> dict[str, Any]:
    """Return a JSON object of a sealed folder. Raises: ArtifactError `not-an-artifact`."""
    try:
        if path.stat().st_size > _MAX_DOCUMENT:
            raise _not_an_artifact(path.parent, f"its {path.name} is larger than {_MAX_DOCUMENT:,} bytes")
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _not_an_artifact(path.parent, f"its {path.name} cannot be read ({error})") from error
    if not isinstance(document, dict):
        raise _not_an_artifact(path.parent, f"its {path.name} is not a JSON object")
    return document


def _not_an_artifact(folder: Path, why: str) -> ArtifactError:
    return ArtifactError("not-an-artifact", "This folder is not a sealed artifact", f"{folder}: {why}.")


def verify(folder: Path, digest: str | None = None) -> list[str]:
    """Return what is wrong with a sealed folder, one sentence each; nothing when it is as it was sealed.

    digest: "sha256:…" the artifact must have; when it is None, a folder named by 64 hex digits must match its name.
    """
    if not folder.is_dir() or folder.is_symlink():
        return [f"{folder} is not a folder."]
    try:
        manifest = read_manifest(folder)
    except ArtifactError as error:
        return [error.detail]
    wanted = digest or (f"sha256:{folder.name}" if re.fullmatch(r"[0-9a-f]{64}", folder.name) else None)
    found = "sha256:" + sha256_of(folder / MANIFEST)
    problems = []
    if wanted is not None and found != wanted:
        problems.append(f"{MANIFEST} was altered: the artifact should be {wanted} and is {found}.")
    return problems + _compare(folder, manifest)


def _compare(folder: Path, manifest: Manifest) -> list[str]:
    problems = []
    present = _walk(folder)
    for relative, kind in present.items():
        if kind == "other":
            problems.append(f"{relative} is a link or a special file; a sealed artifact has none.")
        elif relative not in manifest.files and relative != MANIFEST:
            problems.append(f"{relative} was added.")
    for relative, entry in manifest.files.items():
        if relative not in present:
            problems.append(f"{relative} is missing.")
        elif present[relative] == "file" and sha256_of(folder / relative) != entry.get("sha256"):
            problems.append(f"{relative} was altered.")
    return problems


def _walk(folder: Path) -> dict[str, str]:
    """Return relative path -> "file" or "other" (link, device) of everything below, links not followed."""
    found: dict[str, str] = {}
    for root, folders, files in os.walk(folder):
        for name in [*files, *folders]:
            path = Path(root, name)
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                if not any(path.iterdir()):
                    found[path.relative_to(folder).as_posix() + "/"] = "file"
                continue
            found[path.relative_to(folder).as_posix()] = "file" if stat.S_ISREG(mode) else "other"
    return dict(sorted(found.items()))
