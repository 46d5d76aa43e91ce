"""Looks through a value for unknown and secret parts, at the expense of the budget: shared parts can make a small value huge."""

from __future__ import annotations

from decimal import Decimal

from mlplan.lang.scope import Budget
from mlplan.lang.values import Secret, Unknown, Value, elements

_ATOMS = (str, bool, Decimal)


def survey(value: Value, budget: Budget) -> tuple[Unknown | None, bool]:
    """Return an unknown that the value is or holds (or None), and whether it is or holds a secret."""
    if value is None or isinstance(value, _ATOMS):
        return None, False
    unknown: Unknown | None = None
    tainted = False
    stack: list[Value] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Unknown):
            unknown = unknown or item
            continue
        if isinstance(item, Secret):
            tainted = True
        inside = elements(item)
        stack += [part for part in inside if part is not None and not isinstance(part, _ATOMS)]
        budget.step(1 + len(inside))
    return unknown, tainted
