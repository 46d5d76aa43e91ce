"""Keeps the syntax trees of files that were read without a problem, by the hash of their text, in the user's cache folder.

An unchanged file then costs a hash and a load. The format is our own: tuples of plain values, packed by `marshal` behind a digest.
Folder and files are private; what is damaged, foreign or of another version is not there.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from mlplan.lang.source import Span
from mlplan.lang.syntax import (
    Attribute,
    Binary,
    Block,
    Body,
    Call,
    Conditional,
    ForExpr,
    GetAttr,
    Index,
    Literal,
    ObjectExpr,
    ObjectItem,
    Parens,
    ScopeRef,
    Splat,
    SplatItem,
    Template,
    TemplateFor,
    TemplateIf,
    Text,
    TupleExpr,
    Unary,
)

_VERSION = f"mlplan tree 2 {sys.implementation.cache_tag}"
_CLASSES: tuple[type, ...] = (
    Attribute, Binary, Block, Body, Call, Conditional, ForExpr, GetAttr, Index, Literal, ObjectExpr, ObjectItem, Parens, ScopeRef,
    Splat, SplatItem, Template, TemplateFor, TemplateIf, Text, TupleExpr, Unary,
)  # fmt: skip
_TAGS = {node: tag for tag, node in enumerate(_CLASSES)}
_MIN_TEXT = 2_000
_MAX_BYTES = 64 * 1024 * 1024
_MAX_FILES = 400


class TreeCache:
    """Trees by the hash of their text. folder: where they are kept; None keeps none. grammar: what else a tree depends on."""

    def __init__(self, folder: Path | None, grammar: str = "") -> None:
        self.folder = folder
        self.grammar = grammar

    def get(self, path: str, text: str) -> Body | None:
        """Return the tree of a text, with places in `path`, if it is known."""
        file = self._file(text)
        if file is None:
            return None
        try:
            with file.open("rb") as stream:
                status = os.fstat(stream.fileno())
                if status.st_uid != os.getuid() or status.st_mode & 0o022 or status.st_size > _MAX_BYTES:
                    return None
                digest, data = stream.read(32), stream.read()
        except OSError:
            return None  # a cache that cannot be read is an empty one
        if _seal(file, data) != digest:
            return None
        try:
            body = _unpacked(path, marshal.loads(data))  # noqa: S302  (private, ours, and whole: the digest says so)
        except (ValueError, EOFError, TypeError, IndexError, ArithmeticError, AttributeError, RecursionError):
            return None  # whole, and still not what `put` wrote
        return body if isinstance(body, Body) else None

    def put(self, text: str, body: Body) -> None:
        """Keep a tree, atomically; a folder that cannot be written keeps none."""
        file = self._file(text)
        if file is None or self.folder is None:
            return
        data = marshal.dumps(_packed(body))
        temporary = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room()
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(_seal(file, data) + data)
            temporary.replace(file)
        except OSError:
            temporary.unlink(missing_ok=True)

    def _file(self, text: str) -> Path | None:
        if self.folder is None or len(text) < _MIN_TEXT:
            return None
        key = f"{_VERSION}\n{self.grammar}\n{text}".encode("utf-8", "surrogatepass")
        return self.folder / hashlib.sha256(key).hexdigest()

    def _make_room(self) -> None:
        assert self.folder is not None
        files = [entry for entry in os.scandir(self.folder) if entry.is_file(follow_symlinks=False)]
        if len(files) >= _MAX_FILES:
            for entry in sorted(files, key=lambda one: one.stat(follow_symlinks=False).st_mtime)[: _MAX_FILES // 4]:
                Path(entry.path).unlink(missing_ok=True)


def _seal(file: Path, data: bytes) -> bytes:
    """Return the digest that stands before the data. The name is in it: the tree of another text does not fit."""
    return hashlib.sha256(file.name.encode() + data).digest()


def _layout(annotation: str) -> str:
    """Return how a field is packed, by its type as it is written in `syntax`."""
    if annotation == "Span":
        return "span"
    if annotation.startswith("Mapping[str, Attribute]"):
        return "attributes"
    if annotation.startswith("tuple["):
        inner = annotation.removeprefix("tuple[").partition(",")[0]
        return {"str": "plain", "Span": "spans"}.get(inner, "nodes")
    if "Decimal" in annotation:
        return "literal"
    plain = all(word in ("str", "bool", "int", "None") for word in annotation.split(" | "))
    return "plain" if plain else "node"


_LAYOUTS = {node: [_layout(text) for text in node.__annotations__.values()] for node in _CLASSES}


def _packed(node: Any) -> Any:
    """Return a node as plain values: (tag, field, …). A span field is two numbers in its place."""
    fields: list[Any] = [_TAGS[type(node)]]
    for layout, value in zip(_LAYOUTS[type(node)], node, strict=True):
        if layout == "span":
            fields += (value.start, value.end)
        elif layout == "nodes":
            fields.append(tuple(map(_packed, value)))
        elif layout == "attributes":
            fields.append(tuple(map(_packed, value.values())))
        elif layout == "spans":
            fields.append(tuple((one.start, one.end) for one in value))
        elif layout == "literal":
            fields.append((str(value),) if isinstance(value, Decimal) else value)
        else:
            fields.append(_packed(value) if layout == "node" and value is not None else value)
    return tuple(fields)


def _expression(layout: str, at: int) -> str:
    """Return the Python that reads the field at a position of the packed node `p`."""
    return {
        "span": f"new(Span, (path, p[{at}], p[{at + 1}]))",
        "nodes": f"tuple([readers[x[0]](x) for x in p[{at}]])",
        "attributes": f"{{x[1]: readers[x[0]](x) for x in p[{at}]}}",
        "spans": f"tuple([new(Span, (path, *x)) for x in p[{at}]])",
        "literal": f"p[{at}] if p[{at}].__class__ is not tuple else Decimal(p[{at}][0])",
        "node": f"None if p[{at}] is None else readers[p[{at}][0]](p[{at}])",
        "plain": f"p[{at}]",
    }[layout]


def _readers() -> Any:
    """Return the code of a function that takes the path and returns readers of packed nodes, by tag.

    It is written from the layouts, as the standard library writes named tuples: a tree of ten thousand blocks has half a million fields.
    """
    lines = []
    for node, layouts in _LAYOUTS.items():
        at, fields = 1, []
        for layout in layouts:
            fields.append(_expression(layout, at))
            at += 2 if layout == "span" else 1
        lines.append(f"    lambda p: new({node.__name__}, ({', '.join(fields)},)),")
    body = "\n".join(lines)
    return compile(f"def make(path, new):\n  readers = (\n{body}\n  )\n  return readers", __file__, "exec")


def _unpacked(path: str, packed: Any) -> Any:
    names: dict[str, Any] = {"Span": Span, "Decimal": Decimal, **{node.__name__: node for node in _CLASSES}}
    exec(_readers(), names)  # noqa: S102  (made of the names in this module, nothing that is read)
    return names["make"](path, tuple.__new__)[packed[0]](packed)
