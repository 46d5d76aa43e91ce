"""yamlencode and yamldecode, in the style of Terraform: text quoted or in blocks, plain data only."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from mlplan.lang.convert import convert
from mlplan.lang.functions.encoding import decoded
from mlplan.lang.functions.registry import Family, FunctionError, Parameter
from mlplan.lang.numbers import format_number, parse_number
from mlplan.lang.scope import Scope
from mlplan.lang.types import ANY, STRING
from mlplan.lang.values import Entity, ListValue, MapValue, SetValue, Value, is_null

_family = Family()
FUNCTIONS = _family.functions
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?")
_BASED = re.compile(r"([-+]?)0(?:x([0-9a-fA-F]+)|o([0-7]+))")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ]\s*(\d\d:\d\d:\d\d(?:\.\d+)?)\s*(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_NULLS = ("", "~", "null", "Null", "NULL")
_TRUE = ("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y")
_FALSE = ("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N")
_TAG = "tag:yaml.org,2002:"
_TYPED = ("int", "float", "bool", "timestamp")
_SCALARS = ("str", "int", "float", "bool", "null", "timestamp", "binary", "merge")


@_family.add(Parameter("value", ANY, null=True), result=STRING, scoped=True)
def yamlencode(scope: Scope, value: Value) -> Value:
    """Return the value as YAML."""
    from yaml import events

    from mlplan.lang.functions.yamlstyle import StyledEmitter

    written = io.StringIO()
    emitter = StyledEmitter(written)
    frame = (events.StreamStartEvent(), events.DocumentStartEvent(), events.DocumentEndEvent(), events.StreamEndEvent())
    for event in itertools.chain(frame[:2], _events(scope, value), frame[2:]):
        emitter.emit(event)
    return written.getvalue()


def _events(scope: Scope, value: Value) -> Iterator[Any]:
    from yaml import events

    scope.budget.step()
    value = value.identity if isinstance(value, Entity) else value
    items, pairs = _children(value)
    if items is not None:
        yield events.SequenceStartEvent(None, None, True, flow_style=not items)
        for item in items:
            yield from _events(scope, item)
        yield events.SequenceEndEvent()
    elif pairs is not None:
        yield events.MappingStartEvent(None, None, True, flow_style=not pairs)
        for key in sorted(pairs):
            yield _text(key)
            yield from _events(scope, pairs[key])
        yield events.MappingEndEvent()
    elif isinstance(value, str):
        yield _text(value)
    else:
        plain = "null" if is_null(value) else format_number(value) if isinstance(value, Decimal) else str(value).lower()
        yield events.ScalarEvent(None, None, (True, False), plain)


def _text(text: str) -> Any:
    from yaml import events

    return events.ScalarEvent(None, None, (False, True), text, style="|" if "\n" in text else '"')


def _children(value: Value) -> tuple[tuple[Value, ...] | None, Any]:
    match value:
        case tuple():
            return value, None
        case ListValue(items) | SetValue(items):
            return items, None
        case dict():
            return None, value
        case MapValue(pairs):
            return None, pairs
    return None, None


@_family.add(("src", STRING), scoped=True)
def yamldecode(scope: Scope, text: str) -> Value:
    """Return the value of a YAML document."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Leaves plain text unresolved: what it means is decided here."""

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is yaml.ScalarNode:
                return "plain" if implicit[0] else f"{_TAG}str"
            return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

    scope.budget.produce(8 * len(text))
    if re.match(r"%YAML (?!1\.1\s)", text):
        raise FunctionError("the text is not YAML: found incompatible YAML document, version 1.1 is read", 0)
    loader = Loader(text)
    try:
        node = loader.get_single_node()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        detail = str(getattr(error, "problem", "") or error).split("\n")[0]
        raise FunctionError(f"the text is not YAML: {detail}", 0) from None
    finally:
        loader.dispose()
    if node is None:
        raise FunctionError("the text is not YAML: missing start of document", 0)
    return decoded(_Nodes(scope).data(node, 0))


class _Nodes:
    """Turns YAML nodes into plain data, at the expense of the budget: aliases can make a small text huge."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def data(self, node: Any, depth: int) -> Any:
        """Return the data of a node."""
        self.scope.budget.step(5)
        if depth > 100:
            raise FunctionError("the YAML is nested too deep", 0)
        if node.id == "scalar":
            return _scalar(node)
        if node.tag != _TAG + ("seq" if node.id == "sequence" else "map"):
            raise FunctionError(f'unsupported tag "{node.tag.removeprefix(_TAG)}"', 0)
        if node.id == "sequence":
            return [self.data(child, depth + 1) for child in node.value]
        return self.mapping(node, depth)

    def mapping(self, node: Any, depth: int) -> dict[str, Any]:
        """Return the data of a mapping; << takes another mapping in."""
        done: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.id != "scalar":
                raise FunctionError("only scalar mapping keys are supported", 0)
            if key.tag == "plain" and key.value == "<<":
                inner = self.data(value, depth + 1)
                if not isinstance(inner, dict):
                    raise FunctionError("only a mapping can be merged into a mapping", 0)
                merged.update(inner)
                continue
            name = _scalar(key)
            if is_null(name):
                raise FunctionError("a mapping key cannot be null", 0)
            done[str(convert(name, STRING))] = self.data(value, depth + 1)
        return {**merged, **done}


def _scalar(node: Any) -> Value:
    text: str = node.value
    if node.tag == f"{_TAG}null":
        return "" if text == "" and node.style is not None else None
    if node.tag in (f"{_TAG}str", f"{_TAG}binary"):
        return text
    if node.tag != "plain" and node.tag.removeprefix(_TAG) not in _SCALARS:
        raise FunctionError(f'unsupported tag "{node.tag.removeprefix(_TAG)}"', 0)
    if node.style is not None:
        return text
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    found = _number_or_time(text)
    if isinstance(found, str) and node.tag.removeprefix(_TAG) in _TYPED and not _DATE.fullmatch(text):
        raise FunctionError(f'cannot parse "{text[:60]}" as {node.tag}', 0)
    return found


def _number_or_time(text: str) -> Value:
    if text in (".nan", ".NaN", ".NAN"):
        raise FunctionError("floating point NaN is not supported", 0)
    if _FLOAT.fullmatch(text):
        return parse_number(text)
    based = _BASED.fullmatch(text)
    if based is not None:
        digits = based.group(2) or based.group(3)
        return Decimal(int(digits, 16 if based.group(2) else 8) * (-1 if based.group(1) == "-" else 1))
    infinite = _INFINITE.fullmatch(text)
    if infinite is not None:
        return Decimal(infinite.group(1) + "Infinity")
    moment = _DATE.fullmatch(text)
    if moment is not None:
        return f"{moment.group(1)}T{moment.group(2) or '00:00:00'}{moment.group(3) or 'Z'}"
    return text
