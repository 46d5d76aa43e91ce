"""The skops container: recognised by content, bounded, and rewritten so that equal models are equal bytes.

skops names members and shared objects by memory address and stamps the time into the zip, so the same training twice
gives different bytes. Here addresses become counters and times a constant; nothing else changes. Loading is
`sklearn_flavor`'s business.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from mlplan.artifact.errors import ArtifactError

SCHEMA = "schema.json"
MAX_SCHEMA = 256 * 2**20
MAX_UNPACKED = 8 * 2**30
MAX_MEMBERS = 200_000
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold

_UNSAFE_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x80\x02", "pickle"), (b"\x80\x03", "pickle"), (b"\x80\x04", "pickle"), (b"\x80\x05", "pickle"),
    (b"(dp", "pickle"), (b"ccopy_reg", "pickle"), (b"(i", "pickle"), (b"(l", "pickle"),
    (b"\x78\x01", "compressed joblib"), (b"\x78\x5e", "compressed joblib"), (b"\x78\x9c", "compressed joblib"),
    (b"\x78\xda", "compressed joblib"), (b"\x1f\x8b", "gzip (joblib or pickle)"), (b"BZh", "bzip2 (joblib or pickle)"),
    (b"\xfd7zXZ", "xz (joblib or pickle)"), (b"\x04\x22\x4d\x18", "lz4 (joblib)"), (b"ZF\x00", "joblib"),
)  # fmt: skip


def unsafe_kind(path: Path) -> str | None:
    """Return what kind of code-carrying file this is by its first bytes and, for a zip, its members.

    None when it is none.
    """
    with path.open("rb") as file:
        head = file.read(16)
    for start, name in _UNSAFE_STARTS:
        if head.startswith(start):
            return name
    if head.startswith(b"PK\x03\x04") and not is_skops(path):
        return "a zip file that is not a skops file"
    return None


def is_skops(path: Path) -> bool:
    """Tell by content whether this is a skops file."""
    try:
        with ZipFile(path) as archive:
            return SCHEMA in archive.namelist()
    except (BadZipFile, OSError):
        return False


def check_bounds(path: Path) -> None:
    """Refuse a file that would unpack to more than a model can be. Raises: ArtifactError `model-too-large`."""
    with ZipFile(path) as archive:
        members = archive.infolist()
    total = sum(member.file_size for member in members)
    schema = sum(member.file_size for member in members if member.filename == SCHEMA)
    if total > MAX_UNPACKED or schema > MAX_SCHEMA or len(members) > MAX_MEMBERS:
        raise ArtifactError(
            "model-too-large",
            "The model file is too large",
            f"{path.name} unpacks to {total:,} bytes in {len(members):,} members ({schema:,} bytes of structure); at "
            "most "
            f"{MAX_UNPACKED:,}, {MAX_MEMBERS:,} and {MAX_SCHEMA:,} are read.",
        )


def rewrite(source: Path, target: Path) -> str:
    """Write `source` to `target` without addresses and times; return "sha256:…" of its canonical content.

    The content digest covers structure and arrays, and not how the zip was written, so it survives another compression.
    """
    check_bounds(source)
    content = hashlib.sha256()
    with ZipFile(source) as old, ZipFile(target, "w", ZIP_STORED) as new:
        structure = json.loads(old.read(SCHEMA))
        present = set(old.namelist())
        files = _canonical(
            structure, lambda name: hashlib.sha256(old.read(name)).hexdigest() if name in present else name
        )
        for name, renamed in files.items():
            if name in present:
                data = old.read(name)
                new.writestr(ZipInfo(renamed, _LONG_AGO), data)
                content.update(renamed.encode() + b"\0" + hashlib.sha256(data).digest())
        text = json.dumps(structure, separators=(",", ":"), ensure_ascii=True)
        new.writestr(ZipInfo(SCHEMA, _LONG_AGO), text)
        content.update(text.encode())
    return "sha256:" + content.hexdigest()


def _canonical(structure: dict[str, Any], digest_of: Callable[[str], str]) -> dict[str, str]:
    """Number shared objects and members in the order in which they are met, in place.

    Return old member name -> new one.
    """
    identities: dict[Any, int] = {}
    files: dict[str, str] = {}

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item)
        elif isinstance(node, dict):
            loader = node.get("__loader__")
            if loader == "SetNode":  # the order of a set of text differs between processes
                node["content"] = sorted(node["content"], key=lambda item: _identity_free(item, digest_of))
            if loader == "JsonNode":
                node.pop("__id__", None)  # plain values: whether two are one object says nothing
            elif "__id__" in node:
                node["__id__"] = identities.setdefault(node["__id__"], len(identities) + 1)
            for key, value in node.items():
                if key == "file" and isinstance(value, str) and loader is not None:
                    suffix = Path(value).suffix
                    node[key] = files.setdefault(value, f"{len(files) + 1}{suffix}")
                elif key not in ("__class__", "__module__", "__loader__", "__id__"):
                    walk(value)

    walk(structure)
    return files


def _identity_free(node: Any, digest_of: Callable[[str], str]) -> str:
    """Return text that sorts a node by what it holds and not by where it was in memory."""

    def strip(item: Any) -> Any:
        if isinstance(item, list):
            return [strip(part) for part in item]
        if isinstance(item, dict):
            kept = {key: strip(value) for key, value in item.items() if key not in ("__id__", "file")}
            if isinstance(item.get("file"), str):
                kept["file"] = digest_of(item["file"])
            return kept
        return item

    return json.dumps(strip(node), sort_keys=True)
