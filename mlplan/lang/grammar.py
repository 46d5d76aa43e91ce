"""The one place that calls hcl2: a mask (see `mask`) to a small tree of rule names and unit numbers.

Trees are remembered by mask, in the process and in the user's cache folder, so that hcl2 is imported (a third of a second)
and run (a millisecond a block) only for shapes that nobody has seen before. Nothing here knows names or places.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
from pathlib import Path
from typing import Any, TypeAlias

from mlplan.lang.mask import Mask
from mlplan.lang.treecache import TreeCache

Shape: TypeAlias = list[Any]
"""[rule, child, child, …]: a child is a Shape or the number of a unit."""

MAX_TREE_DEPTH = 600
MAX_UNITS = 60_000
MAX_NEW_UNITS = 150_000
_MAX_REMEMBERED = 20_000
_MAX_CACHE_BYTES = 4 * 1024 * 1024


class GrammarError(Exception):
    """hcl2 refuses a mask at unit `unit` (None: at its end). too_deep, too_long: it is the nesting, or the length."""

    def __init__(self, unit: int | None, too_deep: bool = False, too_long: bool = False) -> None:
        super().__init__(f"refused at unit {unit}")
        self.unit = unit
        self.too_deep = too_deep
        self.too_long = too_long


class ShapeCache:
    """Shapes by mask. `path`: the file they are kept in; None keeps them in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.trees = TreeCache(path.parent / "trees" if path is not None else None, _grammar_version() if path else "")
        self.shapes: dict[str, Shape] = {}
        self.new_units = 0
        self._loaded = path is None
        self._new: dict[str, Shape] = {}
        self._waits = False

    def get(self, text: str) -> Shape | None:
        """Return the shape of a mask if it is known."""
        found = self.shapes.get(text)
        if found is None and not self._loaded:
            self._load()
            found = self.shapes.get(text)
        return found

    def put(self, text: str, shape: Shape) -> None:
        """Remember a shape."""
        if len(self.shapes) >= _MAX_REMEMBERED:
            self.shapes.clear()
        self.shapes[text] = self._new[text] = shape

    def _load(self) -> None:
        self._loaded = True
        path = self.path
        assert path is not None
        try:
            status = path.stat()
            if status.st_size > _MAX_CACHE_BYTES or status.st_uid != os.getuid():
                return
            document = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return  # a cache that cannot be read is an empty one
        if isinstance(document, dict) and document.get("grammar") == _grammar_version():
            shapes = document.get("shapes")
            if isinstance(shapes, dict) and document.get("digest") == _checked(shapes):
                self.shapes = {**shapes, **self.shapes}

    @staticmethod
    def _document(shapes: dict[str, Shape]) -> str:
        kept = {"grammar": _grammar_version(), "digest": _checked(shapes), "shapes": shapes}
        return json.dumps(kept, separators=(",", ":"))

    def save_at_exit(self) -> None:
        """Write new shapes when the process ends: the file is written as a whole, and after every parse that would take long."""
        if self.path is not None and self._new and not self._waits:
            self._waits = True
            atexit.register(self.save)

    def save(self) -> None:
        """Write new shapes to the file, atomically; a folder that cannot be written leaves the cache in memory."""
        if self.path is None or not self._new:
            return
        document = self._document(self.shapes)
        if len(document) > _MAX_CACHE_BYTES:
            document = self._document(self._new)  # begin again with what is in use
        self._new = {}
        if len(document) > _MAX_CACHE_BYTES:
            return
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_text(document)
            temporary.chmod(0o600)
            temporary.replace(self.path)
        except OSError:
            temporary.unlink(missing_ok=True)


def _checked(shapes: Any) -> str:
    return hashlib.sha256(json.dumps(shapes, separators=(",", ":")).encode()).hexdigest()


def _grammar_version() -> str:
    from importlib.metadata import version

    return f"2/{version('python-hcl2')}"


def default_cache() -> ShapeCache:
    """Return the cache in the user's cache folder; in memory when there is no home."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return ShapeCache(Path(base) / "mlplan" / "shapes.json" if os.path.isabs(base) else None)


def shape_of(mask: Mask, cache: ShapeCache) -> Shape:
    """Return the tree of a mask. Raises GrammarError."""
    text = mask.text
    shape = cache.get(text)
    if shape is None:
        cache.new_units += len(mask.units)
        if len(mask.units) > MAX_UNITS or cache.new_units > MAX_NEW_UNITS:
            raise GrammarError(None, too_long=True)
        shape = _parse(text, mask)
        cache.put(text, shape)
    return shape


def _parse(text: str, mask: Mask) -> Shape:
    import hcl2
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    try:
        tree = hcl2.parses_to_tree(text)
    except UnexpectedToken as error:
        offset = error.token.start_pos if error.token.type != "$END" else None
        raise GrammarError(_unit_at(offset, mask)) from None
    except UnexpectedCharacters as error:
        raise GrammarError(_unit_at(error.pos_in_stream, mask)) from None
    except UnexpectedInput:
        raise GrammarError(None) from None
    return _shape(tree, mask.offsets, 0)


def _unit_at(offset: int | None, mask: Mask) -> int | None:
    if offset is None or offset >= mask.length:
        return None
    text = mask.text
    while offset < len(text) and text[offset] in " \t":  # hcl2's "=" and ":" begin with the blanks before them
        offset += 1
    known = [unit for start, unit in mask.offsets.items() if start <= offset]
    return max(known, default=None)


def _shape(tree: Any, offsets: dict[int, int], depth: int) -> Shape:
    if depth > MAX_TREE_DEPTH:
        raise GrammarError(None, too_deep=True)
    shape: Shape = [str(tree.data)]
    for child in tree.children:
        if hasattr(child, "data"):
            if child.data != "new_line_or_comment":
                shape.append(_shape(child, offsets, depth + 1))
        elif child is not None:
            unit = offsets.get(child.start_pos)
            if unit is not None:
                shape.append(unit)
    return shape
