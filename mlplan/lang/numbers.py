"""Exact decimal numbers: reading, printing, arithmetic. As exact as Terraform's (512 bits are 154 digits)."""

from __future__ import annotations

import re
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow

EXACT = Context(prec=155, Emax=9999, Emin=-9999, traps=[InvalidOperation, DivisionByZero, Overflow])
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_MAX_TEXT = 2000


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
