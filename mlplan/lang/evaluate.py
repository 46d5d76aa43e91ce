"""Expressions to values, with Terraform's semantics. Unknown and secret go through everything; a budget bounds it all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from mlplan.lang.call import call_function
from mlplan.lang.convert import ConversionError, convert, friendly, unify
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.lang.numbers import whole
from mlplan.lang.operators import OPERAND_TYPE, RESULT_TYPE, OperandError, binary, operand, unary
from mlplan.lang.reference import references
from mlplan.lang.scope import Scope
from mlplan.lang.show import show_brief
from mlplan.lang.survey import survey
from mlplan.lang.syntax import (
    Binary,
    Call,
    Conditional,
    Expr,
    ForExpr,
    GetAttr,
    Index,
    Literal,
    ObjectExpr,
    Parens,
    ScopeRef,
    Splat,
    SplatItem,
    Template,
    TemplateFor,
    TemplateIf,
    TemplatePart,
    Text,
    TupleExpr,
    Unary,
)
from mlplan.lang.types import ANY, BOOL, NUMBER, STRING, ListType, MapType, ObjectType, SetType, TupleType, Type
from mlplan.lang.values import (
    Entity,
    ListValue,
    MapValue,
    Secret,
    SetValue,
    Unknown,
    Value,
    bare,
    secret,
    type_of,
)

__all__ = ["evaluate", "evaluate_all", "references"]

_SPLAT = "(splat)"
_MAX_VALUES_SHOWN = 8


def evaluate(expr: Expr, scope: Scope) -> Value:
    """Return the value of an expression; every evaluation starts with a fresh budget.

    Raises DiagnosticError. Diagnostics: unknown-reference, unsupported-attribute, invalid-index, invalid-operand,
    invalid-condition, inconsistent-types, invalid-template-value, invalid-for, duplicate-key, invalid-key, unknown-function,
    wrong-argument-count, invalid-argument, function-failed, null-value, expression-too-costly.
    """
    scope.budget.restart()
    return evaluate_inner(expr, scope)


def evaluate_inner(expr: Expr, scope: Scope) -> Value:
    """Return the value of an expression that is part of a running evaluation (its budget goes on). Raises DiagnosticError."""
    try:
        value = _Evaluator(scope).eval(expr)
        survey(value, scope.budget)
    except DiagnosticError as error:
        if any(d.span is None for d in error.diagnostics):
            raise DiagnosticError(*(d.at(expr.span) for d in error.diagnostics)) from None
        raise
    return value


def evaluate_all(exprs: Iterable[Expr], scope: Scope) -> tuple[list[Value | None], list[Diagnostic]]:
    """Evaluate several expressions; where one fails its value is None and its diagnostics are among those returned."""
    values: list[Value | None] = []
    problems: list[Diagnostic] = []
    for expr in exprs:
        try:
            values.append(evaluate(expr, scope))
        except DiagnosticError as error:
            values.append(None)
            problems.extend(error.diagnostics)
    return values, problems


class _Evaluator:
    """Walks one expression in one scope; `for` and splats walk their inside in a child scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.budget = scope.budget

    def eval(self, expr: Expr) -> Value:
        self.budget.step()
        return _RULES[type(expr)](self, expr)

    def inside(self, variables: dict[str, Value]) -> _Evaluator:
        return _Evaluator(self.scope.child(variables))

    def fail(
        self, expr: Expr, code: str, summary: str, detail: str, at: Expr | None = None, hint: str | None = None
    ) -> DiagnosticError:
        """Return the error for `expr`, with the values of its references."""
        shown: list[tuple[str, str]] = []
        for reference in references(expr)[:_MAX_VALUES_SHOWN]:
            try:
                value = self.traverse(reference.root, reference.steps)
            except (DiagnosticError, KeyError):
                continue
            shown.append((str(reference), show_brief(value)))
        values = tuple(dict.fromkeys(shown))
        return DiagnosticError(Diagnostic(code, summary, detail, span=(at or expr).span, hint=hint, values=values))

    def traverse(self, root: str, steps: Sequence[Any]) -> Value:
        value = self.scope.lookup(root)
        for step in steps:
            key = step.name if hasattr(step, "name") else step.key
            inner = bare(value)[0]
            attributes = _attributes(inner)
            if attributes is not None and str(key) in attributes:
                value = attributes[str(key)]
            elif isinstance(inner, (tuple, ListValue)) and isinstance(key, int):
                items = inner if isinstance(inner, tuple) else inner.items
                if not 0 <= key < len(items):
                    raise KeyError(key)
                value = items[key]
            else:
                raise KeyError(key)
        return value

    # the simple ones

    def literal(self, expr: Literal) -> Value:
        return expr.value

    def parens(self, expr: Parens) -> Value:
        return self.eval(expr.inner)

    def splat_item(self, expr: SplatItem) -> Value:
        return self.scope.lookup(_SPLAT)

    def reference(self, expr: ScopeRef) -> Value:
        try:
            return self.scope.lookup(expr.name)
        except KeyError:
            hint = suggestion(expr.name, (name for name in self.scope.names() if name != _SPLAT))
            detail = f'There is nothing named "{expr.name}" here.'
            raise self.fail(expr, "unknown-reference", "Unknown reference", detail, hint=hint) from None

    def tuple_(self, expr: TupleExpr) -> Value:
        self.budget.produce(8 * len(expr.items))
        return tuple(map(self.eval, expr.items))

    def object_(self, expr: ObjectExpr) -> Value:
        done: dict[str, Value] = {}
        tainted = False
        unknown: Unknown | None = None
        for item in expr.items:
            key, taint = bare(self.eval(item.key))
            value = self.eval(item.value)
            tainted = tainted or taint
            if isinstance(key, Unknown):
                unknown = key
                continue
            done[self.key_text(item.key, key, "object")] = value
        self.budget.produce(64 * len(done))
        result: Value = Unknown(ANY, unknown.origin) if unknown is not None else {k: done[k] for k in sorted(done)}
        return secret(result) if tainted else result

    def key_text(self, expr: Expr, key: Value, what: str) -> str:
        if key is None:
            detail = f"This {what} key is null. Keys must be text."
            raise self.fail(expr, "invalid-key", "Invalid key", detail)
        try:
            text = convert(key, STRING)
        except ConversionError as error:
            detail = f"This value cannot be the key of an {what}: {error}."
            raise self.fail(expr, "invalid-key", "Invalid key", detail) from None
        assert isinstance(text, str)
        return text

    # operators

    def unary(self, expr: Unary) -> Value:
        value, taint = bare(self.eval(expr.operand))
        of = NUMBER if expr.operator == "-" else BOOL
        try:
            if isinstance(value, Unknown):
                operand(value, of, "")
                result: Value = Unknown(of, value.origin)
            else:
                result = unary(expr.operator, value)
        except OperandError as error:
            raise self.fail(expr, "invalid-operand", error.summary, str(error), at=expr.operand) from None
        return secret(result) if taint else result

    def binary(self, expr: Binary) -> Value:
        left, left_taint = bare(self.eval(expr.left))
        right, right_taint = bare(self.eval(expr.right))
        unknown: Unknown | None = next((v for v in (left, right) if isinstance(v, Unknown)), None)
        taint = left_taint or right_taint
        if expr.operator in ("==", "!="):
            found, inner = self.survey(left), self.survey(right)
            unknown = unknown or found[0] or inner[0]
            taint = taint or found[1] or inner[1]
            if unknown and None in (left, right) and not any(isinstance(v, Unknown) for v in (left, right)):
                unknown = None
        try:
            if unknown is None:
                result = binary(expr.operator, left, right)
            else:
                for value, side in ((left, "left"), (right, "right")):
                    if expr.operator not in ("==", "!="):
                        operand(value, OPERAND_TYPE[expr.operator], side)
                result = self.short_circuit(expr.operator, left, right, unknown)
        except OperandError as error:
            at = {"left": expr.left, "right": expr.right}.get(error.side, expr)
            raise self.fail(expr, "invalid-operand", error.summary, str(error), at=at) from None
        return secret(result) if taint else result

    def short_circuit(self, operator: str, left: Value, right: Value, unknown: Unknown) -> Value:
        """Return what is known although one operand is not: `false && …` is false, `true || …` is true."""
        if operator in ("&&", "||"):
            decides = operator == "||"
            for value in (left, right):
                if not isinstance(value, Unknown) and convert(value, BOOL) is decides:
                    return decides
        return Unknown(RESULT_TYPE[operator], unknown.origin)

    def survey(self, value: Value) -> tuple[Unknown | None, bool]:
        return survey(value, self.budget)

    def condition(self, whole_expr: Expr, expr: Expr, what: str) -> tuple[Value, bool]:
        """Return a condition as bool or Unknown, and its taint."""
        value, taint = bare(self.eval(expr))
        if value is None:
            raise self.fail(
                whole_expr,
                "null-value",
                "Null condition",
                f"{what} is null. Conditions must be true or false.",
                at=expr,
            )
        try:
            return convert(value, BOOL), taint
        except ConversionError as error:
            detail = f"{what} cannot be used as a condition: {error}."
            raise self.fail(whole_expr, "invalid-condition", "Incorrect condition type", detail, at=expr) from None

    def conditional(self, expr: Conditional) -> Value:
        test, taint = self.condition(expr, expr.condition, "The condition")
        then, otherwise = self.eval(expr.then), self.eval(expr.otherwise)
        chosen = then if test is True else otherwise
        if isinstance(bare(chosen)[0], Entity) and not isinstance(test, Unknown):
            return secret(chosen) if taint else chosen
        self.survey(then)
        self.survey(otherwise)
        of = self.common_type(expr, bare(then)[0], bare(otherwise)[0])
        if isinstance(test, Unknown):
            taint = taint or isinstance(then, Secret) or isinstance(otherwise, Secret)
            result: Value = Unknown(of, test.origin)
        else:
            try:
                result = convert(chosen, of)
            except ConversionError as error:
                raise self.inconsistent(expr, then, otherwise, str(error)) from None
        return secret(result) if taint else result

    def common_type(self, expr: Conditional, then: Value, otherwise: Value) -> Type:
        if then is None or otherwise is None:
            return ANY
        one, other = type_of(then), type_of(otherwise)
        if one == other:
            return one if isinstance(then, Unknown) or isinstance(otherwise, Unknown) else ANY
        if (isinstance(then, Unknown) and one == ANY) or (isinstance(otherwise, Unknown) and other == ANY):
            return ANY
        found = unify([one, other])
        if found is None:
            raise self.inconsistent(expr, then, otherwise, "")
        return found

    def inconsistent(self, expr: Conditional, then: Value, otherwise: Value, why: str) -> DiagnosticError:
        one, other = friendly(type_of(then)), friendly(type_of(otherwise))
        detail = (
            f"The two results of a conditional must have one type. The 'true' value is {one}, but the 'false' value is {other}."
            + (f" In particular: {why}." if why else "")
        )
        return self.fail(expr, "inconsistent-types", "Inconsistent conditional result types", detail)

    # references into values

    def get_attr(self, expr: GetAttr) -> Value:
        source, taint = bare(self.eval(expr.source))
        result = self.attribute(expr, source, expr.name)
        return secret(result) if taint else result

    def attribute(self, expr: GetAttr | Index, source: Value, name: str) -> Value:
        if source is None:
            detail = f'This value is null, so it has no attribute "{name}".'
            raise self.fail(expr, "null-value", "Attempt to get attribute from null value", detail)
        if isinstance(source, Unknown):
            return self.unknown_attribute(expr, source, name)
        attributes = _attributes(source)
        if attributes is not None:
            if name in attributes:
                found: Value = attributes[name]
                return found
            raise self.no_attribute(expr, source, name, attributes)
        detail = f'A {friendly(type_of(source))} has no attributes, so ".{name}" does not exist.'
        hint = None
        if isinstance(source, (tuple, ListValue, SetValue)):
            hint = f"For the attribute of every element, write [*].{name}; for that of one element, [0].{name}."
        raise self.fail(expr, "unsupported-attribute", "Unsupported attribute", detail, hint=hint)

    def no_attribute(self, expr: Expr, source: Value, name: str, known: Iterable[str]) -> DiagnosticError:
        what = f'"{source.identity}"' if isinstance(source, Entity) else "This object"
        if isinstance(source, MapValue):
            detail = f'The key "{name}" is not in this map.'
            return self.fail(expr, "invalid-index", "Invalid index", detail, hint=suggestion(name, known))
        detail = f'{what} does not have an attribute named "{name}".'
        return self.fail(expr, "unsupported-attribute", "Unsupported attribute", detail, hint=suggestion(name, known))

    def unknown_attribute(self, expr: Expr, source: Unknown, name: str) -> Value:
        match source.type:
            case ObjectType(attributes=attributes):
                if name not in attributes:
                    raise self.no_attribute(expr, {}, name, attributes)
                return Unknown(attributes[name], source.origin)
            case MapType(element):
                return Unknown(element, source.origin)
        if source.type == ANY:
            return Unknown(ANY, source.origin)
        detail = f'A {friendly(source.type)} has no attributes, so ".{name}" does not exist.'
        raise self.fail(expr, "unsupported-attribute", "Unsupported attribute", detail)

    def index(self, expr: Index) -> Value:
        source, source_taint = bare(self.eval(expr.source))
        key, key_taint = bare(self.eval(expr.key))
        result = self.indexed(expr, source, key)
        return secret(result) if source_taint or key_taint else result

    def indexed(self, expr: Index, source: Value, key: Value) -> Value:
        if source is None:
            raise self.fail(
                expr, "null-value", "Attempt to index null value", "This value is null, so it has no elements."
            )
        if key is None:
            raise self.fail(expr, "invalid-index", "Invalid index", "The index is null.", at=expr.key)
        if isinstance(key, Unknown):
            return Unknown(_element_type(source), key.origin)
        if isinstance(source, Unknown):
            of = _element_type(source)
            if isinstance(source.type, ObjectType) and isinstance(key, str):
                return self.unknown_attribute(expr, source, key)
            return Unknown(of, source.origin)
        if isinstance(source, SetValue):
            detail = "Elements of a set have no index: a set has no order. Use tolist(...) first, or a for expression."
            raise self.fail(expr, "invalid-index", "Invalid index", detail)
        if isinstance(source, (tuple, ListValue)):
            return self.element(expr, source if isinstance(source, tuple) else source.items, key)
        attributes = _attributes(source)
        if attributes is None:
            detail = f"A {friendly(type_of(source))} has no elements to choose from."
            raise self.fail(expr, "invalid-index", "Invalid index", detail)
        name = self.index_key(expr, key, STRING)
        assert isinstance(name, str)
        if name in attributes:
            found: Value = attributes[name]
            return found
        detail = "The given key does not identify an element in this collection value."
        raise self.fail(expr, "invalid-index", "Invalid index", detail, at=expr.key, hint=suggestion(name, attributes))

    def index_key(self, expr: Index, key: Value, of: Type) -> Value:
        try:
            return convert(key, of)
        except ConversionError as error:
            detail = f"The given key does not identify an element in this collection value: {error}."
            raise self.fail(expr, "invalid-index", "Invalid index", detail, at=expr.key) from None

    def element(self, expr: Index, items: Sequence[Value], key: Value) -> Value:
        number = self.index_key(expr, key, NUMBER)
        assert isinstance(number, Decimal)
        position = whole(number)
        if position is not None and 0 <= position < len(items):
            return items[position]
        detail = "The given key does not identify an element in this collection value"
        if position is None:
            detail += ": a whole number is required."
        elif position < 0:
            detail += (
                ": a negative number is not a valid index. Use element(list, length(list) - 1) to count from the end."
            )
        else:
            detail += f": it has {len(items)} element{'' if len(items) == 1 else 's'}, counted from 0."
        raise self.fail(expr, "invalid-index", "Invalid index", detail, at=expr.key)

    # loops

    def for_(self, expr: ForExpr) -> Value:
        collection, taint = bare(self.eval(expr.collection))
        if isinstance(collection, Unknown):
            result: Value = Unknown(ANY, collection.origin)
            return secret(result) if taint else result
        loop = _Loop(self, expr, taint)
        for key, value in self.entries(expr, collection):
            names = {expr.value_name: value}
            if expr.key_name is not None:
                names[expr.key_name] = key
            loop.turn(self.inside(names))
        return loop.finish()

    def entries(self, expr: ForExpr | TemplateFor, collection: Value) -> Iterator[tuple[Value, Value]]:
        """Yield key and value of every element."""
        at = expr.collection
        if collection is None:
            raise self.fail(
                at, "null-value", "Iteration over null value", "The collection of this for expression is null."
            )
        if isinstance(collection, (tuple, ListValue)):
            items = collection if isinstance(collection, tuple) else collection.items
            return ((Decimal(i), item) for i, item in enumerate(items))
        if isinstance(collection, SetValue):
            return ((item, item) for item in collection.items)
        attributes = _attributes(collection)
        if attributes is None:
            detail = f"A {friendly(type_of(collection))} has no elements to go through."
            raise self.fail(at, "invalid-for", "Iteration over non-iterable value", detail)
        return ((key, attributes[key]) for key in sorted(attributes))

    def splat(self, expr: Splat) -> Value:
        source, taint = bare(self.eval(expr.source))
        if source is None:
            return secret(()) if taint else ()
        if isinstance(source, Unknown):
            result: Value = Unknown(ANY, source.origin)
            return secret(result) if taint else result
        items: Sequence[Value] = (source,)
        if isinstance(source, (tuple, ListValue, SetValue)):
            items = source if isinstance(source, tuple) else source.items
        done = tuple(self.inside({_SPLAT: item}).eval(expr.each) for item in items)
        self.budget.produce(8 * len(done))
        result = done
        if isinstance(source, (ListValue, SetValue)):
            of = unify([type_of(value) for value in done])
            result = ListValue(done, of) if of is not None else done
        return secret(result) if taint else result

    # templates and calls

    def template(self, expr: Template) -> Value:
        if expr.wraps:
            part = expr.parts[0]
            assert not isinstance(part, (Text, TemplateIf, TemplateFor))
            return self.eval(part)
        text = _Text(self, expr)
        text.add(self, expr.parts)
        return text.finish()

    def call(self, expr: Call) -> Value:
        return call_function(self, expr)


class _Loop:
    """Collects the results of a `for` expression, and what is unknown or secret about them as a whole."""

    def __init__(self, outer: _Evaluator, expr: ForExpr, taint: bool) -> None:
        self.outer = outer
        self.expr = expr
        self.taint = taint
        self.unknown: Unknown | None = None
        self.items: list[Value] = []
        self.pairs: dict[str, Value] = {}
        self.groups: dict[str, list[Value]] = {}

    def turn(self, inner: _Evaluator) -> None:
        """Evaluate one element."""
        expr = self.expr
        inner.budget.step()
        inner.budget.produce(16)
        if expr.condition is not None:
            test, taint = inner.condition(expr, expr.condition, "The 'if' clause of this for expression")
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

    def put(self, inner: _Evaluator, key: str, value: Value, taint: bool) -> None:
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


class _Text:
    """Collects the text of a template, and what is unknown or secret about it."""

    def __init__(self, evaluator: _Evaluator, expr: Template) -> None:
        self.expr = expr
        self.budget = evaluator.budget
        self.pieces: list[str] = []
        self.taint = False
        self.unknown: Unknown | None = None

    def add(self, evaluator: _Evaluator, parts: Sequence[TemplatePart]) -> None:
        """Add the text of parts, in a scope."""
        for part in parts:
            if isinstance(part, Text):
                self.write(part.value)
            elif isinstance(part, TemplateIf):
                test, taint = evaluator.condition(self.expr, part.condition, "The condition of this directive")
                self.taint = self.taint or taint
                if isinstance(test, Unknown):
                    self.unknown = test
                else:
                    self.add(evaluator, part.then if test else part.otherwise)
            elif isinstance(part, TemplateFor):
                self.add_for(evaluator, part)
            else:
                self.add_value(evaluator, part)

    def add_for(self, evaluator: _Evaluator, part: TemplateFor) -> None:
        collection, taint = bare(evaluator.eval(part.collection))
        self.taint = self.taint or taint
        if isinstance(collection, Unknown):
            self.unknown = collection
            return
        for key, value in evaluator.entries(part, collection):
            names = {part.value_name: value}
            if part.key_name is not None:
                names[part.key_name] = key
            self.budget.step()
            self.add(evaluator.inside(names), part.body)

    def add_value(self, evaluator: _Evaluator, part: Expr) -> None:
        value, taint = bare(evaluator.eval(part))
        self.taint = self.taint or taint
        if isinstance(value, Unknown):
            self.unknown = value
            return
        if value is None:
            detail = "The expression result is null. Cannot include a null value in a string template."
            raise evaluator.fail(part, "invalid-template-value", "Invalid template interpolation value", detail)
        try:
            text = convert(value, STRING)
        except ConversionError as error:
            detail = f"Cannot include the given value in a string template: {error}."
            raise evaluator.fail(
                part, "invalid-template-value", "Invalid template interpolation value", detail
            ) from None
        assert isinstance(text, str)
        self.write(text)

    def write(self, text: str) -> None:
        self.budget.produce(len(text))
        self.pieces.append(text)

    def finish(self) -> Value:
        """Return the text as a whole."""
        result: Value = "".join(self.pieces)
        if self.unknown is not None:
            result = Unknown(STRING, self.unknown.origin)
        return secret(result) if self.taint else result


def _attributes(value: Value) -> Any:
    match value:
        case dict():
            return value
        case MapValue(items):
            return items
        case Entity(_, attributes):
            return attributes
    return None


def _element_type(source: Value) -> Type:
    of = source.type if isinstance(source, Unknown) else type_of(source)
    match of:
        case ListType(element) | MapType(element) | SetType(element):
            return element
        case TupleType(inner) if inner:
            return unify(inner) or ANY
    return ANY


_RULES: dict[type, Callable[[_Evaluator, Any], Value]] = {
    Literal: _Evaluator.literal,
    Parens: _Evaluator.parens,
    ScopeRef: _Evaluator.reference,
    SplatItem: _Evaluator.splat_item,
    TupleExpr: _Evaluator.tuple_,
    ObjectExpr: _Evaluator.object_,
    Unary: _Evaluator.unary,
    Binary: _Evaluator.binary,
    Conditional: _Evaluator.conditional,
    GetAttr: _Evaluator.get_attr,
    Index: _Evaluator.index,
    ForExpr: _Evaluator.for_,
    Splat: _Evaluator.splat,
    Template: _Evaluator.template,
    Call: _Evaluator.call,
}
