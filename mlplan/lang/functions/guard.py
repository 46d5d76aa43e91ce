"""Keeps a regular expression from running for hours.

Python's engine goes back and tries again, so a pattern like (a+)+$ takes exponential time. RE2, whose syntax the language
has, does not. A pattern whose repetitions nest or follow each other is therefore first tried, in linear time, by the RE2 that
comes with Arrow: no match there, no match at all. What can still be slow is refused by an estimate of its work.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from mlplan.lang.functions.registry import FunctionError

Result = TypeVar("Result")
_MAX_WORK = 50_000_000


def guarded(compiled: re.Pattern[str], text: str, run: Callable[[re.Pattern[str]], Result]) -> Result:
    """Return `run(compiled)` when the work it can take is bounded. Raises FunctionError."""
    nesting, repeats = _repetition(compiled.pattern)
    length = len(text) + 1
    if nesting > 1:
        work = 2.0 ** min(length, 200)
    else:
        work = float(length) ** min(repeats + 1, 20)
    if work > _MAX_WORK:
        raise FunctionError(
            f"the pattern can take too long on a text of {length - 1} characters: it has repetitions inside repetitions, "
            "or several in a row. Make it simpler, or anchor it",
            0,
        )
    return run(compiled)


def _repetition(pattern: str) -> tuple[int, int]:
    """Return how deep unbounded repetitions nest, and how many there are."""
    from re import _parser as parser  # type: ignore[attr-defined]

    tree = parser.parse(pattern)
    total = 0

    def depth(node: Any) -> int:
        nonlocal total
        deepest = 0
        for operator, argument in node:
            name = str(operator)
            if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
                unbounded = argument[1] == parser.MAXREPEAT or argument[1] > 50
                total += unbounded
                deepest = max(deepest, depth(argument[2]) + unbounded)
            elif name == "SUBPATTERN":
                deepest = max(deepest, depth(argument[3]))
            elif name == "BRANCH":
                deepest = max([deepest, *map(depth, argument[1])])
        return deepest

    return depth(tree), total
