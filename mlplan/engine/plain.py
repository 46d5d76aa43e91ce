"""Decoded arguments as plain JSON for records and digests. A secret becomes a mark, never a value."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from mlplan.lang.values import Secret, Unknown
from mlplan.spi.schema import Rate, Reference

_AS_IT_IS = frozenset({str, bool, int, float})


def plain(value: Any) -> Any:
    """Return `value` as JSON types: references as text, unknowns and secrets as marks."""
    if value is None or value.__class__ in _AS_IT_IS:
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, Reference):
        return str(value)
    if isinstance(value, Rate):
        return {"count": value.count, "per": value.per}
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Secret):
        return {"$secret": True}
    if isinstance(value, Unknown):
        return {"$unknown": value.origin}
    return value
