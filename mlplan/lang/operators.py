"""Operators on known, untainted values: arithmetic, comparison, equality, logic. The evaluator strips and restores the rest."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import partial

from mlplan.lang.convert import ConversionError, convert, required
from mlplan.lang.numbers import calculate, negate
from mlplan.lang.types import ANY, BOOL, NUMBER, Type
from mlplan.lang.unify import convertible
from mlplan.lang.values import (
    Entity,
    ListValue,
    MapValue,
    Null,
    Secret,
    SetValue,
    Unknown,
    Value,
    is_null,
    key_of,
    type_of,
)

_SUMMARIES = {
    "invalid-operand": "Invalid operand",
    "operation-failed": "Operation failed",
    "number-too-large": "Number too large",
}


class OperandError(Exception):
    """An operand does not fit. side: "left", "right" or "" for the only one or for both. code: one of `_SUMMARIES`."""

    def __init__(self, message: str, side: str = "", code: str = "invalid-operand") -> None:
        super().__init__(message)
        self.side = side
        self.code = code
        self.summary = _SUMMARIES[code]


def _divide(left: Decimal, right: Decimal) -> Decimal:
    if (right == 0 and left == 0) or (right.is_infinite() and left.is_infinite()):
        raise OperandError("Zero cannot be divided by zero, nor infinity by infinity.", code="operation-failed")
    return calculate("/", left, right)


def _remainder(left: Decimal, right: Decimal) -> Decimal:
    if right == 0 or left.is_infinite():
        return left
    quotient = calculate("/", left, right).to_integral_value("ROUND_DOWN")
    return calculate("-", left, calculate("*", right, quotient)) if quotient else left


_ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": partial(calculate, "+"),
    "-": partial(calculate, "-"),
    "*": partial(calculate, "*"),
    "/": _divide,
    "%": _remainder,
}
_ORDER: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
OPERAND_TYPE: dict[str, Type] = {
    **dict.fromkeys(_ARITHMETIC, NUMBER),
    **dict.fromkeys(_ORDER, NUMBER),
    "&&": BOOL,
    "||": BOOL,
    "==": ANY,
    "!=": ANY,
}
RESULT_TYPE: dict[str, Type] = {operator: NUMBER if operator in _ARITHMETIC else BOOL for operator in OPERAND_TYPE}


def operand(value: Value, of: Type, side: str) -> Value:
    """Return the operand as the operator's type. Raises OperandError."""
    if is_null(value):
        words = f"The {side + ' ' if side else ''}operand is null: argument must not be null."
        raise OperandError(words, side, "operation-failed")
    try:
        return convert(value, of)
    except ConversionError as error:
        raise OperandError(f"Unsuitable value for {side + ' ' if side else 'unary '}operand: {error}.", side) from None


def _fits(value: Value, of: Type, side: str) -> None:
    """Refuse an operand for its type, which comes before any of them is refused for being null."""
    if not is_null(value):
        operand(value, of, side)
    elif isinstance(value, Null) and not convertible(value.type, of):
        raise OperandError(f"Unsuitable value for {side + ' ' if side else 'unary '}operand: {required(of)}.", side)


def unary(operator: str, value: Value) -> Value:
    """Return `-value` or `!value`. Raises OperandError."""
    _fits(value, BOOL if operator == "!" else NUMBER, "")
    if operator == "!":
        return not operand(value, BOOL, "")
    number = operand(value, NUMBER, "")
    assert isinstance(number, Decimal)
    return negate(number)


def binary(operator: str, left: Value, right: Value) -> Value:
    """Return the result for two known operands. Raises OperandError."""
    if operator in ("==", "!="):
        return equal(left, right) is (operator == "==")
    of = OPERAND_TYPE[operator]
    _fits(left, of, "left")
    _fits(right, of, "right")
    first, second = operand(left, of, "left"), operand(right, of, "right")
    if operator == "&&":
        return bool(first and second)
    if operator == "||":
        return bool(first or second)
    assert isinstance(first, Decimal)
    assert isinstance(second, Decimal)
    if operator in _ORDER:
        return _ORDER[operator](first, second)
    try:
        return _ARITHMETIC[operator](first, second)
    except InvalidOperation:
        raise OperandError(
            "Infinity cannot be taken from itself, nor multiplied by zero.", code="operation-failed"
        ) from None
    except (Overflow, DivisionByZero):
        raise OperandError("The result is larger than numbers can be here.", code="number-too-large") from None


def equal(left: Value, right: Value) -> bool:
    """Tell whether two known values have the same type and value; null equals null alone. Taint is left out."""
    if isinstance(left, Secret):
        left = left.value
    if isinstance(right, Secret):
        right = right.value
    if is_null(left) or is_null(right):
        return is_null(left) and is_null(right)
    if isinstance(left, Entity) and isinstance(right, Entity):
        return left.identity == right.identity
    left_items, right_items = _named(left), _named(right)
    if left_items is not None or right_items is not None:
        if left_items is None or right_items is None or isinstance(left, MapValue) is not isinstance(right, MapValue):
            return False
        if left_items.keys() != right_items.keys():
            return False
        return _same_element(left, right) and all(equal(v, right_items[k]) for k, v in left_items.items())
    if type(left) is not type(right):
        return isinstance(left, Decimal) and isinstance(right, Decimal) and left == right
    if isinstance(left, (ListValue, SetValue)) and isinstance(right, (ListValue, SetValue)):
        if isinstance(left, SetValue):
            return _same_element(left, right) and key_of(left) == key_of(right)
        return _same_element(left, right) and _all_equal(left.items, right.items)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return _all_equal(left, right)
    return not isinstance(left, Unknown) and left == right


def _named(value: Value) -> dict[str, Value] | None:
    match value:
        case dict():
            return value
        case MapValue(items):
            return dict(items)
        case Entity(_, attributes):
            return dict(attributes)
    return None


def _all_equal(left: tuple[Value, ...], right: tuple[Value, ...]) -> bool:
    return len(left) == len(right) and all(map(equal, left, right))


def _same_element(left: Value, right: Value) -> bool:
    one, other = type_of(left), type_of(right)
    if not isinstance(left, (ListValue, SetValue, MapValue)) or not isinstance(right, (ListValue, SetValue, MapValue)):
        return True
    return one == other or ANY in (left.element, right.element)
