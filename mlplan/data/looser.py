"""Whether one rule of a column allows more than another: types, ranges, lengths, sets. `changes` says what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from mlplan.data.types import LogicalType, parse_type

_WHOLE_DIGITS = 19
"""Digits before the point that a decimal needs to hold every whole number of eight bytes."""


class Looser(Enum):
    """How a rule changed. WIDER: all that was allowed still is, and more. NEITHER: some came, some went."""

    SAME = "same"
    WIDER = "wider"
    NARROWER = "narrower"
    NEITHER = "neither"


def _of(keeps_old: bool, within_old: bool) -> Looser:
    """keeps_old: all that was allowed still is. within_old: nothing is allowed that was not."""
    if keeps_old:
        return Looser.SAME if within_old else Looser.WIDER
    return Looser.NARROWER if within_old else Looser.NEITHER


def type_change(old: str, new: str) -> Looser:
    """Return how the values of two types compare. A moment with a zone is another thing than one without."""
    before, after = parse_type(old), parse_type(new)
    return _of(_holds(after, before), _holds(before, after))


def _holds(wide: LogicalType, narrow: LogicalType) -> bool:
    """Tell whether a value of `narrow` is one of `wide` too, with the same meaning."""
    if wide.name == narrow.name == "decimal":
        return wide.scale >= narrow.scale and wide.precision - wide.scale >= narrow.precision - narrow.scale
    if wide.name == narrow.name == "list":
        assert wide.of is not None
        assert narrow.of is not None
        return _holds(wide.of, narrow.of)
    if wide.name == narrow.name == "struct":
        inside = dict(wide.fields)
        return list(inside) == [f for f, _ in narrow.fields] and all(_holds(inside[f], t) for f, t in narrow.fields)
    if narrow.name == "int":
        return wide.name in ("int", "float") or (
            wide.name == "decimal" and wide.precision - wide.scale >= _WHOLE_DIGITS
        )
    if narrow.name == "decimal" or narrow.name == "float":
        return wide.name == "float"
    return wide.name == narrow.name


def range_change(old: Sequence[Any] | None, new: Sequence[Any] | None) -> Looser:
    """Return how two closed ranges compare. old, new: (low, high), None for open; None for no range."""
    before, after = _ends(old), _ends(new)
    if any(_kind(a) != _kind(b) for a, b in zip(before, after, strict=True) if None not in (a, b)):
        return Looser.NEITHER  # numbers against moments: the type changed as well
    low = [_at_most(after[0], before[0]), _at_most(before[0], after[0])]
    high = [_at_most(before[1], after[1], top=True), _at_most(after[1], before[1], top=True)]
    return _of(low[0] and high[0], low[1] and high[1])


length_change = range_change


def _ends(value: Sequence[Any] | None) -> tuple[Any, Any]:
    low, high = (None, None) if value is None else value
    return _sortable(low), _sortable(high)


def _sortable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _kind(value: Any) -> str:
    return "moment" if isinstance(value, datetime) else "number"


def _at_most(left: Any, right: Any, *, top: bool = False) -> bool:
    """Compare two ends of one side; an open lower end is below everything, an open upper one (`top`) above it."""
    if left is None or right is None:
        return (right if top else left) is None
    return bool(left <= right)


def set_change(old: Sequence[Any] | None, new: Sequence[Any] | None) -> Looser:
    """Return how two sets of allowed values compare; None allows every value."""
    if old is None or new is None:
        return _of(new is None, old is None)
    before, after = {_exact(value) for value in old}, {_exact(value) for value in new}
    return _of(before <= after, after <= before)


def _exact(value: Any) -> tuple[bool, Any]:
    """Tell true from 1."""
    return isinstance(value, bool), value
