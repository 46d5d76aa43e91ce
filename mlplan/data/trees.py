"""Small constructors of expression trees, without the parsing and copying of sqlglot's own: a contract of ten thousand
columns makes a million nodes.

They take their arguments as they are: give a copy of what is used twice.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import Expr


def both(*conditions: Expr) -> Expr:
    """Return the condition that all hold; each stands in parentheses where it must."""
    from sqlglot import exp

    return _joined(exp.And, conditions)


def either(*conditions: Expr) -> Expr:
    """Return the condition that one of them holds, in parentheses, so that it can be part of another one."""
    from sqlglot import exp

    return conditions[0] if len(conditions) == 1 else exp.Paren(this=_joined(exp.Or, conditions))


def negated(condition: Expr) -> Expr:
    """Return the condition that another one does not hold."""
    from sqlglot import exp

    return exp.Not(this=_enclosed(condition))


def is_null(value: Expr) -> Expr:
    """Return the condition that there is no value."""
    from sqlglot import exp

    return exp.Is(this=value, expression=exp.Null())


def is_there(value: Expr) -> Expr:
    """Return the condition that there is a value."""
    from sqlglot import exp

    return exp.Not(this=is_null(value))


def equal(left: Expr, right: Expr) -> Expr:
    """Return the condition that two values are equal."""
    from sqlglot import exp

    return exp.EQ(this=left, expression=right)


def differs(left: Expr, right: Expr) -> Expr:
    """Return the condition that two values differ."""
    from sqlglot import exp

    return exp.NEQ(this=left, expression=right)


def cast(value: Expr, to: str) -> Expr:
    """Return a value as another type; the query fails where that cannot be."""
    from sqlglot import exp

    return exp.Cast(this=value, to=_type(to).copy())


def try_cast(value: Expr, to: str) -> Expr:
    """Return a value as another type, null where that cannot be."""
    from sqlglot import exp

    return exp.TryCast(this=value, to=_type(to).copy())


def when(condition: Expr, value: Expr, otherwise: Expr | None = None) -> Expr:
    """Return a value where a condition holds, and another one, or null, elsewhere."""
    from sqlglot import exp

    return exp.Case(ifs=[exp.If(this=condition, true=value)], default=otherwise)


def grouped(value: Expr) -> Expr:
    """Return an expression in parentheses."""
    from sqlglot import exp

    return exp.Paren(this=value)


@lru_cache(maxsize=256)
def _type(text: str) -> Any:
    from sqlglot import exp

    return exp.DataType.build(text, dialect="duckdb")


def _joined(kind: Any, conditions: tuple[Expr, ...]) -> Expr:
    result = _enclosed(conditions[0]) if len(conditions) > 1 else conditions[0]
    for condition in conditions[1:]:
        result = kind(this=result, expression=_enclosed(condition))
    return result


def _enclosed(condition: Expr) -> Expr:
    from sqlglot import exp

    return exp.Paren(this=condition) if isinstance(condition, exp.Connector | exp.Binary | exp.Not) else condition
