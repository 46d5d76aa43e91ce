"""`for` expressions: tuples, objects, groups, conditions; what is unknown or secret about them as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.lang.evaluator import Evaluator, attributes_of, rule
from mlplan.lang.numbers import Coarse
from mlplan.lang.syntax import Expr, ForExpr, TemplateFor
from mlplan.lang.types import ANY, BOOL, Primitive, friendly
from mlplan.lang.values import ListValue, SetValue, Unknown, Value, bare, is_null, secret, type_of


@rule(ForExpr)
def for_(evaluator: Evaluator, expr: ForExpr) -> Value:
    """Return [for …] or {for …}."""
    collection, taint = bare(evaluator.eval(expr.collection))
    if isinstance(collection, Unknown):
        check_iterable(evaluator, expr, collection)
        result: Value = Unknown(ANY, collection.origin)
        return secret(result) if taint else result
    loop = _Loop(evaluator, expr, taint)
    empty = True
    for names in bindings(evaluator, expr, collection):
        empty = False
        loop.turn(evaluator.inside(names))
    if empty and expr.condition is not None:
        loop.test(evaluator.inside(dict.fromkeys(_names(expr), Unknown(ANY))), expr.condition)
    return loop.finish()


def _names(expr: ForExpr | TemplateFor) -> list[str]:
    return [expr.value_name] if expr.key_name is None else [expr.key_name, expr.value_name]


def check_iterable(evaluator: Evaluator, expr: ForExpr | TemplateFor, collection: Unknown) -> None:
    """Refuse a collection that is not known yet, and of which its type says already that it has no elements."""
    if isinstance(collection.type, Primitive) and collection.type != ANY:
        raise _no_elements(evaluator, expr, friendly(collection.type))


def _no_elements(evaluator: Evaluator, expr: ForExpr | TemplateFor, what: str) -> DiagnosticError:
    detail = f"A {what} has no elements to go through."
    return evaluator.fail(expr.collection, "invalid-for", "Iteration over non-iterable value", detail)


def bindings(evaluator: Evaluator, expr: ForExpr | TemplateFor, collection: Value) -> Iterator[dict[str, Value]]:
    """Yield the names of every turn of a loop."""
    for key, value in entries(evaluator, expr, collection):
        names = {expr.value_name: value}
        if expr.key_name is not None:
            names[expr.key_name] = key
        yield names


def entries(evaluator: Evaluator, expr: ForExpr | TemplateFor, collection: Value) -> Iterator[tuple[Value, Value]]:
    """Yield key and value of every element."""
    at = expr.collection
    if isinstance(collection, (tuple, ListValue)):
        items = collection if isinstance(collection, tuple) else collection.items
        return ((Coarse(i), item) for i, item in enumerate(items))
    if isinstance(collection, SetValue):
        return ((item, item) for item in collection.items)
    attributes = attributes_of(collection)
    if attributes is not None:
        return ((key, attributes[key]) for key in sorted(attributes))
    if is_null(collection):
        detail = "The collection of this for expression is null."
        raise evaluator.fail(at, "null-value", "Iteration over null value", detail)
    raise _no_elements(evaluator, expr, friendly(type_of(collection)))


class _Loop:
    """Collects the results of a `for` expression, and what is unknown or secret about them as a whole."""

    def __init__(self, outer: Evaluator, expr: ForExpr, taint: bool) -> None:
        self.outer = outer
        self.expr = expr
        self.taint = taint
        self.unknown: Unknown | None = None
        self.items: list[Value] = []
        self.pairs: dict[str, Value] = {}
        self.groups: dict[str, list[Value]] = {}

    def turn(self, inner: Evaluator) -> None:
        """Evaluate one element."""
        expr = self.expr
        inner.budget.step()
        inner.budget.produce(16)
        if expr.condition is not None:
            test, taint = self.test(inner, expr.condition)
            self.taint = self.taint or taint
            if isinstance(test, Unknown):
                self.unknown = test
                return
            if not test:
                return
        if expr.key is None:
            self.items.append(inner.eval(expr.value))
            return
        key, taint = bare(inner.eval(expr.key))
        self.taint = self.taint or taint
        if isinstance(key, Unknown):
            self.unknown = key
            return
        self.put(inner, inner.key_text(expr.key, key, "object"), inner.eval(expr.value), taint)

    def test(self, inner: Evaluator, condition: Expr) -> tuple[Value, bool]:
        """Return what the 'if' clause says of an element, and its taint."""
        value, taint = bare(inner.eval(condition))
        if value is True or value is False:
            return value, taint
        what = "The 'if' clause of this for expression"
        if is_null(value):
            detail = f"{what} is null. It must be true or false."
            raise inner.fail(self.expr, "null-value", "Condition is null", detail, at=condition)
        try:
            return convert(value, BOOL), taint
        except ConversionError as error:
            detail = f"{what} does not fit: {error}."
            raise inner.fail(self.expr, "invalid-condition", "Invalid 'for' condition", detail, at=condition) from None

    def put(self, inner: Evaluator, key: str, value: Value, taint: bool) -> None:
        """Keep the pair of one element."""
        assert self.expr.key is not None
        if self.expr.group:
            self.groups.setdefault(key, []).append(value)
        elif key in self.pairs:
            shown = "(sensitive)" if taint or self.taint else f'"{key}"'
            detail = (
                f"Two different elements produced the key {shown} in this for expression. "
                "If that is meant, put ... after the value to collect the values of each key."
            )
            raise inner.fail(self.expr, "duplicate-key", "Duplicate object key", detail, at=self.expr.key)
        else:
            self.pairs[key] = value

    def finish(self) -> Value:
        """Return the result as a whole."""
        result: Value
        if self.unknown is not None:
            result = Unknown(ANY, self.unknown.origin)
        elif self.expr.key is None:
            result = tuple(self.items)
        elif self.expr.group:
            result = {key: tuple(self.groups[key]) for key in sorted(self.groups)}
        else:
            result = {key: self.pairs[key] for key in sorted(self.pairs)}
        return secret(result) if self.taint else result
