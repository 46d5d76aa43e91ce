"""Exact decimal numbers: reading, printing, arithmetic.

Results with up to 150 digits are exact. What needs more (1/3) is computed as Terraform computes it, in binary with 512 bits,
and kept as the shortest decimal that reads back as the same binary number; so 1/3*3 is 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from fractions import Fraction

_TRAPS = [InvalidOperation, DivisionByZero, Overflow]
EXACT = Context(prec=155, Emax=9999, Emin=-9999, traps=_TRAPS)
_BITS = 512
_EXACT_DIGITS = 150
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_MAX_TEXT = 2000
_OPERATIONS: dict[str, tuple[Callable[[Decimal, Decimal], Decimal], Callable[[Fraction, Fraction], Fraction]]] = {
    "+": (EXACT.add, lambda a, b: a + b),
    "-": (EXACT.subtract, lambda a, b: a - b),
    "*": (EXACT.multiply, lambda a, b: a * b),
    "/": (EXACT.divide, lambda a, b: a / b),
}


def parse_number(text: str) -> Decimal | None:
    """Return the number that `text` writes in decimal, or None."""
    if len(text) > _MAX_TEXT or not _NUMBER.fullmatch(text):
        return None
    try:
        return EXACT.create_decimal(text)
    except (InvalidOperation, Overflow):
        return None


def format_number(value: Decimal) -> str:
    """Return the number in plain decimal, without exponent and trailing zeros."""
    if value == 0:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def whole(value: Decimal) -> int | None:
    """Return the number as int when it has no fraction."""
    return int(value) if value == value.to_integral_value() else None


def calculate(operator: str, left: Decimal, right: Decimal) -> Decimal:
    """Return left + - * / right. Raises ArithmeticError when the result is no number or too large."""
    decimal_operation, exact_operation = _OPERATIONS[operator]
    result = decimal_operation(left, right)
    if len(result.as_tuple().digits) <= _EXACT_DIGITS:
        return result
    return _shortest(_binary(exact_operation(_binary(Fraction(left)), _binary(Fraction(right)))))


def _binary(value: Fraction) -> Fraction:
    """Return the nearest number with a mantissa of 512 bits."""
    if value == 0:
        return value
    sign = -1 if value < 0 else 1
    numerator, denominator = abs(value.numerator), value.denominator
    shift = numerator.bit_length() - denominator.bit_length() - _BITS
    mantissa = _rounded(numerator, denominator, shift)
    if mantissa.bit_length() > _BITS:
        shift += 1
        mantissa = _rounded(numerator, denominator, shift)
    return sign * Fraction(mantissa) * Fraction(2) ** shift


def _rounded(numerator: int, denominator: int, shift: int) -> int:
    if shift >= 0:
        denominator <<= shift
    else:
        numerator <<= -shift
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + (twice > denominator or (twice == denominator and quotient & 1))


def _shortest(value: Fraction) -> Decimal:
    """Return the decimal with the fewest digits that reads back as `value`."""
    for digits in range(_EXACT_DIGITS, 158):
        context = Context(prec=digits, rounding=ROUND_HALF_EVEN, Emax=9999, Emin=-9999, traps=_TRAPS)
        found = context.divide(Decimal(value.numerator), Decimal(value.denominator))
        if _binary(Fraction(found)) == value:
            return found
    return found
