"""What does not fold into the one scan: uniqueness, distinct counts and references, each a pass of its own in bounded
memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlplan.data.checks import RowCheck, condition
from mlplan.data.contract import Contract, QualityRule
from mlplan.data.engines import DataEngine
from mlplan.data.findings import MASK, Finder, Limits, Measured, shown_value
from mlplan.data.relation import call, name
from mlplan.data.trees import both, grouped, is_there
from mlplan.data.view import View
from mlplan.ledger.evidence import Evidence

if TYPE_CHECKING:
    from sqlglot import Expr

_MOST_EXAMPLES = 20


def unique_keys(contract: Contract, view: View) -> Iterator[tuple[RowCheck, tuple[str, ...]]]:
    """Yield (check, columns) for every column and key whose values must differ, each set of columns once."""
    from sqlglot import exp

    seen: set[tuple[str, ...]] = set()
    keys = [(f"{contract.address}.key", contract.key, "block")] if contract.key else []
    keys += [
        (f"{contract.address}.column.{c.name}", (c.name,), c.severity) for c in contract.columns.values() if c.unique
    ]
    for subject, columns, severity in keys:
        if columns in seen or any(column in view.absent for column in columns):
            continue
        seen.add(columns)
        words = " and ".join(columns)
        question = f"{words} is unique" if len(columns) == 1 else f"{words} together are unique"
        yield (
            RowCheck(
                subject,
                question,
                f"share their {words} with another row",
                exp.false(),
                None,
                columns,
                severity=severity,
            ),
            columns,
        )


def judge_unique(engine: DataEngine, view: View, check: RowCheck, columns: Sequence[str], finder: Finder) -> Evidence:
    """Return the evidence that the values of `columns` differ; rows in which a single column is missing are left out.

    Equal values have equal hashes, so sorting 8-byte hashes (which spills to disk) proves that all differ; only when
    two hashes are equal are the values themselves grouped.
    """
    from sqlglot import exp

    table = _with_values(view, columns)
    (total,) = engine.rows(exp.select(exp.Count(this=exp.Star())).from_(table.copy()))[0]
    if engine.sorts_hashes and not _same_hashes(engine, table, columns):
        return finder.rows(check, 0, total)
    counted = exp.alias_(exp.Count(this=exp.Star()), "times")
    groups = exp.select(*[name(c) for c in columns], counted).from_(table.copy()).group_by(*[name(c) for c in columns])
    repeated = groups.having(exp.Count(this=exp.Star()) > 1).subquery("groups")
    failing, values = engine.rows(
        exp.select(exp.Sum(this=exp.column("times")), exp.Count(this=exp.Star())).from_(repeated.copy())
    )[0]
    if not failing:
        return finder.rows(check, 0, total)
    order = [exp.Ordered(this=exp.column("times"), desc=True), *[exp.Ordered(this=name(c)) for c in columns]]
    worst = engine.named(exp.select("*").from_(repeated).order_by(*order).limit(_MOST_EXAMPLES))
    note = f": {values:,} {'value is' if values == 1 else 'values are'} there more than once"
    examples = [_repeated(finder.contract, columns, row) for row in worst]
    return finder.rows(check, int(failing), total, examples, note)


def _same_hashes(engine: DataEngine, table: Expr, columns: Sequence[str]) -> int:
    from sqlglot import exp

    hashes = (
        exp.select(exp.alias_(call("HASH", *[name(c) for c in columns]), "h")).from_(table.copy()).subquery("hashes")
    )
    before = exp.Window(this=exp.Lag(this=exp.column("h")), order=exp.Order(expressions=[exp.column("h")]))
    pairs = exp.select(exp.column("h"), exp.alias_(before, "p")).from_(hashes).subquery("pairs")
    same = exp.select(exp.Count(this=exp.Star())).from_(pairs).where(exp.column("h").eq(exp.column("p")))
    return int(engine.rows(same)[0][0])


def _with_values(view: View, columns: Sequence[str]) -> Expr:
    from sqlglot import exp

    table = view.table(columns, flags=False)
    if len(columns) > 1:
        return table
    return exp.select("*").from_(table).where(is_there(name(columns[0]))).subquery("present")


def _repeated(contract: Contract, columns: Sequence[str], row: Mapping[str, Any]) -> dict[str, Any]:
    return {"values": _masked(contract, columns, row), "times": int(row["times"])}


def _masked(contract: Contract, columns: Sequence[str], row: Mapping[str, Any]) -> dict[str, Any]:
    return {column: MASK if contract.columns[column].pii else shown_value(row[column]) for column in columns}


def judge_distinct_count(engine: DataEngine, view: View, rule: QualityRule, finder: Finder) -> Evidence:
    """Return the evidence of a rule on the exact number of different values."""
    from sqlglot import exp

    assert rule.metric is not None
    column = rule.metric.columns[0]
    limits = Limits(rule.at_least, rule.at_most)
    distinct = exp.select(name(column)).distinct().from_(_with_values(view, [column])).subquery("different")
    (count,) = engine.rows(exp.select(exp.Count(this=exp.Star())).from_(distinct))[0]
    question = limits.words(str(rule.metric))
    subject = f"{finder.contract.address}.quality.{rule.name}"
    return finder.metric(subject, question, Measured(count, count, "count"), limits, rule.severity)


def judge_reference(engine: DataEngine, view: View, rule: QualityRule, other: View, finder: Finder) -> Evidence:
    """Return the evidence that every value of a column is found in the referenced column of another contract's data."""
    from sqlglot import exp

    assert rule.references is not None
    assert rule.column is not None
    contract = finder.contract
    column, target = rule.column, rule.references.column
    present: Expr = is_there(name(column))
    if rule.where is not None:
        present = both(present, grouped(condition(contract, rule.where)))
    table = exp.select(exp.alias_(name(column), "x")).from_(view.table(flags=False)).where(present).subquery("x")
    known = exp.select(exp.alias_(name(target), "y")).distinct().from_(other.table([target], flags=False)).subquery("y")
    match = exp.column("x", table="x").eq(exp.column("y", table="y"))
    lost = exp.select(exp.column("x")).from_(table.copy()).join(known, on=match, join_type="anti").subquery("lost")
    (total,) = engine.rows(exp.select(exp.Count(this=exp.Star())).from_(table.copy()))[0]
    (failing,) = engine.rows(exp.select(exp.Count(this=exp.Star())).from_(lost.copy()))[0]
    check = RowCheck(
        f"{contract.address}.quality.{rule.name}", f"{column} is found in {rule.references}",
        f"have a {column} that is not in {rule.references}", exp.false(), None, (column,),
        severity=rule.severity, at_least=rule.at_least, at_most=rule.at_most,
    )  # fmt: skip
    examples = []
    if failing:
        counted = exp.alias_(exp.Count(this=exp.Star()), "times")
        groups = (
            exp.select(exp.alias_(exp.column("x"), column, quoted=True), counted).from_(lost).group_by(exp.column("x"))
        )
        order = [exp.Ordered(this=exp.column("times"), desc=True), exp.Ordered(this=exp.column("x"))]
        rows = engine.named(groups.order_by(*order).limit(_MOST_EXAMPLES))
        examples = [_repeated(contract, [column], row) for row in rows]
    return finder.rows(check, failing, total, examples)
