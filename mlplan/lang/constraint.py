"""Type constraints, as in `type = list(object({ a = optional(number, 1) }))`, read from their expressions."""

from __future__ import annotations

from collections.abc import Callable

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.lang.reference import as_traversal
from mlplan.lang.syntax import Call, Expr, Literal, ObjectExpr, Parens, TupleExpr
from mlplan.lang.types import ANY, BOOL, NUMBER, STRING, ListType, MapType, ObjectType, SetType, TupleType, Type
from mlplan.lang.values import to_python

_PRIMITIVES = {"string": STRING, "number": NUMBER, "bool": BOOL, "any": ANY}
_COLLECTIONS: dict[str, Callable[[Type], Type]] = {"list": ListType, "set": SetType, "map": MapType}
_CONSTRUCTORS = (*_COLLECTIONS, "object", "tuple")


def parse_type(expr: Expr) -> Type:
    """Return the type that an expression writes; `list` alone means list(any). Raises DiagnosticError (invalid-type)."""
    if isinstance(expr, Parens):
        return parse_type(expr.inner)
    if isinstance(expr, Call):
        return _constructed(expr)
    traversal = as_traversal(expr)
    if traversal is not None and not traversal.steps:
        name = traversal.root
        if name in _PRIMITIVES:
            return _PRIMITIVES[name]
        if name in _COLLECTIONS:
            return _COLLECTIONS[name](ANY)
        if name in _CONSTRUCTORS:
            raise _invalid(expr, f'"{name}" needs what it is made of: {_usage(name)}.')
        hint = suggestion(name, (*_PRIMITIVES, *_CONSTRUCTORS))
        raise _invalid(expr, f'There is no type named "{name}".', hint)
    if isinstance(expr, Literal) and isinstance(expr.value, str):
        raise _invalid(expr, f"Types are written without quotes: {expr.value}.")
    raise _invalid(
        expr, "This is no type. Write string, number, bool, any, list(…), set(…), map(…), object({…}) or tuple([…])."
    )


def _constructed(expr: Call) -> Type:
    name = expr.name
    if name == "optional":
        raise _invalid(expr, "optional(…) stands only directly for an attribute of an object type.")
    if name not in _CONSTRUCTORS:
        raise _invalid(expr, f'There is no type constructor named "{name}".', suggestion(name, _CONSTRUCTORS))
    if len(expr.arguments) != 1 or expr.expand_final:
        raise _invalid(expr, f"{name} takes one argument: {_usage(name)}.")
    argument = expr.arguments[0]
    if name in _COLLECTIONS:
        return _COLLECTIONS[name](parse_type(argument))
    if name == "tuple":
        if not isinstance(argument, TupleExpr):
            raise _invalid(argument, f"A tuple type is written {_usage(name)}.")
        return TupleType(tuple(map(parse_type, argument.items)))
    if not isinstance(argument, ObjectExpr):
        raise _invalid(argument, f"An object type is written {_usage(name)}.")
    return _object(argument)


def _object(expr: ObjectExpr) -> Type:
    attributes: dict[str, Type] = {}
    optional: set[str] = set()
    defaults: dict[str, object] = {}
    for item in expr.items:
        if not isinstance(item.key, Literal) or not isinstance(item.key.value, str):
            raise _invalid(item.key, "The names of an object type's attributes are plain names.")
        name = item.key.value
        if name in attributes:
            raise _invalid(item.key, f'The attribute "{name}" is already there.')
        of = item.value
        if isinstance(of, Call) and of.name == "optional":
            optional.add(name)
            if not 1 <= len(of.arguments) <= 2:
                raise _invalid(of, "optional takes a type and, if wanted, a default: optional(number, 5).")
            attributes[name] = parse_type(of.arguments[0])
            if len(of.arguments) == 2:
                defaults[name] = _default(of.arguments[1], attributes[name])
        else:
            attributes[name] = parse_type(of)
    return ObjectType(attributes, frozenset(optional), defaults)


def _default(expr: Expr, of: Type) -> object:
    from mlplan.lang.convert import ConversionError, convert
    from mlplan.lang.evaluate import evaluate
    from mlplan.lang.scope import Scope

    value = evaluate(expr, Scope())
    try:
        convert(value, of)
    except ConversionError as error:
        raise _invalid(expr, f"This default does not fit its type {of}: {error}.") from None
    return value if not isinstance(value, (tuple, dict)) else to_python(value)


def _usage(name: str) -> str:
    return {"object": "object({ name = string })", "tuple": "tuple([string, number])"}.get(name, f"{name}(string)")


def _invalid(expr: Expr, detail: str, hint: str | None = None) -> DiagnosticError:
    return DiagnosticError(Diagnostic("invalid-type", "Invalid type", detail, span=expr.span, hint=hint))
