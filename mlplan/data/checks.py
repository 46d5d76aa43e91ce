"""The row checks of a contract: each says, as a condition over the typed view, which rows it looks at and which of them
fail.

One list drives the scan, the examples and the evidence. Nothing is executed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlplan.data.contract import Column, Contract, QualityRule
from mlplan.data.relation import name, text
from mlplan.data.trees import both, cast, either, grouped, is_null, is_there, negated
from mlplan.data.types import LogicalType
from mlplan.data.view import FLAG, View

if TYPE_CHECKING:
    from sqlglot import Expr


@dataclass(frozen=True)
class RowCheck:
    """One check that every row keeps or breaks.

    question: what must hold, in words. failure: what failing rows do, "are missing". failing: condition of a failing
    row. applies: condition of the rows that are looked at, None for all. columns: what the examples show. at_least,
    at_most: share of rows that must hold; at_least None means all of them.
    """

    subject: str
    question: str
    failure: str
    failing: Expr = field(repr=False)
    applies: Expr | None = field(repr=False)
    columns: tuple[str, ...] = ()
    severity: str = "block"
    at_least: float | None = None
    at_most: float | None = None

    @property
    def exact(self) -> bool:
        """Tell whether a single failing row breaks it, so that no interval is needed."""
        return self.at_most is None and self.at_least in (None, 1.0)


def row_checks(contract: Contract, view: View) -> Iterator[RowCheck]:
    """Yield the checks that the files allow: those whose columns are there."""
    for column in contract.columns.values():
        if column.name in view.stored:
            yield from _column_checks(contract, column, view)
    for rule in contract.quality.values():
        if rule.rule is not None and not missing_columns(contract, rule, view):
            yield _rule_check(contract, rule)


def missing_columns(contract: Contract, rule: QualityRule, view: View) -> list[str]:
    """Return the columns that a quality rule needs and the files lack."""
    needed = set(rule.metric.columns if rule.metric else ()) | ({rule.column} if rule.column else set())
    for condition in (rule.rule, rule.where):
        needed |= _columns_of(contract, condition)
    return sorted(needed & set(view.absent))


def condition(contract: Contract, rule_text: str) -> Expr:
    """Return the tree of a rule that decoding has accepted."""
    from mlplan.data.rules import parse_rule

    return parse_rule(rule_text, contract.columns)


def literal(value: Any, logical: LogicalType) -> Expr:
    """Return a literal of the contract as a value of a column of this type."""
    from sqlglot import exp

    if logical.name == "date":
        return cast(text(value), "DATE")
    if logical.temporal:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        return cast(text(moment.isoformat(sep=" ")), "TIMESTAMP")
    if logical.name == "float" and not isinstance(value, bool):
        return cast(exp.convert(value), "DOUBLE")
    return exp.convert(value)


def _columns_of(contract: Contract, rule_text: str | None) -> set[str]:
    if rule_text is None:
        return set()
    from sqlglot import exp

    return {column.name for column in condition(contract, rule_text).find_all(exp.Column)}


def _column_checks(contract: Contract, column: Column, view: View) -> Iterator[RowCheck]:

    value = name(column.name)
    missing: Expr = is_null(value.copy())
    if column.name in view.flags:
        wrong = name(FLAG + column.name)
        yield _check(contract, column, f"is of type {column.type}", f"are not of type {column.type}", wrong, None)
        missing = both(missing, negated(wrong.copy()))
    if not column.nullable:
        yield _check(contract, column, "is never missing", "are missing", missing, None)
    present = is_there(value.copy())
    for question, failure, failing in _value_checks(column):
        yield _check(contract, column, question, failure, failing, present)


def _check(
    contract: Contract, column: Column, question: str, failure: str, failing: Expr, applies: Expr | None
) -> RowCheck:
    return RowCheck(
        subject=f"{contract.address}.column.{column.name}",
        question=f"{column.name} {question}",
        failure=failure,
        failing=failing,
        applies=applies,
        columns=(column.name,),
        severity=column.severity,
    )


def _value_checks(column: Column) -> Iterator[tuple[str, str, Expr]]:
    """Yield (question, failure, failing condition) of what a contract says of the values of a column."""
    from sqlglot import exp

    value, logical = name(column.name), column.logical
    if column.between is not None:
        low, high = (None if end is None else literal(end, logical) for end in column.between)
        words = _range_words(*column.between)
        yield f"is {words}", f"are not {words}", _outside(value, low, high)
    if column.one_of is not None:
        allowed = [literal(item, logical) for item in column.one_of]
        words = f"one of {_listed(column.one_of)}"
        yield f"is {words}", f"are not {words}", negated(exp.In(this=value.copy(), expressions=allowed))
    if column.matches is not None:
        matches = exp.RegexpLike(this=value.copy(), expression=text(column.matches))
        yield f"matches {column.matches}", f"do not match {column.matches}", negated(matches)
    if column.length is not None:
        low, high = (None if end is None else exp.convert(end) for end in column.length)
        words = f"{_range_words(*column.length)} {'characters' if logical.name == 'string' else 'entries'} long"
        size = exp.Length if logical.name == "string" else exp.ArraySize
        yield f"is {words}", f"are not {words}", _outside(size(this=value.copy()), low, high)


def _outside(value: Expr, low: Expr | None, high: Expr | None) -> Expr:
    from sqlglot import exp

    ends: list[Expr] = []
    if low is not None:
        ends.append(exp.LT(this=value.copy(), expression=low))
    if high is not None:
        ends.append(exp.GT(this=value.copy(), expression=high))
    return grouped(either(*ends)) if ends else exp.false()


def _range_words(low: Any, high: Any) -> str:
    if low is not None and high is not None:
        return f"between {low} and {high}" if low != high else f"{low}"
    return f"at least {low}" if high is None else f"at most {high}"


def _listed(values: tuple[Any, ...]) -> str:
    if len(values) > 6:
        return f"{len(values)} values"
    return ", ".join(str(value) for value in values)


def _rule_check(contract: Contract, rule: QualityRule) -> RowCheck:

    holds = grouped(condition(contract, str(rule.rule)))
    failing: Expr = negated(holds)
    applies: Expr = is_there(holds.copy())  # where a value is missing, the rule says nothing
    words = str(rule.rule)
    if rule.where is not None:
        where = grouped(condition(contract, rule.where))
        failing, applies = both(where, failing), both(where.copy(), applies)
        words += f" where {rule.where}"
    columns = dict.fromkeys(column for column in contract.columns if column in _columns_of(contract, rule.rule))
    return RowCheck(
        subject=f"{contract.address}.quality.{rule.name}",
        question=words,
        failure=f"break the rule {rule.rule}",
        failing=failing,
        applies=applies,
        columns=tuple(columns),
        severity=rule.severity,
        at_least=rule.at_least,
        at_most=rule.at_most,
    )
