"""The one scan: collects the aggregates of all checks, runs them as one query over the typed view, and hands each check
its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlplan.data.engines import DataEngine
from mlplan.data.failure import QueryFailed
from mlplan.data.findings import Finder
from mlplan.data.view import View
from mlplan.ledger.evidence import Evidence

if TYPE_CHECKING:
    from sqlglot import Expr

_MOST_AT_ONCE = 600
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
        self._aliases: dict[Expr, str] = {}
        self._columns: dict[str, frozenset[str]] = {}
        self._expressions: dict[str, Expr] = {}
        self._counts: set[str] = set()

    def add(self, expression: Expr) -> str:
        """Return the alias of an aggregate."""
        from sqlglot import exp

        if expression not in self._aliases:
            alias = f"a{len(self._aliases)}"
            self._aliases[expression] = alias
            self._expressions[alias] = expression
            self._columns[alias] = frozenset(column.name for column in expression.find_all(exp.Column))
        return self._aliases[expression]

    def count(self, condition: Expr | None) -> str:
        """Return the alias of the number of rows in which a condition holds, of all rows without one."""
        from sqlglot import exp

        everything = exp.Count(this=exp.Star())
        alias = self.add(everything if condition is None else exp.CountIf(this=condition))
        self._counts.add(alias)
        return alias

    def run(self, engine: DataEngine, view: View, aliases: list[str] | None = None) -> dict[str, Any]:
        """Return the numbers. Raises QueryFailed.

        A contract of very many columns takes several queries, each over the columns that it needs: engines take more
        than twice the time to plan twice as many.
        """
        from sqlglot import exp

        wanted = list(self._expressions) if aliases is None else aliases
        numbers: dict[str, Any] = {}
        for start in range(0, len(wanted), _MOST_AT_ONCE):
            chosen = wanted[start : start + _MOST_AT_ONCE]
            selections = [_named(self._expressions[alias].copy(), alias) for alias in chosen]
            needed = frozenset().union(*(self._columns[alias] for alias in chosen))
            (row,) = engine.rows(exp.select(*selections).from_(view.table_of(needed)))
            numbers.update(zip(chosen, row, strict=True))
        for alias in self._counts & set(numbers):  # over no row at all, engines say that a conditional count is null
            numbers[alias] = numbers[alias] or 0
        return numbers


def _named(expression: Expr, alias: str) -> Expr:
    from sqlglot import exp

    return exp.Alias(this=expression, alias=exp.Identifier(this=alias, quoted=True))


def judge_all(
    engine: DataEngine, view: View, aggregation: Aggregation, planned: list[Planned], finder: Finder
) -> tuple[list[Evidence], dict[str, Any]]:
    """Return the evidence of every planned check, and all numbers.

    When a value of the data makes the one query fail (an overflow in somebody's rule), each check is asked alone, so
    that one bad rule hides nothing else. Raises QueryFailed when the data itself cannot be read.
    """
    try:
        numbers = aggregation.run(engine, view)
    except QueryFailed as failure:
        if failure.kind != "value":
            raise
        return _one_by_one(engine, view, aggregation, planned, finder)
    return [check.judge(numbers) for check in planned], numbers


def _one_by_one(
    engine: DataEngine, view: View, aggregation: Aggregation, planned: list[Planned], finder: Finder
) -> tuple[list[Evidence], dict[str, Any]]:
    evidence: list[Evidence] = []
    numbers = aggregation.run(engine, view, [aggregation.count(None)])
    for check in planned:
        try:
            found = aggregation.run(engine, view, list(check.aliases))
        except QueryFailed as failure:
            if failure.kind != "value":
                raise
            reason = f"It could not be computed over this data: {failure.message}."
            evidence.append(finder.error(check.subject, check.question, reason, check.severity))
            continue
        numbers.update(found)
        evidence.append(check.judge(found))
    return evidence, numbers
