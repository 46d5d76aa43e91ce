"""Numbers: reading, printing, arithmetic, with the answers of Terraform to the last digit.

A number is a `Decimal`. Terraform computes in binary with 512 bits and prints the shortest decimal that reads back as the same
binary number; that decimal is what is kept here. So whole numbers and halves are exact, 1/3*3 is 1, 0.1+0.2 is 0.3, and where
512 bits round (1.1*3), the answer is rounded the same way. A few functions make numbers of fewer bits: see `Coarse`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from fractions import Fraction

_TRAPS = [InvalidOperation, DivisionByZero, Overflow]
_MAX_EXPONENT = 19_999
EXACT = Context(prec=155, Emax=_MAX_EXPONENT, Emin=-_MAX_EXPONENT, traps=_TRAPS)
_BITS = 512
_EXACT_DIGITS = 150
_LARGEST_EXACT = Decimal(2**512)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_INFINITY = re.compile(r"([+-]?)[iI]nf")
_MAX_TEXT = 20_000
_Operation = tuple[Callable[[Decimal, Decimal], Decimal], Callable[[Fraction, Fraction], Fraction]]
_OPERATIONS: dict[str, _Operation] = {
    "+": (EXACT.add, lambda a, b: a + b),
    "-": (EXACT.subtract, lambda a, b: a - b),
    "*": (EXACT.multiply, lambda a, b: a * b),
    "/": (EXACT.divide, lambda a, b: a / b),
}


class Coarse(Decimal):
    """A number that Terraform keeps with `bits` instead of 512: 64 for counts, 53 for the results of pow and log.

    Its value is the exact binary one. It matters where two such numbers meet, and when one is printed.
    """

    __slots__ = ("bits",)
    bits: int

    def __new__(cls, value: Decimal | int | float, bits: int = 64) -> Coarse:
        made = super().__new__(cls, value)
        made.bits = bits
        return made


def of_float(value: float) -> Decimal:
    """Return what pow and log computed in double precision."""
    return Coarse(value, 53)


def parse_number(text: str) -> Decimal | None:
    """Return the number that `text` writes in decimal, or None."""
    if len(text) > _MAX_TEXT:
        return None
    if not _NUMBER.fullmatch(text):
        infinite = _INFINITY.fullmatch(text)
        return None if infinite is None else Decimal(infinite.group(1) + "Infinity")
    try:
        return _rounded_decimal(Decimal(text))
    except (InvalidOperation, Overflow):
        return None


def _rounded_decimal(value: Decimal) -> Decimal:
    """Return the shortest decimal for the binary number nearest to `value`."""
    digits = value.as_tuple().digits
    if value and not -_MAX_EXPONENT < value.adjusted() < _MAX_EXPONENT:
        raise Overflow
    if len(digits) <= _EXACT_DIGITS:
        return value
    found = _shortest(_binary(Fraction(value)))
    return found.copy_sign(value)


def format_number(value: Decimal) -> str:
    """Return the number in plain decimal, without exponent and trailing zeros."""
    if not value.is_finite():
        return "-Inf" if value < 0 else "+Inf"
    if value == 0:
        return "-0" if value.is_signed() else "0"
    text = format(shortest(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def expanded(value: Decimal) -> Decimal:
    """Return all digits of the binary number that the number stands for: 0.35 is a little less than 0.35."""
    if isinstance(value, Coarse) or not value.is_finite() or value == value.to_integral_value():
        return value
    binary = _binary(Fraction(value))
    return Context(prec=2000).divide(Decimal(binary.numerator), Decimal(binary.denominator))


def shortest(value: Decimal) -> Decimal:
    """Return the number with as few digits as tell it from its neighbours."""
    if isinstance(value, Coarse) and (value.bits < 64 or value != value.to_integral_value()):
        return _shortest(Fraction(value), value.bits)
    return value


def whole(value: Decimal) -> int | None:
    """Return the number as int when it has no fraction and an end."""
    return int(value) if value.is_finite() and value == value.to_integral_value() else None


NOT_COUNTABLE = f"value must be a whole number, between {-(2**63)} and {2**63 - 1}"


def countable(value: Decimal) -> int | None:
    """Return the number as int when it is whole and has at most 64 bits, as counts and positions must."""
    found = whole(value) if value.is_finite() and value.adjusted() < 20 else None
    return found if found is not None and -(2**63) <= found < 2**63 else None


def negate(value: Decimal) -> Decimal:
    """Return the number with the other sign; 0 becomes -0."""
    return Coarse(value.copy_negate(), value.bits) if isinstance(value, Coarse) else value.copy_negate()


def calculate(operator: str, left: Decimal, right: Decimal) -> Decimal:
    """Return left + - * / right. Raises ArithmeticError when the result is no number or too large."""
    decimal_operation, exact_operation = _OPERATIONS[operator]
    if operator == "/" and right == 0 and left != 0 and left.is_finite():
        return Decimal("-Infinity" if left.is_signed() is not right.is_signed() else "Infinity")
    if isinstance(left, Coarse) and isinstance(right, Coarse):
        return _coarse(operator, left, right)
    EXACT.clear_flags()
    result = decimal_operation(left, right)
    if not result.is_finite() or not result:
        return result
    exact = not EXACT.flags[Inexact] and len(result.as_tuple().digits) <= _EXACT_DIGITS
    if exact and _is_whole(left) and _is_whole(right):
        return result
    value = _binary(exact_operation(_binary(Fraction(left)), _binary(Fraction(right))))
    if exact and _binary(Fraction(result)) == value:
        return result
    return _shortest(value) if value else Decimal(0)


def _is_whole(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= 0 and abs(value) < _LARGEST_EXACT


def _coarse(operator: str, left: Coarse, right: Coarse) -> Decimal:
    bits = max(left.bits, right.bits)
    decimal_operation, exact_operation = _OPERATIONS[operator]
    if not left.is_finite() or not right.is_finite() or (operator == "/" and right == 0):
        return decimal_operation(left, right)
    exact = exact_operation(Fraction(left), Fraction(right))
    if not exact:
        return Coarse(decimal_operation(left, right), bits)
    if operator == "*" and exact.denominator == 1:
        bits = max(bits, min(abs(exact.numerator).bit_length(), _BITS))
    value = _binary(exact, bits)
    return Coarse(Context(prec=2000).divide(Decimal(value.numerator), Decimal(value.denominator)), bits)


def _binary(value: Fraction, bits: int = _BITS) -> Fraction:
    """Return the nearest number with a mantissa of so many bits."""
    if value == 0:
        return value
    sign = -1 if value < 0 else 1
    numerator, denominator = abs(value.numerator), value.denominator
    shift = numerator.bit_length() - denominator.bit_length() - bits
    mantissa = _rounded(numerator, denominator, shift)
    if mantissa.bit_length() > bits:
        shift += 1
        mantissa = _rounded(numerator, denominator, shift)
    mantissa *= sign
    return Fraction(mantissa << shift) if shift >= 0 else Fraction(mantissa, 1 << -shift)


def _rounded(numerator: int, denominator: int, shift: int) -> int:
    if shift >= 0:
        denominator <<= shift
    else:
        numerator <<= -shift
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + (twice > denominator or (twice == denominator and quotient & 1))


def _shortest(value: Fraction, bits: int = _BITS) -> Decimal:
    """Return the decimal with the fewest digits that reads back as `value`."""
    low, high = 1, int(bits * 0.30103) + 4
    found = _in_digits(value, high)
    while low < high:  # once enough digits read back, more of them do too
        middle = (low + high) // 2
        candidate = _in_digits(value, middle)
        if _binary(Fraction(candidate), bits) == value:
            found, high = candidate, middle
        else:
            low = middle + 1
    return found


def _in_digits(value: Fraction, digits: int) -> Decimal:
    context = Context(prec=digits, rounding=ROUND_HALF_EVEN, Emax=_MAX_EXPONENT, Emin=-_MAX_EXPONENT, traps=_TRAPS)
    return context.divide(Decimal(value.numerator), Decimal(value.denominator))
