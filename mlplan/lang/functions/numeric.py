"""Numeric functions: abs, ceil, floor, log, max, min, parseint, pow, signum, sum."""

from __future__ import annotations

import math
import sys
from decimal import Decimal, InvalidOperation

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.functions import double
from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.numbers import NOT_COUNTABLE, Coarse, calculate, countable, negate, of_float, whole
from mlplan.lang.types import ANY, NUMBER, friendly
from mlplan.lang.values import ListValue, SetValue, Value, is_null, type_of

_family = Family()
FUNCTIONS = _family.functions
_LARGEST = Decimal(sys.float_info.max)


@_family.add(("num", NUMBER), result=NUMBER)
def abs_(num: Decimal) -> Value:
    """Return the number without its sign."""
    return num if not num.is_signed() else negate(num)


def _plain(num: Decimal) -> Decimal:
    return Decimal(num) if num else Decimal(0)


@_family.add(("num", NUMBER), result=NUMBER)
def ceil(num: Decimal) -> Value:
    """Return the next whole number that is not smaller."""
    return _plain(num.to_integral_value("ROUND_CEILING"))


@_family.add(("num", NUMBER), result=NUMBER)
def floor(num: Decimal) -> Value:
    """Return the next whole number that is not larger."""
    return _plain(num.to_integral_value("ROUND_FLOOR"))


@_family.add(("num", NUMBER), ("base", NUMBER), result=NUMBER)
def log(num: Decimal, base: Decimal) -> Value:
    """Return the logarithm of `num` to `base`, in double precision."""
    above, below = _natural_log(num, 0), _natural_log(base, 1)
    if below == 0 or (math.isinf(above) and math.isinf(below)):
        if above == 0 or math.isinf(above):
            raise FunctionError("the logarithm is no number")
        return of_float(math.copysign(math.inf, above))
    return of_float(above / below)


def _natural_log(num: Decimal, argument: int) -> float:
    if num < 0:
        raise FunctionError("the logarithm of a negative number does not exist", argument)
    return double.log(_double(num, argument))


def _double(num: Decimal, argument: int) -> float:
    """Return a number as double. Raises FunctionError when it is larger than every double."""
    found = float(num)
    if math.isinf(found) and num.is_finite():
        raise FunctionError(f"value must be between {-_LARGEST:f} and {_LARGEST:f} inclusive", at=argument)
    return found


@_family.add(("num", NUMBER), ("power", NUMBER), result=NUMBER)
def pow_(num: Decimal, power: Decimal) -> Value:
    """Return `num` to the power of `power`, in double precision."""
    base, exponent = _double(num, 0), _double(power, 1)
    try:
        return of_float(double.power(base, exponent))
    except ValueError:
        if num == 0:
            return of_float(math.inf)
        raise FunctionError("the result is no number") from None


@_family.add(("num", NUMBER), result=NUMBER)
def signum(num: Decimal) -> Value:
    """Return -1, 0 or 1."""
    if countable(num) is None:
        raise FunctionError(NOT_COUNTABLE, at=0)
    return Coarse((num > 0) - (num < 0))


@_family.add(rest=("numbers", NUMBER), result=NUMBER)
def max_(*numbers: Decimal) -> Value:
    """Return the largest number."""
    if not numbers:
        raise FunctionError("must pass at least one number")
    found = numbers[0]
    for number in numbers[1:]:
        found = number if number > found else found
    return found


@_family.add(rest=("numbers", NUMBER), result=NUMBER)
def min_(*numbers: Decimal) -> Value:
    """Return the smallest number."""
    if not numbers:
        raise FunctionError("must pass at least one number")
    found = numbers[0]
    for number in numbers[1:]:
        found = number if number < found else found
    return found


@_family.add(("number", ANY), ("base", NUMBER), result=NUMBER)
def parseint(number: Value, base: Decimal) -> Value:
    """Return the whole number that text writes in a base from 2 to 62."""
    if not isinstance(number, str):
        raise FunctionError(f"first argument must be a string, not {friendly(type_of(number))}", 0)
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
        raise FunctionError("cannot sum an empty list", 0)
    total: Decimal | None = None
    for item in items:
        if is_null(item):
            raise FunctionError("argument must be list, set, or tuple of number values", 0)
        try:
            number = convert(item, NUMBER)
        except ConversionError:
            raise FunctionError("argument must be list, set, or tuple of number values", 0) from None
        assert isinstance(number, Decimal)
        try:
            total = calculate("+", total, number) if total is not None else number
        except InvalidOperation:
            raise FunctionError("cannot compute sum of opposing infinities") from None
    assert total is not None
    return total
