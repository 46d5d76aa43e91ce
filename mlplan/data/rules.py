"""Row rules: the small portable part of SQL in which a contract says what holds in every row.

A rule is parsed by sqlglot and every node of its tree must be on the list below: columns of the contract, literals,
comparisons, arithmetic and functions that only look at their arguments. Subqueries, aggregates, windows, clocks,
randomness and anything that reads a file are not on it, so a rule means the same on every engine and can do nothing but
compare.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import Expr

LONGEST = 4_096
"""Characters of a rule."""

MOST_NODES = 500
"""Nodes of a rule's tree."""

_NODES = """
    Column Identifier Literal Boolean Null Paren And Or Not Xor EQ NEQ LT LTE GT GTE NullSafeEQ NullSafeNEQ Between In Is Like ILike
    Add Sub Mul Div IntDiv Mod Neg DPipe Concat Case If Coalesce Nullif Greatest Least Abs Sign Round Floor Ceil Sqrt Pow Exp Ln
    Length Lower Upper Trim Substring Left Right Replace StartsWith EndsWith Contains StrPosition RegexpLike Cast TryCast DataType
    DataTypeParam Interval Var Extract Year Month Day Hour Minute Quarter DayOfWeek IsNan Tuple
"""
_TYPES = "BOOLEAN TINYINT SMALLINT INT BIGINT FLOAT DOUBLE DECIMAL VARCHAR TEXT CHAR DATE TIMESTAMP TIMESTAMPTZ"
_PREDICATES = "And Or Not Xor EQ NEQ LT LTE GT GTE NullSafeEQ NullSafeNEQ Between In Is Like ILike RegexpLike StartsWith EndsWith Contains IsNan If"


def parse_rule(text: str, columns: Collection[str]) -> Expr:
    """Return the tree of a row rule over `columns`, names quoted as the contract spells them.

    Raises ValueError with a sentence that says what is wrong with the rule.
    """
    if len(text) > LONGEST:
        raise ValueError(f"A rule has at most {LONGEST} characters; this one has {len(text)}.")
    tree = _parse(text)
    nodes = list(tree.walk())
    if len(nodes) > MOST_NODES:
        raise ValueError(f"A rule has at most {MOST_NODES} parts; this one has {len(nodes)}.")
    allowed, _, types = _allowed()
    for node in nodes:
        if not isinstance(node, allowed):
            raise ValueError(f"A rule may not use {_shown(node)}: {_reason(node)}")
    _check_types(tree, types)
    _bind_columns(tree, columns)
    _check_predicate(tree)
    return _forgiving(tree)


def _parse(text: str) -> Expr:
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        trees = sqlglot.parse(text)
    except SqlglotError as error:
        detail = error.errors[0].get("description") if getattr(error, "errors", None) else None  # type: ignore[attr-defined]
        raise ValueError(f"It is not a SQL condition: {detail or 'it cannot be read'}.") from error
    except RecursionError as error:
        raise ValueError("It is nested too deeply.") from error
    if len(trees) != 1 or trees[0] is None:
        raise ValueError("It must be exactly one condition.")
    return trees[0]


@cache
def _allowed() -> tuple[tuple[type, ...], tuple[type, ...], frozenset[str]]:
    from sqlglot import exp

    nodes = tuple(getattr(exp, name) for name in _NODES.split())
    predicates = tuple(getattr(exp, name) for name in _PREDICATES.split())
    return nodes, predicates, frozenset(_TYPES.split())


def _shown(node: Expr) -> str:
    text = node.sql()
    return text if len(text) <= 60 else text[:57] + "…"


def _reason(node: Expr) -> str:
    from sqlglot import exp

    if isinstance(node, exp.Query | exp.Subquery):
        return "it looks at one row and cannot query."
    if isinstance(node, exp.AggFunc | exp.Window):
        return "it looks at one row; aggregates are written as a metric."
    return (
        "only columns, literals, comparisons, arithmetic and plain functions of text, numbers and dates are portable."
    )


def _check_types(tree: Expr, types: frozenset[str]) -> None:
    from sqlglot import exp

    for node in tree.find_all(exp.DataType):
        if getattr(node.this, "name", "") not in types:
            raise ValueError(f"A rule may not cast to {node.sql()}.")


def _bind_columns(tree: Expr, columns: Collection[str]) -> None:
    """Check that every column is declared, and spell it as the contract does: engines differ in upper and lower case."""
    from sqlglot import exp

    from mlplan.lang.diagnostic import suggestion

    spelled = {name.lower(): name for name in columns}
    for node in tree.find_all(exp.Column):
        name = spelled.get(node.name.lower())
        if node.table or name is None:
            close = suggestion(node.name, columns)
            raise ValueError(f'"{node.sql()}" is not a declared column.' + (f" {close}" if close else ""))
        node.set("this", exp.to_identifier(name, quoted=True))


def _forgiving(tree: Expr) -> Expr:
    """Return the tree with casts that give null where they fail, and divisions that give null by zero: one odd row must
    not end the whole scan, and engines disagree on what 1/0 is.
    """
    from sqlglot import exp

    def change(node: Expr) -> Expr:
        if isinstance(node, exp.Div | exp.IntDiv | exp.Mod) and not isinstance(node.expression, exp.Nullif):
            node.set("expression", exp.Nullif(this=exp.paren(node.expression), expression=exp.Literal.number(0)))
            return node
        if type(node) is exp.Cast:
            return exp.TryCast(this=node.this, to=node.args["to"])
        return node

    return tree.transform(change)


def _check_predicate(tree: Expr) -> None:
    from sqlglot import exp

    inner = tree.unnest()
    predicates = _allowed()[1]
    if not isinstance(inner, (*predicates, exp.Column, exp.Boolean, exp.Case, exp.Coalesce)):
        raise ValueError(
            f"A rule is a condition that holds or does not, such as amount >= 0; {_shown(inner)} is a value."
        )
