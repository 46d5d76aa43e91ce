"""The one scan: collects the aggregates of all checks, runs them as one query over the typed view, and hands each check
its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlplan.data.engine import Engine, QueryFailed
from mlplan.data.findings import Finder
from mlplan.ledger.evidence import Evidence

if TYPE_CHECKING:
    from sqlglot import Expr

_MOST_AT_ONCE = 1_000
"""Aggregates of one query; a contract of thousands of columns takes several."""

Numbers = Mapping[str, Any]
"""Alias -> value."""


@dataclass(frozen=True)
class Planned:
    """A check that waits for its numbers."""

    subject: str
    question: str
    aliases: tuple[str, ...]
    judge: Callable[[Numbers], Evidence]
    severity: str = "block"


class Aggregation:
    """Aggregate expressions under short aliases; the same expression is computed once."""

    def __init__(self) -> None:
        self._by_text: dict[str, str] = {}
        self._expressions: dict[str, Expr] = {}

    def add(self, expression: Expr) -> str:
        """Return the alias of an aggregate."""
        key = expression.sql()
        if key not in self._by_text:
            alias = f"a{len(self._by_text)}"
            self._by_text[key] = alias
            self._expressions[alias] = expression
        return self._by_text[key]

    def count(self, condition: Expr | None) -> str:
        """Return the alias of the number of rows in which a condition holds, of all rows without one."""
        from sqlglot import exp

        everything = exp.Count(this=exp.Star())
        return self.add(everything if condition is None else exp.CountIf(this=condition))

    def run(self, engine: Engine, table: Expr, aliases: list[str] | None = None) -> dict[str, Any]:
        """Return the numbers. Raises QueryFailed."""
        from sqlglot import exp

        wanted = list(self._expressions) if aliases is None else aliases
        numbers: dict[str, Any] = {}
        for start in range(0, len(wanted), _MOST_AT_ONCE):
            chosen = wanted[start : start + _MOST_AT_ONCE]
            selections = [exp.alias_(self._expressions[alias].copy(), alias, quoted=True) for alias in chosen]
            (row,) = engine.rows(exp.select(*selections).from_(table.copy()))
            numbers.update(zip(chosen, row, strict=True))
        return numbers


def judge_all(
    engine: Engine, table: Expr, aggregation: Aggregation, planned: list[Planned], finder: Finder
) -> tuple[list[Evidence], dict[str, Any]]:
    """Return the evidence of every planned check, and all numbers.

    When a value of the data makes the one query fail (an overflow in somebody's rule), each check is asked alone, so
    that one bad rule hides nothing else. Raises QueryFailed when the data itself cannot be read.
    """
    try:
        numbers = aggregation.run(engine, table)
    except QueryFailed as failure:
        if failure.kind != "value":
            raise
        return _one_by_one(engine, table, aggregation, planned, finder)
    return [check.judge(numbers) for check in planned], numbers


def _one_by_one(
    engine: Engine, table: Expr, aggregation: Aggregation, planned: list[Planned], finder: Finder
) -> tuple[list[Evidence], dict[str, Any]]:
    evidence: list[Evidence] = []
    numbers = aggregation.run(engine, table, [aggregation.count(None)])
    for check in planned:
        try:
            found = aggregation.run(engine, table, list(check.aliases))
        except QueryFailed as failure:
            if failure.kind != "value":
                raise
            reason = f"It could not be computed over this data: {failure.message}."
            evidence.append(finder.error(check.subject, check.question, reason, check.severity))
            continue
        numbers.update(found)
        evidence.append(check.judge(found))
    return evidence, numbers
