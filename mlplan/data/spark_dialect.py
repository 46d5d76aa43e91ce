"""From our expression trees, which are written as DuckDB means them, to Spark SQL that means the same.

sqlglot renders the syntax; here is what it does not know: how the two engines cast texts, name functions and count days.
Reads no data and knows no session. Spark runs with ANSI rules, UTC and case-sensitive names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import Expr

Kinds = Mapping[str, str]
"""Column -> "text", "float" or "variant" (a JSON document); every other column is left out."""

NUMBER = r"^\s*[+-]?([0-9]+(_[0-9]+)*\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_FLOAT = NUMBER + r"|(?i)^\s*[+-]?(nan|inf|infinity)\s*$"
_DAY = r"^\s*[0-9]{1,6}(-[0-9]{1,2}-|/[0-9]{1,2}/| [0-9]{1,2} )[0-9]{1,2}"
_CLOCK = r"[T ][0-9]{1,2}:[0-9]{1,2}"
_MOMENT = _DAY + rf"\s*$|{_DAY}{_CLOCK}"
_WORDS = r"(?i)^(true|t|yes|y|1|false|f|no|n|0)$"
_SEPARATED = r"^(\s*[0-9]+)[/ ]([0-9]{1,2})[/ ]([0-9]{1,2})"
_TEXT = "mlplan_text"
_INTEGERS = ("TINYINT", "SMALLINT", "INT", "BIGINT")


def to_spark(tree: Expr, tables: Mapping[str, Kinds]) -> str:
    """Return the Spark SQL of a tree. tables: the kinds of the columns of the tables that it reads, by their names."""
    return _Translation(tables).visit(tree.copy(), {}).sql(dialect="spark", comments=False)


class _Translation:
    """One tree on its way; children are translated before their parents."""

    def __init__(self, tables: Mapping[str, Kinds]) -> None:
        self.tables = tables

    def visit(self, node: Expr, kinds: Kinds) -> Expr:
        """Return the translated node."""
        from sqlglot import exp

        if isinstance(node, exp.Select):
            kinds = self._sources(node, kinds)
            self._children(node, kinds, leave=("from", "from_", "joins"))  # `_sources` has been there
        else:
            self._children(node, kinds)
        return _rule(node, kinds)

    def _children(self, node: Expr, kinds: Kinds, leave: Sequence[str] = ()) -> None:
        from sqlglot import exp

        for key, value in list(node.args.items()):
            if key in leave:
                continue
            if isinstance(value, list):
                node.set(key, [self.visit(v, kinds) if isinstance(v, exp.Expr) else v for v in value])
            elif isinstance(value, exp.Expr):
                node.set(key, self.visit(value, kinds))

    def _sources(self, select: Expr, outer: Kinds) -> Kinds:
        """Translate what a SELECT reads from and return the kinds of those columns."""
        from sqlglot import exp

        found: dict[str, str] = {}
        for source in [select.args.get("from_") or select.args.get("from"), *(select.args.get("joins") or ())]:
            if source is None:
                continue
            self._children(source, outer)
            table = source.this
            if isinstance(table, exp.Table):
                found.update(self.tables.get(table.name, {}))
            elif isinstance(table, exp.Subquery) and isinstance(table.this, exp.Select):
                found.update(table.this.meta.get("kinds", {}))
        select.meta["kinds"] = {
            item.alias_or_name: kind for item in select.expressions if (kind := _kind(item.unalias(), found))
        }
        if any(isinstance(item, exp.Star) for item in select.expressions):
            select.meta["kinds"] = {**found, **select.meta["kinds"]}
        return found


def _kind(node: Expr, kinds: Kinds) -> str | None:
    from sqlglot import exp

    if isinstance(node, exp.Paren):
        return _kind(node.this, kinds)
    if node.meta.get(_TEXT):
        return "text"
    if isinstance(node, exp.Column):
        return kinds.get(node.name)
    if isinstance(node, exp.Cast) and node.to.this.name in ("VARCHAR", "TEXT"):  # TryCast is a Cast too
        return "text"
    return None


def _rule(node: Expr, kinds: Kinds) -> Expr:
    """Return what stands in Spark for a node whose children are translated."""
    from sqlglot import exp

    if isinstance(node, exp.TryCast):
        return _try_cast(node, kinds)
    if isinstance(node, exp.DataType):
        return _type(node)
    if isinstance(node, exp.Anonymous):
        function = _FUNCTIONS.get(str(node.this).upper())
        return function(*node.expressions) if function else node
    if isinstance(node, exp.DayOfWeek):  # Sunday is 1 there and 0 here
        return exp.Paren(this=exp.Sub(this=node, expression=exp.Literal.number(1)))
    if isinstance(node, exp.Extract) and node.name.upper() in ("DOW", "DAYOFWEEK"):
        return exp.Paren(this=exp.Sub(this=node, expression=exp.Literal.number(1)))
    return node


def _type(node: Any) -> Expr:
    """Return a type by its name there: times without zone are another type than moments."""
    from sqlglot import exp

    if node.this == exp.DataType.Type.TIMESTAMP:
        return exp.DataType(this=exp.DataType.Type.TIMESTAMPNTZ)
    if node.this == exp.DataType.Type.TIMESTAMPTZ:
        return exp.DataType(this=exp.DataType.Type.TIMESTAMP)  # the renderer calls it TIMESTAMP
    return node  # type: ignore[no-any-return]


def _try_cast(node: Any, kinds: Kinds) -> Expr:
    """Return a cast with the embedded engine's idea of what a text may look like, and its rounding."""
    from sqlglot import exp

    node.set("safe", True)  # otherwise the renderer makes it a plain cast where it does not know the type
    value, name = node.this, node.to.this.name
    kind = _kind(value, kinds)
    if kind == "variant":
        if name in ("VARCHAR", "TEXT"):
            return _as_text(_call("TO_JSON", value))
        if name in ("ARRAY", "LIST"):
            return _call("TRY_VARIANT_GET", value, exp.Literal.string("$"), exp.Literal.string("array<variant>"))
    if name in ("ARRAY", "LIST") and node.to.expressions and node.to.expressions[0].this.name == "JSON":
        return _call("TRY_VARIANT_GET", value, exp.Literal.string("$"), exp.Literal.string("array<variant>"))
    if kind == "text":
        return _text_as(value, node, name)
    if kind == "float" and name in _INTEGERS:  # Spark would cut off what the embedded engine rounds
        node.set("this", _call("RINT", value))
    return node  # type: ignore[no-any-return]


def _text_as(value: Expr, node: Any, name: str) -> Expr:
    from sqlglot import exp

    def guarded(pattern: str, result: Expr) -> Expr:
        looks = exp.RegexpLike(this=value.copy(), expression=exp.Literal.string(pattern))
        return exp.Case(ifs=[exp.If(this=looks, true=result)])

    def cast(of: Expr, to: Any) -> Expr:
        return exp.TryCast(safe=True, this=of, to=to.copy() if isinstance(to, exp.Expr) else exp.DataType.build(to))

    plain = exp.Replace(this=value.copy(), expression=exp.Literal.string("_"), replacement=exp.Literal.string(""))
    if name in _INTEGERS:
        wide = cast(plain, "DECIMAL(38, 6)")
        rounded = cast(exp.Round(this=wide), node.to)
        return guarded(NUMBER, exp.Coalesce(this=cast(plain.copy(), node.to), expressions=[rounded]))
    if name in ("FLOAT", "DOUBLE"):
        return guarded(_FLOAT, cast(plain, node.to))
    if name == "DECIMAL":
        return guarded(NUMBER, cast(plain, node.to))
    if name == "BOOLEAN":
        return guarded(_WORDS, cast(value.copy(), node.to))
    if name in ("DATE", "TIMESTAMP", "TIMESTAMPNTZ"):
        arguments = [value.copy(), exp.Literal.string(_SEPARATED), exp.Literal.string("$1-$2-$3")]
        return guarded(_MOMENT, cast(exp.Anonymous(this="REGEXP_REPLACE", expressions=arguments), node.to))
    return node  # type: ignore[no-any-return]


def _call(function: str, *arguments: Expr) -> Expr:
    from sqlglot import exp

    return exp.Anonymous(this=function, expressions=list(arguments))


def _as_text(node: Expr) -> Expr:
    node.meta[_TEXT] = True
    return node


def _hash(*values: Expr) -> Expr:
    """Return a hash that is never negative; other numbers than the embedded engine's."""
    from sqlglot import exp

    mask = exp.Literal.number(2**63 - 1)
    return exp.Paren(this=exp.BitwiseAnd(this=_call("XXHASH64", *values), expression=mask))


def _some(values: Expr) -> Expr:
    from sqlglot import exp

    same = exp.Lambda(this=exp.column("b"), expressions=[exp.to_identifier("b")])
    return _call("EXISTS", values, same)


def _field(value: Expr, name: Expr) -> Expr:
    from sqlglot import exp

    inner = exp.Paren(this=value) if not isinstance(value, exp.Column) else value
    return exp.Dot(this=inner, expression=exp.to_identifier(name.name, quoted=True))


def _json_type(value: Expr) -> Expr:
    """Return how the embedded engine calls the kind of a JSON value."""
    from sqlglot import exp

    schema = _call("SCHEMA_OF_VARIANT", value)

    def when(pattern: str, word: str) -> Expr:
        like = exp.Like(this=schema.copy(), expression=exp.Literal.string(pattern))
        return exp.If(this=like, true=exp.Literal.string(word))

    names = {"STRING": "VARCHAR", "VOID": "NULL", "ARRAY%": "ARRAY", "OBJECT%": "OBJECT", "DECIMAL%": "DOUBLE"}
    return exp.Case(ifs=[when(pattern, word) for pattern, word in names.items()], default=schema.copy())


def _json_text(value: Expr, path: Expr) -> Expr:
    from sqlglot import exp

    return _as_text(_call("TRY_VARIANT_GET", value, path, exp.Literal.string("string")))


def _json_member(value: Expr, pointer: Expr) -> Expr:
    from sqlglot import exp

    name = pointer.name.removeprefix("/").replace("~1", "/").replace("~0", "~")
    return _call("TRY_VARIANT_GET", value, exp.Literal.string(member_path(name)), exp.Literal.string("variant"))


def member_path(name: str) -> str:
    """Return the path of a member of a JSON object. Raises ValueError for a name with both kinds of quotes."""
    if '"' not in name:
        return f'$["{name}"]'
    if "'" not in name:
        return f"$['{name}']"
    raise ValueError(f"{name!r} has both kinds of quotes")


_FUNCTIONS: Mapping[str, Callable[..., Expr]] = {
    "HASH": _hash,
    "LIST_TRANSFORM": lambda values, change: _call("TRANSFORM", values, change),
    "LIST_BOOL_OR": _some,
    "STRUCT_EXTRACT": _field,
    "JSON_TYPE": _json_type,
    "JSON_EXTRACT_STRING": _json_text,
    "JSON_EXTRACT": _json_member,
}
