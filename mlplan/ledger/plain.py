"""What may stand in a state or a journal: plain JSON that every reader understands the same way. Refuses, never
repairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

LARGEST_INTEGER = 2**53 - 1
"""Beyond it, readers that hold numbers as doubles silently change the value."""


def plain(value: Any, where: str = "value") -> Any:
    """Return `value` as JSON types (dict, list, str, int, float, bool, None), tuples as lists.

    Raises: ValueError for NaN, infinities, integers beyond 2^53, keys that are no strings, other types, lone
    surrogates.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise ValueError(f"{where} is {value}: integers beyond 2^53 are kept as text")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}: only finite numbers can be kept")
        return float(value)
    if isinstance(value, Mapping):
        return {_key(key, where): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise ValueError(f"{where} is a {type(value).__name__}: only JSON types can be kept")


def _text(value: str, where: str) -> str:
    if value.isascii():
        return str(value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{where} is no valid Unicode text") from None
    return str(value)


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{where} has the key {key!r}: keys are strings")
    return _text(key, where)


def canonical(document: Any) -> bytes:
    """Return the one JSON text of plain data: sorted keys, no blanks, UTF-8. Raises: ValueError for integers
    beyond 2^53.
    """
    try:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except TypeError as error:
        raise ValueError(str(error)) from None
