"""`type(value)`: the type of a value as text. Terraform has it in `console` only; so `console_functions` adds it there."""

from __future__ import annotations

from mlplan.lang.functions.registry import Family, Parameter
from mlplan.lang.show import Verbatim
from mlplan.lang.types import ANY, STRING, ListType, MapType, ObjectType, Primitive, SetType, TupleType, Type
from mlplan.lang.values import Value, type_of

_family = Family()
FUNCTIONS = _family.functions


@_family.add(Parameter("value", ANY, null=True, marked=True), result=STRING)
def type_(value: Value) -> Value:
    """Return the type of a value, indented, as `terraform console` prints it."""
    if isinstance(value, Verbatim):
        return Verbatim("type")
    return Verbatim(_text(type_of(value), 0))


def _text(of: Type, indent: int) -> str:
    inside = " " * (indent + 4)
    match of:
        case Primitive(name):
            return "dynamic" if name == "any" else name
        case TupleType(parts):
            lines = [f"{inside}{_text(part, indent + 4)},\n" for part in parts]
            return "tuple([" + ("\n" + "".join(lines) + " " * indent if lines else "") + "])"
        case ObjectType(attributes=attributes):
            lines = [f"{inside}{name}: {_text(attributes[name], indent + 4)},\n" for name in sorted(attributes)]
            return "object({" + ("\n" + "".join(lines) + " " * indent if lines else "") + "})"
        case ListType(element) | SetType(element) | MapType(element):
            word = {"ListType": "list", "SetType": "set"}.get(type(of).__name__, "map")
            if _is_flat(element):
                return f"{word}({_text(element, indent)})"
            return f"{word}(\n{inside}{_text(element, indent + 4)},\n{' ' * indent})"


def _is_flat(of: Type) -> bool:
    match of:
        case Primitive():
            return True
        case ListType(element) | SetType(element) | MapType(element):
            return _is_flat(element)
    return False
