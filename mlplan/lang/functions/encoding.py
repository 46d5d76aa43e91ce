"""Encodings: JSON, base64, URL. YAML, CSV and character sets have files of their own."""

from __future__ import annotations

import base64
import binascii
import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from mlplan.lang.functions.registry import Family, FunctionError, Parameter
from mlplan.lang.numbers import format_number, parse_number
from mlplan.lang.scope import Scope
from mlplan.lang.types import ANY, STRING
from mlplan.lang.values import Entity, ListValue, MapValue, Null, SetValue, Value, normal

_family = Family()
FUNCTIONS = _family.functions
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_MAX_DECODED_DEPTH = 200


def to_json(value: Value) -> str:
    """Return a known value as JSON, as Go writes it: no blanks, keys sorted, < > & escaped."""
    match value:
        case None | Null():
            return "null"
        case bool():
            return "true" if value else "false"
        case Decimal():
            if not value.is_finite():
                raise FunctionError("cannot serialize infinity as JSON")
            return format_number(value)
        case str():
            text = json.dumps(value, ensure_ascii=False)
            text = text.replace("\\b", "\\u0008").replace("\\f", "\\u000c") if "\\" in text else text
            return "".join(_HTML.get(char, char) for char in text)
        case tuple():
            return "[" + ",".join(map(to_json, value)) + "]"
        case ListValue(items) | SetValue(items):
            return "[" + ",".join(map(to_json, items)) + "]"
        case dict():
            return _json_object(value)
        case MapValue(pairs):
            return _json_object(pairs)
        case Entity(identity):
            return to_json(identity)
    raise TypeError(f"{type(value).__name__} has no JSON")


def _json_object(pairs: Any) -> str:
    return "{" + ",".join(f"{to_json(key)}:{to_json(pairs[key])}" for key in sorted(pairs)) + "}"


@_family.add(Parameter("val", ANY, null=True), result=STRING)
def jsonencode(value: Value) -> Value:
    """Return the value as JSON."""
    return to_json(value)


@_family.add(("str", STRING), scoped=True)
def jsondecode(scope: Scope, text: str) -> Value:
    """Return the value of JSON text."""
    scope.budget.produce(4 * len(text))
    try:
        found = json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_refuse)
        return decoded(found)
    except (ValueError, ArithmeticError) as error:
        raise FunctionError(f"the text is not JSON: {error}", 0) from None
    except RecursionError:
        raise FunctionError("the JSON is nested too deep", 0) from None


def _number(text: str) -> Decimal:
    number = parse_number(text)
    if number is None:
        raise ValueError(f"{text[:40]} is larger than numbers can be here")
    return number


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def decoded(found: Any, depth: int = 0) -> Value:
    """Return decoded JSON or YAML data as a value. Raises FunctionError."""
    if depth > _MAX_DECODED_DEPTH:
        raise FunctionError(f"the data is nested more than {_MAX_DECODED_DEPTH} levels deep", 0)
    if isinstance(found, dict):
        return {normal(str(key)): decoded(found[key], depth + 1) for key in sorted(found, key=str)}
    if isinstance(found, list):
        return tuple(decoded(item, depth + 1) for item in found)
    return normal(found) if isinstance(found, str) else found


@_family.add(("str", STRING), result=STRING)
def base64encode(text: str) -> Value:
    """Return text, as UTF-8, in base64."""
    return base64.b64encode(text.encode()).decode()


def from_base64(text: str) -> bytes:
    """Return the bytes of base64 text. Raises FunctionError."""
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise FunctionError("failed to decode base64 data", 0) from None


@_family.add(("str", STRING), result=STRING)
def base64decode(text: str) -> Value:
    """Return the text that base64 writes."""
    try:
        return from_base64(text).decode()
    except UnicodeDecodeError:
        raise FunctionError("the result of decoding the provided string is not valid UTF-8", 0) from None


@_family.add(("str", STRING), result=STRING)
def base64gzip(text: str) -> Value:
    """Return text, compressed by gzip, in base64."""
    import zlib

    packer = zlib.compressobj(wbits=-15)
    data = text.encode()
    body = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH) + b"\x01\x00\x00\xff\xff"
    tail = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return base64.b64encode(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + body + tail).decode()


@_family.add(("str", STRING), result=STRING)
def urlencode(text: str) -> Value:
    """Return text as it stands in a URL's query."""
    return quote_plus(text, safe="")
