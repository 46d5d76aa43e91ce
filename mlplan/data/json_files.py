"""How JSON files are laid out: one document a line, documents of several lines, or one array. Told by the first bytes."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mlplan.data.failure import QueryFailed

Layout = Literal["newline_delimited", "array", "unstructured"]
_ENDINGS = (".jsonl", ".ndjson")
_HEAD = 64 * 2**10


def layout_of(paths: Sequence[Path]) -> Layout:
    """Return the layout of files that are read together. Raises QueryFailed when they differ or are no JSON objects."""
    found: dict[Layout, Path] = {}
    for path in paths:
        try:
            found.setdefault(_layout(path), path)
        except (OSError, EOFError, gzip.BadGzipFile) as error:
            raise QueryFailed("read", f"the file cannot be read: {error}", path) from error
        except ValueError as error:
            raise QueryFailed("read", str(error), path) from error
    if "array" in found and len(found) > 1:
        other = next(path for layout, path in found.items() if layout != "array")
        raise QueryFailed("read", f'it is an array of documents, and "{other.name}" is not.', found["array"])
    return "unstructured" if "unstructured" in found else next(iter(found), "newline_delimited")


def _layout(path: Path) -> Layout:
    name = path.name.lower()
    if name.endswith(".zst"):  # the standard library of Python 3.11 cannot look inside
        return "newline_delimited"
    with path.open("rb") as raw, raw if not name.endswith(".gz") else gzip.GzipFile(fileobj=raw) as file:
        head = file.read(_HEAD)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is text in UTF-16; write it in UTF-8.")
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if first == b"[" and not name.removesuffix(".gz").endswith(_ENDINGS):
        return "array"
    if first != b"{":
        raise ValueError("it does not begin with a JSON object. Rows are objects, one a line or in one array.")
    if name.removesuffix(".gz").endswith(_ENDINGS):
        return "newline_delimited"
    line = head.split(b"\n", 1)[0].strip()
    return "newline_delimited" if line.endswith(b"}") or b"\n" not in head else "unstructured"
