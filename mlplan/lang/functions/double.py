"""Logarithm, exponential and power in double precision, by the methods that Terraform's runtime uses.

The C library's answers are as good, and differ in the last digit now and then; a number in a plan must not.
"""

from __future__ import annotations

import math
from fractions import Fraction

_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_LOG_ODD = (6.666666666666735130e-01, 2.857142874366239149e-01, 1.818357216161805012e-01, 1.479819860511658591e-01)
_LOG_EVEN = (3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)
_LN2_UPPER = 0.69314718055966295651160180568695068359375
_LN2_LOWER = 0.28235290563031577122588448175013436025525412068e-12
_TAYLOR = (1 / 40320, 1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1.0)
_LARGEST_EXPONENT = 7.09782712893384e02


def log(x: float) -> float:
    """Return the natural logarithm of a number that is not negative.

    Source: FreeBSD's e_log.c: x is 2^k (1 + f), and log(1 + f) a polynomial in f / (2 + f).
    """
    if x == 0 or math.isinf(x):
        return -math.inf if x == 0 else x
    fraction, exponent = math.frexp(x)
    if fraction < math.sqrt(2) / 2:
        fraction, exponent = fraction * 2, exponent - 1
    f = fraction - 1
    s = f / (2 + f)
    s2 = s * s
    s4 = s2 * s2
    odd = s2 * (_LOG_ODD[0] + s4 * (_LOG_ODD[1] + s4 * (_LOG_ODD[2] + s4 * _LOG_ODD[3])))
    even = s4 * (_LOG_EVEN[0] + s4 * (_LOG_EVEN[1] + s4 * _LOG_EVEN[2]))
    half = 0.5 * f * f
    return exponent * _LN2_HIGH - ((half - (s * (half + (odd + even)) + exponent * _LN2_LOW)) - f)


def exp(x: float) -> float:
    """Return e to the power of x.

    Source: N. Shibata, Efficient evaluation methods of elementary functions suitable for SIMD computation, 2010: the argument is
    brought near 0, divided by 16, put into a Taylor series, and the result squared four times, all with fused steps.
    """
    if x > _LARGEST_EXPONENT:
        return math.inf
    exponent = round(x * (1 / math.log(2)))
    rest = _fused(-float(exponent), _LN2_UPPER, x)
    rest = _fused(-float(exponent), _LN2_LOWER, rest) * 0.0625
    series = _TAYLOR[0]
    for term in _TAYLOR[1:]:
        series = _fused(series, rest, term)
    less_one = series * rest
    for _ in range(3):
        less_one *= less_one + 2.0
    value = _fused(less_one, less_one + 2.0, 1.0)
    return math.ldexp(value, exponent) if exponent > -1023 else 0.0


def _fused(a: float, b: float, c: float) -> float:
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def power(x: float, y: float) -> float:
    """Return x to the power of y. Raises ValueError where there is no such number.

    Source: the fraction of y by exp and log, its whole part by repeated squaring of mantissa and exponent.
    """
    if y == 0 or x == 1:
        return 1.0
    if x == 0 or math.isinf(x) or math.isinf(y) or y == 1:
        return math.pow(x, y)
    if abs(y) == 0.5 and x > 0:
        return math.sqrt(x) if y > 0 else 1 / math.sqrt(x)
    fraction, count = math.modf(abs(y))
    if fraction and x < 0:
        raise ValueError
    if count >= 2.0**63:
        return 1.0 if x == -1 else 0.0 if (abs(x) < 1) == (y > 0) else math.inf
    result = 1.0
    if fraction:
        if fraction > 0.5:
            fraction, count = fraction - 1, count + 1
        result = exp(fraction * log(x))
    result, total = _times_power(result, x, int(count))
    if y < 0:
        result, total = 1 / result, -total
    return _scaled(result, total)


def _times_power(result: float, x: float, count: int) -> tuple[float, int]:
    """Return result * x^count as mantissa and exponent of 2."""
    total = 0
    square, exponent = math.frexp(x)
    while count:
        if not -4096 <= exponent <= 4096:
            total += exponent
            break
        if count & 1:
            result *= square
            total += exponent
        square *= square
        exponent *= 2
        if square < 0.5:
            square, exponent = square * 2, exponent - 1
        count >>= 1
    return result, total


def _scaled(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)
