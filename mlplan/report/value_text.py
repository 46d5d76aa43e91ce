"""Values and what changes in them, for people: short ones on a line, long texts, lists, maps and blocks as differences inside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import orjson

from mlplan.engine.plain import plain
from mlplan.engine.types import FieldChange
from mlplan.lang.values import Secret, Unknown
from mlplan.report.json_values import SECRET_MARK
from mlplan.report.safe import one_line, pad, safe_text
from mlplan.report.style import Style

NAME = 18
"""Columns of a name before its value."""
NEAR = 24
"""Characters shown before a difference in a long text."""
CONTEXT = 1
"""Unchanged lines or elements shown around a difference."""
DEEP = 8
SIGNS = {"+": "green", "-": "red", "~": "yellow", " ": "dim"}
EMPTY: tuple[Any, ...] = (None, [], {}, ())
_AMBIGUOUS = re.compile(r"|true|false|null|-?\d[\d._eE+-]*|.*[\s\"(]$|[\s\"(\[{].*|.*->.*", re.DOTALL)


def value_text(value: Any, most: int = 200) -> str:
    """Return a value on one line: unknown ones with their origin, secrets hidden, texts bare where nothing is lost by it."""
    if isinstance(value, str) and not _AMBIGUOUS.fullmatch(value):
        return one_line(value, most)
    return one_line(_inner(value), most)


def _inner(value: Any) -> str:
    """Return a value as it stands inside others: texts in quotes."""
    if isinstance(value, Unknown):
        return f"({value.origin or 'known after apply'})"
    if isinstance(value, Secret) or value == SECRET_MARK:
        return "(sensitive)"
    if isinstance(value, str):
        return json.dumps(safe_text(value), ensure_ascii=False)
    if isinstance(value, Mapping):
        if len(value) == 1 and "$unknown" in value:
            return f"({value['$unknown'] or 'known after apply'})"
        return "{" + ", ".join(f"{safe_text(k)} = {_inner(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inner(v) for v in value) + "]"
    return orjson.dumps(plain(value)).decode()


def field_lines(field: FieldChange, style: Style, indent: int = 6) -> list[str]:
    """Return the lines of a changed field."""
    writer = _Writer(style)
    if field.labels:
        before, after = _mapping(field.before), _mapping(field.after)
        for label in [*after, *(k for k in before if k not in after)]:
            if _same(before.get(label), after.get(label)) and label in before and label in after:
                continue
            name = f'{field.name} "{one_line(label, 60)}"'
            writer.block(name, before.get(label), after.get(label), indent, hide="name")
    else:
        writer.value(field.name, field.before, field.after, indent)
    return writer.lines


class _Writer:
    """Collects lines; every line begins with the sign of what happens to it."""

    def __init__(self, style: Style) -> None:
        self.lines: list[str] = []
        self._style = style

    def value(self, name: str, before: Any, after: Any, indent: int, depth: int = 0) -> None:
        """Write what happens to a named value."""
        if depth < DEEP and _is_long(before, after, self._room(indent)):
            if _is_kind(Mapping, before, after):
                self.block(name, before, after, indent, depth=depth)
                return
            if _is_kind((list, tuple), before, after):
                self._list(name, before or [], after or [], indent)
                return
            if _is_kind(str, before, after):
                self._text(name, before, after, indent)
                return
        sign = _sign(before, after)
        room = self._room(indent)
        if sign != "~":
            shown = value_text(after if sign == "+" else before, room)
        else:
            old, new = value_text(before, 10_000), value_text(after, 10_000)
            if len(old) + len(new) + 4 > room:
                self._head("~", name, indent)
                self._line("-", old, indent + 4)
                self._line("+", new, indent + 4)
                return
            shown = f"{old} -> {new}"
        self._line(sign, f"{pad(one_line(name, 60), NAME)} {shown}", indent)

    def block(self, name: str, before: Any, after: Any, indent: int, hide: str = "", depth: int = 0) -> None:
        """Write what happens inside a map or a block."""
        old, new = _mapping(before), _mapping(after)
        self._head("~" if old and new else "+" if new else "-", name, indent)
        same = 0
        for key in [*new, *(k for k in old if k not in new)]:
            if key == hide or (old.get(key) in EMPTY and new.get(key) in EMPTY and hide):
                continue
            if key in old and key in new and _same(old[key], new[key]):
                same += 1
            else:
                self.value(str(key), old.get(key), new.get(key), indent + 4, depth + 1)
        self._hidden(same, indent + 4)

    def _list(self, name: str, before: Sequence[Any], after: Sequence[Any], indent: int) -> None:
        self._head(_sign(before or None, after or None), name, indent)
        self._changes([_inner(v) for v in before], [_inner(v) for v in after], indent + 4)

    def _text(self, name: str, before: str | None, after: str | None, indent: int) -> None:
        self._head(_sign(before, after), name, indent)
        old, new = before or "", after or ""
        if "\n" in old or "\n" in new:
            self._changes(_split(old), _split(new), indent + 4)
            return
        old, new = _around(safe_text(old), safe_text(new), self._room(indent) + NAME - 6)
        if before is not None:
            self._line("-", old, indent + 4)
        if after is not None:
            self._line("+", new, indent + 4)

    def _changes(self, before: Sequence[str], after: Sequence[str], indent: int) -> None:
        groups = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        for index, (tag, start, end, other, last) in enumerate(groups):
            if tag == "equal":
                lead = CONTEXT if index else 0
                tail = CONTEXT if index + 1 < len(groups) else 0
                if end - start <= lead + tail + 1:
                    self._lines(" ", before[start:end], indent)
                    continue
                self._lines(" ", before[start : start + lead], indent)
                self._hidden(end - start - lead - tail, indent)
                self._lines(" ", before[end - tail : end] if tail else (), indent)
                continue
            self._lines("-", before[start:end], indent)
            self._lines("+", after[other:last], indent)

    def _lines(self, sign: str, texts: Iterable[str], indent: int) -> None:
        for text in texts:
            self._line(sign, text, indent)

    def _head(self, sign: str, name: str, indent: int) -> None:
        self._line(sign, one_line(name, 120), indent)

    def _line(self, sign: str, text: str, indent: int) -> None:
        room = max(self._style.width - indent - 2, 20)
        shown = safe_text(text).expandtabs(4)
        shown = shown if len(shown) <= room else shown[: room - 1] + "…"
        self.lines.append(f"{' ' * indent}{self._style.paint(sign, SIGNS[sign])} {shown}".rstrip())

    def _hidden(self, count: int, indent: int) -> None:
        if count:
            self.lines.append(f"{' ' * indent}  {self._style.paint(f'({count} unchanged)', 'dim')}")

    def _room(self, indent: int) -> int:
        return max(self._style.width - indent - NAME - 3, 20)


def _is_kind(of: Any, before: Any, after: Any) -> bool:
    """Tell whether both sides are of a kind that can be compared inside, or one is and the other is nothing."""
    inside = [v for v in (before, after) if v is not None]
    return bool(inside) and all(isinstance(v, of) and not _is_mark(v) for v in inside)


def _is_mark(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in ("$secret", "$unknown")


def _is_long(before: Any, after: Any, room: int) -> bool:
    """Tell whether two values do not fit on a line, or are better read apart."""
    values = [v for v in (before, after) if v is not None]
    if any(isinstance(v, str) and "\n" in v for v in values):
        return True
    if any(isinstance(v, Mapping) and v and not _is_mark(v) for v in values):
        return True
    return sum(len(_inner(v)) for v in values) + 4 > room


def _split(text: str) -> list[str]:
    """Return the lines of a text; the end of the last one is no line of its own."""
    return safe_text(text).removesuffix("\n").split("\n") if text else []


def _around(before: str, after: str, room: int) -> tuple[str, str]:
    """Return two long texts cut down to where they differ."""
    if not before or not after:
        return before, after
    head = max(0, _common(before, after) - NEAR)

    def cut(text: str) -> str:
        shown = ("…" if head else "") + text[head:]
        return shown if len(shown) <= room else shown[: room - 1] + "…"

    return cut(before), cut(after)


def _common(one: str, other: str) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _sign(before: Any, after: Any) -> str:
    return "+" if before is None else "-" if after is None else "~"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _same(before: Any, after: Any) -> bool:
    compare: Callable[[Any], Any] = plain
    return bool(before == after or compare(before) == compare(after))
