"""csvdecode: rows of comma-separated values, read as Terraform reads them (Go's encoding/csv: RFC 4180, quotes strict)."""

from __future__ import annotations

import re

from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.scope import Scope
from mlplan.lang.types import STRING, ObjectType
from mlplan.lang.values import ListValue, Value

_family = Family()
FUNCTIONS = _family.functions
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_PLAIN = re.compile(r"[^,\n]*")


@_family.add(("str", STRING), scoped=True)
def csvdecode(scope: Scope, text: str) -> Value:
    """Return the rows of CSV text as objects, named by the first line."""
    scope.budget.produce(8 * len(text))
    rows = _rows(text.replace("\r\n", "\n").removesuffix("\r"))
    if not rows:
        raise FunctionError("missing header line", 0)
    (_, names), *lines = rows
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise FunctionError(f'duplicate column name "{twice}"', 0)
    done: list[Value] = []
    for number, line in lines:
        if len(line) != len(names):
            raise FunctionError(f"wrong number of fields on line {number}: {len(line)} instead of {len(names)}", 0)
        pairs = dict(zip(names, line, strict=True))
        row: dict[str, Value] = {name: pairs[name] for name in sorted(pairs)}
        done.append(row)
    return ListValue(tuple(done), ObjectType(dict.fromkeys(sorted(names), STRING)))


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """Return the line number and the fields of every line that is not empty."""
    rows: list[tuple[int, list[str]]] = []
    position, line = 0, 1
    while position < len(text):
        if text[position] == "\n":
            position, line = position + 1, line + 1
            continue
        begun, fields = line, []
        while True:
            field, position = _field(text, position, line)
            fields.append(field)
            line += field.count("\n")
            if position >= len(text) or text[position] == "\n":
                break
            position += 1
        rows.append((begun, fields))
        position, line = position + 1, line + 1
    return rows


def _field(text: str, position: int, line: int) -> tuple[str, int]:
    if position < len(text) and text[position] == '"':
        match = _QUOTED.match(text, position)
        if match is None:
            raise FunctionError(
                f'CSV parse error on line {line}: the quoted field never ends: its closing " is missing', 0
            )
        if match.end() < len(text) and text[match.end()] not in ",\n":
            raise FunctionError(
                f'CSV parse error on line {line}: after the closing " comes neither a comma nor a line end', 0
            )
        return match.group(1).replace('""', '"'), match.end()
    match = _PLAIN.match(text, position)
    assert match is not None
    if '"' in match.group():
        raise FunctionError(f'CSV parse error on line {line}: a " stands in a field that does not begin with one', 0)
    return match.group(), match.end()
