"""Looks through a value for unknown and secret parts, at the expense of the budget: shared parts can make a small value huge."""

from __future__ import annotations

from mlplan.lang.scope import Budget
from mlplan.lang.values import Secret, Unknown, Value, elements

_ATOMS = (str, bool)


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
        before = len(stack)
        stack.extend(elements(item))
        budget.step(1 + len(stack) - before)
    return unknown, tainted
