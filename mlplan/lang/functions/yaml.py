"""yamlencode and yamldecode, in the style of Terraform: everything quoted, plain data only."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from mlplan.lang.convert import convert
from mlplan.lang.functions.encoding import decoded, to_json
from mlplan.lang.functions.registry import Family, FunctionError, Parameter
from mlplan.lang.numbers import EXACT, format_number
from mlplan.lang.scope import Scope
from mlplan.lang.types import ANY, STRING
from mlplan.lang.values import Entity, ListValue, MapValue, SetValue, Value, is_null

_family = Family()
FUNCTIONS = _family.functions
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?")
_BASED = re.compile(r"[-+]?0(?:x[0-9a-fA-F_]+|o?[0-7_]+|b[01_]+)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_NULLS = ("", "~", "null", "Null", "NULL")
_TRUE = ("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y")
_FALSE = ("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N")
_BOOLS = frozenset(_TRUE + _FALSE)


@_family.add(Parameter("value", ANY, null=True), result=STRING)
def yamlencode(value: Value) -> Value:
    """Return the value as YAML."""
    plain = is_null(value) or isinstance(value, (bool, Decimal))
    return "\n".join(_lines(value)) + ("\n...\n" if plain else "\n")  # plain text at the top needs an end mark


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


def _lines(value: Value) -> list[str]:
    if isinstance(value, Entity):
        value = value.identity
    items, pairs = _children(value)
    if items:
        return [line for item in items for line in _item(item)]
    if pairs:
        return [line for key in sorted(pairs) for line in _pair(key, pairs[key])]
    return _scalar(value, items, pairs)


def _scalar(value: Value, items: Any, pairs: Any) -> list[str]:
    if items is not None:
        return ["[]"]
    if pairs is not None:
        return ["{}"]
    if isinstance(value, Decimal):
        return [format_number(value)]
    if isinstance(value, str) and "\n" in value and value.strip("\n"):
        return _block(value)
    return [to_json(value)]


def _block(text: str) -> list[str]:
    chomp = "-" if not text.endswith("\n") else "+" if text.endswith("\n\n") else ""
    hint = "2" if text[0] in " \n" else ""
    lines = text.split("\n")
    lines = lines[:-1] if text.endswith("\n") else lines
    return [f"|{hint}{chomp}", *("  " + line if line else "" for line in lines)]


def _item(item: Value) -> list[str]:
    first, *rest = _lines(item)
    return [f"- {first}", *(_indented(line, first) for line in rest)]


def _indented(line: str, first: str) -> str:
    return "  " + line if line and not first.startswith("|") else line


def _pair(key: str, value: Value) -> list[str]:
    items, pairs = _children(value)
    lines = _lines(value)
    if items:
        return [f"{to_json(key)}:", *lines]
    if pairs:
        return [f"{to_json(key)}:", *("  " + line if line else line for line in lines)]
    return [f"{to_json(key)}: {lines[0]}", *lines[1:]]


@_family.add(("src", STRING), scoped=True)
def yamldecode(scope: Scope, text: str) -> Value:
    """Return the value of a YAML document."""
    import yaml

    scope.budget.produce(8 * len(text))
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        detail = str(getattr(error, "problem", "") or error).split("\n")[0]
        raise FunctionError(f"the text is not YAML: {detail}", 0) from None
    finally:
        loader.dispose()
    return decoded(_Nodes(scope).data(node, 0)) if node is not None else None


class _Nodes:
    """Turns YAML nodes into plain data, at the expense of the budget: aliases can make a small text huge."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def data(self, node: Any, depth: int) -> Any:
        self.scope.budget.step()
        if depth > 100:
            raise FunctionError("the YAML is nested too deep", 0)
        if node.id == "sequence":
            return [self.data(child, depth + 1) for child in node.value]
        if node.id == "mapping":
            return self.mapping(node, depth)
        return self.scalar(node)

    def mapping(self, node: Any, depth: int) -> dict[str, Any]:
        done: dict[str, Any] = {}
        for key, value in node.value:
            if key.id != "scalar":
                raise FunctionError("only scalar mapping keys are supported", 0)
            if key.tag.endswith(":merge"):
                done = {**self.data(value, depth + 1), **done}
            else:
                done[str(convert(self.scalar(key), STRING))] = self.data(value, depth + 1)
        return done

    def scalar(self, node: Any) -> Value:
        text: str = node.value
        if node.style is not None or (node.tag.endswith((":str", ":binary")) and text not in _BOOLS):
            return text
        if text in _NULLS:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if _INTEGER.fullmatch(text):
            return Decimal(text.replace("_", ""))
        if _BASED.fullmatch(text):
            digits = text.replace("_", "").lower()
            plain = digits.lstrip("+-")
            base = {"x": 16, "b": 2}.get(plain[1:2], 8)
            return Decimal(int(plain.lstrip("0xob") or "0", base) * (-1 if digits.startswith("-") else 1))
        if _FLOAT.fullmatch(text):
            return EXACT.create_decimal(text)
        if _DATE.fullmatch(text):
            return f"{text}T00:00:00Z"
        return text
