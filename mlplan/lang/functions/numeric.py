"""Numeric functions: abs, ceil, floor, log, max, min, parseint, pow, signum, sum."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation, Overflow

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.numbers import EXACT, calculate, whole
from mlplan.lang.types import ANY, NUMBER, STRING
from mlplan.lang.values import ListValue, SetValue, Value

_family = Family()
FUNCTIONS = _family.functions
_MAX_POWER = 10_000


@_family.add(("num", NUMBER), result=NUMBER)
def abs_(num: Decimal) -> Value:
    """Return the number without its sign."""
    return EXACT.abs(num)


@_family.add(("num", NUMBER), result=NUMBER)
def ceil(num: Decimal) -> Value:
    """Return the next whole number that is not smaller."""
    return num.to_integral_value("ROUND_CEILING")


@_family.add(("num", NUMBER), result=NUMBER)
def floor(num: Decimal) -> Value:
    """Return the next whole number that is not larger."""
    return num.to_integral_value("ROUND_FLOOR")


@_family.add(("num", NUMBER), ("base", NUMBER), result=NUMBER)
def log(num: Decimal, base: Decimal) -> Value:
    """Return the logarithm of `num` to `base`, in double precision."""
    if num < 0:
        raise FunctionError("the logarithm of a negative number does not exist", 0)
    if base <= 0 or base == 1:
        raise FunctionError("the base must be positive and not 1", 1)
    if num == 0:
        raise FunctionError("the logarithm of zero does not exist", 0)
    return Decimal(repr(math.log(float(num)) / math.log(float(base))))


@_family.add(("num", NUMBER), ("power", NUMBER), result=NUMBER)
def pow_(num: Decimal, power: Decimal) -> Value:
    """Return `num` to the power of `power`."""
    if abs(power) > _MAX_POWER:
        raise FunctionError(f"must be between -{_MAX_POWER} and {_MAX_POWER}", 1)
    exponent = whole(power)
    try:
        if exponent is not None and exponent >= 0:
            return EXACT.power(num, exponent) if num != 0 or exponent else Decimal(1)
        return Decimal(repr(math.pow(float(num), float(power))))
    except (Overflow, InvalidOperation, OverflowError, ValueError, ZeroDivisionError):
        raise FunctionError("the result is no number, or larger than numbers can be here") from None


@_family.add(("num", NUMBER), result=NUMBER)
def signum(num: Decimal) -> Value:
    """Return -1, 0 or 1."""
    if whole(num) is None:
        raise FunctionError("value must be a whole number")
    return Decimal((num > 0) - (num < 0))


@_family.add(rest=("numbers", NUMBER), result=NUMBER)
def max_(*numbers: Decimal) -> Value:
    """Return the largest number."""
    if not numbers:
        raise FunctionError("must pass at least one number")
    return max(numbers)


@_family.add(rest=("numbers", NUMBER), result=NUMBER)
def min_(*numbers: Decimal) -> Value:
    """Return the smallest number."""
    if not numbers:
        raise FunctionError("must pass at least one number")
    return min(numbers)


@_family.add(("number", STRING), ("base", NUMBER), result=NUMBER)
def parseint(number: str, base: Decimal) -> Value:
    """Return the whole number that text writes in a base from 2 to 62."""
    radix = whole(base)
    if radix is None or not 2 <= radix <= 62:
        raise FunctionError("base must be a whole number between 2 and 62 inclusive", 1)
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    digits = digits if radix <= 36 else digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    text = number.lower() if radix <= 36 else number
    negative = text.startswith("-")
    text = text[1:] if text[:1] in ("-", "+") else text
    if not text or len(text) > 1000 or any(char not in digits[:radix] for char in text):
        raise FunctionError(f'cannot parse "{number[:60]}" as a base {radix} integer', 0)
    result = 0
    for char in text:
        result = result * radix + digits.index(char)
    return Decimal(-result if negative else result)


@_family.add(("list", ANY), result=NUMBER)
def sum_(values: Value) -> Value:
    """Return the sum of the numbers of a list, set or tuple."""
    if not isinstance(values, (tuple, ListValue, SetValue)):
        raise FunctionError("argument must be list, set, or tuple. Received something else", 0)
    items = values if isinstance(values, tuple) else values.items
    if not items:
        raise FunctionError("cannot sum an empty list")
    total = Decimal(0)
    for item in items:
        if item is None:
            raise FunctionError("argument must be list, set, or tuple of number values", 0)
        try:
            number = convert(item, NUMBER)
        except ConversionError:
            raise FunctionError("argument must be list, set, or tuple of number values", 0) from None
        assert isinstance(number, Decimal)
        total = calculate("+", total, number)
    return total
