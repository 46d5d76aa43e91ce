"""The metrics of quality rules: which aggregates each needs, and how its numbers become an estimate with an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from mlplan.data.aggregates import Aggregation, Numbers, Planned
from mlplan.data.checks import condition
from mlplan.data.contract import Contract, QualityRule
from mlplan.data.findings import Finder, Limits, Measured
from mlplan.data.metrics import Metric
from mlplan.data.relation import name
from mlplan.data.trees import both, cast, grouped, is_null, is_there, negated
from mlplan.data.verdicts import against, correlation_interval, mean_interval, wilson
from mlplan.data.view import FLAG, View
from mlplan.ledger.evidence import Evidence, Verdict

if TYPE_CHECKING:
    from sqlglot import Expr

Measure = Callable[[Numbers], Measured]


def plan_metric(
    contract: Contract,
    rule: QualityRule,
    view: View,
    aggregation: Aggregation,
    finder: Finder,
    previous_rows: Sequence[int],
) -> Planned:
    """Return the planned check of a quality rule with a metric; not for `distinct_count`, which takes a pass of its
    own.
    """
    metric = rule.metric
    assert metric is not None
    where = condition(contract, rule.where) if rule.where is not None else None
    limits = Limits(rule.at_least, rule.at_most)
    question = limits.words(str(metric)) + (f" where {rule.where}" if rule.where else "")
    subject = f"{contract.address}.quality.{rule.name}"
    builder = _Builder(metric, view, aggregation, where, limits, previous_rows)
    measure = builder.measure()

    def judge(numbers: Numbers) -> Evidence:
        return finder.metric(subject, question, measure(numbers), limits, rule.severity)

    return Planned(subject, question, tuple(builder.aliases), judge, rule.severity)


class _Builder:
    """Adds the aggregates of one metric and keeps their aliases."""

    def __init__(
        self,
        metric: Metric,
        view: View,
        aggregation: Aggregation,
        where: Expr | None,
        limits: Limits,
        previous_rows: Sequence[int],
    ) -> None:
        self.metric = metric
        self.view = view
        self.aggregation = aggregation
        self.where = where
        self.limits = limits
        self.previous_rows = previous_rows
        self.aliases: list[str] = []

    def measure(self) -> Measure:
        """Return the function from numbers to the measured metric."""
        simple = {
            "rows": self._rows,
            "rows_change": self._rows_change,
            "correlation": self._correlation,
            "mean": self._mean,
        }
        shares = {"null_fraction": self._null_fraction, "true_fraction": self._true_fraction}
        quantiles = {"quantile": self._quantile, "median": self._quantile}
        return (simple | shares | quantiles).get(self.metric.name, self._plain)()

    def _count(self, *conditions: Expr) -> str:

        parts = [*([grouped(self.where.copy())] if self.where is not None else []), *conditions]
        alias = self.aggregation.count(both(*parts) if parts else None)
        self.aliases.append(alias)
        return alias

    def _aggregate(self, expression: Expr) -> str:
        from sqlglot import exp

        if self.where is not None:
            expression = exp.Filter(this=expression, expression=exp.Where(this=self.where.copy()))
        alias = self.aggregation.add(expression)
        self.aliases.append(alias)
        return alias

    def _value(self, position: int = 0) -> Expr:
        return name(self.metric.columns[position])

    def _number(self, position: int = 0) -> Expr:

        return cast(self._value(position), "DOUBLE")

    def _present(self, position: int = 0) -> Expr:

        return is_there(self._value(position))

    def _rows(self) -> Measure:
        rows = self._count()
        return lambda numbers: Measured(numbers[rows], numbers[rows], "count")

    def _rows_change(self) -> Measure:
        rows, earlier = self._count(), list(self.previous_rows[: self.metric.snapshots])

        def measured(numbers: Numbers) -> Measured:
            before = median(earlier) if earlier else 0
            if not before:
                note = {"note": "there is no earlier snapshot to compare with"}
                return Measured(0.0, numbers[rows], "count", verdict=Verdict.PASS, details=note)
            return Measured(numbers[rows] / before - 1, numbers[rows], "count", details={"previous_rows": before})

        return measured

    def _null_fraction(self) -> Measure:

        column = self.metric.columns[0]
        missing: list[Expr] = [is_null(self._value())]
        if column in self.view.flags:
            missing.append(negated(name(FLAG + column)))
        return self._share(self._count(*missing), self._count())

    def _true_fraction(self) -> Measure:
        return self._share(self._count(self._value()), self._count(self._present()))

    def _share(self, hits: str, rows: str) -> Measure:
        def measured(numbers: Numbers) -> Measured:
            k, n = numbers[hits], numbers[rows]
            if not n:
                return Measured(None, 0, "wilson")
            if self._exact_limits():
                return Measured(k / n, n, "count", details={"failing": k})
            return Measured(k / n, n, "wilson", wilson(k, n), share=True, details={"failing": k})

        return measured

    def _exact_limits(self) -> bool:
        """Tell whether the limits say none or all, which a count decides and no interval can."""
        return self.limits.at_most in (None, 0.0, 1.0) and self.limits.at_least in (None, 0.0, 1.0)

    def _mean(self) -> Measure:
        from sqlglot import exp

        mean = self._aggregate(exp.Avg(this=self._number()))
        deviation = self._aggregate(exp.StddevSamp(this=self._number()))
        count = self._count(self._present())

        def measured(numbers: Numbers) -> Measured:
            value, n = _finite(numbers[mean]), numbers[count]
            interval = mean_interval(value, numbers[deviation] or 0.0, n) if value is not None else None
            undecided = Verdict.INCONCLUSIVE if interval is None else None
            return Measured(value, n, "normal", interval, verdict=undecided)

        return measured

    def _correlation(self) -> Measure:
        from sqlglot import exp

        correlation = self._aggregate(exp.Corr(this=self._number(0), expression=self._number(1)))
        count = self._count(self._present(0), self._present(1))

        def measured(numbers: Numbers) -> Measured:
            value, n = _finite(numbers[correlation]), numbers[count]
            interval = correlation_interval(value, n) if value is not None else None
            return Measured(value, n, "fisher", interval, verdict=Verdict.INCONCLUSIVE if interval is None else None)

        return measured

    def _quantile(self) -> Measure:
        """Decide by counting: the quantile is at most L when the share of values up to L is at least its order, and a
        share has an interval; the estimate that is shown comes from a t-digest.
        """
        from sqlglot import exp

        share = self.metric.quantile
        assert share is not None
        order = exp.Literal.number(share)
        estimate = self._aggregate(exp.ApproxQuantile(this=self._number(), quantile=order))
        count = self._count(self._present())
        low, high = self.limits.at_least, self.limits.at_most
        below = self._count(exp.LT(this=self._value(), expression=exp.convert(low))) if low is not None else None
        up_to = self._count(exp.LTE(this=self._value(), expression=exp.convert(high))) if high is not None else None

        def measured(numbers: Numbers) -> Measured:
            n, value = numbers[count], _finite(numbers[estimate])
            if not n or value is None:
                return Measured(None, n, "order statistic")
            verdicts, details = [], {}
            if below is not None:
                verdicts.append(against(wilson(numbers[below], n), None, share))
                details["share_below"] = numbers[below] / n
            if up_to is not None:
                verdicts.append(against(wilson(numbers[up_to], n), share, None))
                details["share_up_to"] = numbers[up_to] / n
            return Measured(value, n, "order statistic", verdict=_worse(verdicts), details=details)

        return measured

    def _plain(self) -> Measure:
        from sqlglot import exp

        functions = {"sum": exp.Sum, "min": exp.Min, "max": exp.Max, "deviation": exp.StddevSamp}
        value = self._aggregate(functions[self.metric.name](this=self._number()))
        count = self._count(self._present())
        return lambda numbers: Measured(_finite(numbers[value]), numbers[count], "exact")


def _worse(verdicts: list[Verdict]) -> Verdict:
    order = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS]
    return min(verdicts, key=order.index)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
