"""Keeps the syntax trees of files that were read without a problem, by the hash of their text, in the user's cache folder.

An unchanged file then costs a hash and a load. The format is our own: tuples of plain values, packed by `marshal` behind a digest.
Folder and files are private; what is damaged, foreign or of another version is not there.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
from collections.abc import Callable
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

_VERSION = f"mlplan tree 1 {sys.implementation.cache_tag}"
_CLASSES: tuple[type, ...] = (
    Attribute, Binary, Block, Body, Call, Conditional, ForExpr, GetAttr, Index, Literal, ObjectExpr, ObjectItem, Parens, ScopeRef,
    Splat, SplatItem, Template, TemplateFor, TemplateIf, Text, TupleExpr, Unary,
)  # fmt: skip
_TAGS = {node: tag for tag, node in enumerate(_CLASSES)}
_NUMBER, _SPAN, _TUPLE = "#", "@", "*"
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
        if hashlib.sha256(data).digest() != digest:
            return None
        packed = marshal.loads(data)  # noqa: S302  (private, ours, and whole: the digest says so)
        return _unpacker(path)(packed)  # type: ignore[no-any-return]

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
                stream.write(hashlib.sha256(data).digest() + data)
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


def _packed(node: Any) -> Any:
    """Return a node as plain tuples: (tag, field, …); spans as (@, start, end), other tuples as (*, item, …)."""
    if isinstance(node, Span):
        return (_SPAN, node.start, node.end)
    tag = _TAGS.get(type(node))
    if tag is not None:
        fields: Any = (*node.attributes.values(),) if isinstance(node, Body) else None
        if fields is not None:
            return (tag, (_TUPLE, *map(_packed, fields)), _packed(node.blocks), _packed(node.span))
        return (tag, *map(_packed, node))
    if isinstance(node, tuple):
        return (_TUPLE, *map(_packed, node))
    return (_NUMBER, str(node)) if isinstance(node, Decimal) else node


def _unpacker(path: str) -> Callable[[Any], Any]:
    new: Any = tuple.__new__

    def unpacked(packed: Any) -> Any:
        if packed.__class__ is not tuple:
            return packed
        tag = packed[0]
        if tag == _SPAN:
            return new(Span, (path, packed[1], packed[2]))
        if tag == _TUPLE:
            return tuple([unpacked(part) for part in packed[1:]])
        if tag == _NUMBER:
            return Decimal(packed[1])
        node = _CLASSES[tag]
        fields = [unpacked(part) for part in packed[1:]]
        if node is Body:
            fields[0] = {attribute.name: attribute for attribute in fields[0]}
        return new(node, fields)

    return unpacked
