"""Keeps a regular expression from running for hours.

Python's engine goes back and tries again, so (a+)+$ takes exponential time on a text it does not match; RE2, whose syntax the
language has, does not. Nothing can interrupt Python's engine from inside. So a search whose work could be large, by an estimate
that is always too high, runs in a process of its own that is ended after a few seconds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any, TypeAlias

from mlplan.lang.functions.registry import FunctionError

Regions: TypeAlias = list[list[int]]
"""Start and end of a match as a whole and of each of its groups; -1 where a group took no part."""

_MAX_WORK = 20_000_000
_SECONDS = 4.0
_CHILD = """
import json, re, sys
asked = json.load(sys.stdin)
found = re.compile(asked["pattern"], asked["flags"]).finditer(asked["text"])
first = asked["first"]
json.dump([m.regs for i, m in enumerate(found) if not first or i == 0][: 1 if first else None], sys.stdout)
"""


def find(compiled: re.Pattern[str], text: str, first: bool = False) -> list[Regions]:
    """Return the regions of every match, or of the first alone. Raises FunctionError when it takes too long."""
    if _work(compiled.pattern, len(text) + 1) > _MAX_WORK:
        return _in_child(compiled, text, first)
    if first:
        found = compiled.search(text)
        return [] if found is None else [[list(region) for region in found.regs]]
    return [[list(region) for region in match.regs] for match in compiled.finditer(text)]


def _in_child(compiled: re.Pattern[str], text: str, first: bool) -> list[Regions]:
    asked = json.dumps({"pattern": compiled.pattern, "flags": compiled.flags, "text": text, "first": first})
    try:
        done = subprocess.run(  # noqa: S603  (a fixed program of our own; pattern and text go in as data)
            [sys.executable, "-I", "-S", "-c", _CHILD],
            input=asked,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError, OSError):
        detail = (
            f"the pattern takes too long on this text of {len(text)} characters: it has repetitions inside repetitions, "
            "or several in a row. Make it simpler, or anchor it"
        )
        raise FunctionError(detail, 0) from None
    regions: list[Regions] = json.loads(done.stdout)
    return regions


def _work(pattern: str, length: int) -> float:
    nesting, repeats = _repetition(pattern)
    return 2.0 ** min(length, 200) if nesting > 1 else float(length) ** min(repeats + 1, 20)


def _repetition(pattern: str) -> tuple[int, int]:
    """Return how deep unbounded repetitions nest, and how many there are."""
    from re import _parser as parser

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

    return depth(parser.parse(pattern)), total
