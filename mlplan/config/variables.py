"""Values of variables: defaults, environment, files, files and texts of the command line, in that order; converted, tainted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from mlplan.config.blocks import Variable
from mlplan.config.files import MOST_BYTES, unreadable
from mlplan.config.module import Module
from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.lang.evaluate import evaluate
from mlplan.lang.parse import parse, parse_expression
from mlplan.lang.scope import Scope
from mlplan.lang.source import SourceFile, Span
from mlplan.lang.syntax import Expr, Literal
from mlplan.lang.values import Unknown, Value, from_python, secret

PREFIX = "MLPLAN_VAR_"


@dataclass(frozen=True)
class Given:
    """A value from outside: an expression, plain data, or text that is read as the type asks.

    strict: it was given for this project on purpose, so a name that nobody declares is an error and not a remark.
    """

    origin: str
    expr: Expr | None = None
    text: str | None = None
    data: Value = None
    span: Span | None = None
    strict: bool = False


def given_values(
    root: Path, files: Sequence[Path], environment: Mapping[str, str], command_line: Mapping[str, str],
    sources: dict[str, SourceFile],
) -> tuple[dict[str, Given], list[Diagnostic]]:  # fmt: skip
    """Return values by variable; later sources win: environment, mlplan.vars.hcl, *.auto.vars.hcl, --var-file, --var (Terraform's order)."""
    found: dict[str, Given] = {}
    problems: list[Diagnostic] = []

    def read(path: Path) -> None:
        values, wrong = _read_file(path, root, sources)
        found.update(values)
        problems.extend(wrong)

    for name, text in environment.items():
        if name.startswith(PREFIX):
            found[name.removeprefix(PREFIX)] = Given(f"environment variable {name}", text=text)
    named = [root / "mlplan.vars.hcl", root / "mlplan.vars.json"]
    automatic = sorted([*root.glob("*.auto.vars.hcl"), *root.glob("*.auto.vars.json")])
    for path in (p for p in [*named, *automatic] if p.is_file()):
        read(path)
    for path in files:
        read(path)
    found.update({name: Given(f"--var {name}", text=text, strict=True) for name, text in command_line.items()})
    return found, problems


def _read_file(path: Path, root: Path, sources: dict[str, SourceFile]) -> tuple[dict[str, Given], list[Diagnostic]]:
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise OSError(0, "it is larger than 2 MiB")
        source = SourceFile(shown, path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        return {}, [unreadable(shown, getattr(error, "strerror", None) or str(error))]
    if path.suffix == ".json":
        return _read_json(source)
    sources[shown] = source
    body, problems = parse(source)
    for block in body.blocks:
        detail = f'{shown} holds values of variables, as in name = "value"; blocks do not belong there.'
        problems.append(Diagnostic("unknown-block", "There is no such block", detail, span=block.header_span))
    return {n: Given(shown, a.expr, span=a.name_span) for n, a in body.attributes.items()}, problems


def _read_json(source: SourceFile) -> tuple[dict[str, Given], list[Diagnostic]]:
    try:
        document = json.loads(source.text, parse_float=Decimal, parse_int=Decimal)
        if not isinstance(document, dict):
            raise ValueError("the document must be one object of values by variable")
        return {name: Given(source.path, data=from_python(value)) for name, value in document.items()}, []
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        return {}, [unreadable(source.path, f"it is no JSON object of values ({error})")]


NOT_GIVEN = "known once a value is given"
"""Origin of variables without a value, where values are not needed."""


def resolve(
    module: Module, given: Mapping[str, Given], root: Path, *, lenient: bool = False
) -> tuple[dict[str, Value], list[Diagnostic]]:
    """Return the value of every declared variable, and what is wrong: undeclared, missing, of the wrong type, null.

    lenient: a variable without a value is unknown, and nothing is wrong with that.
    """
    values: dict[str, Value] = {}
    problems = [_undeclared(name, item, module) for name, item in given.items() if _counts(name, item, module)]
    scope = Scope({}, root=root)
    for variable in module.variables.values():
        if lenient and variable.name not in given and variable.default is None:
            unknown = Unknown(variable.type, f"{NOT_GIVEN} to var.{variable.name}")
            values[variable.name] = secret(unknown) if variable.sensitive or variable.ephemeral else unknown
            continue
        try:
            values[variable.name] = _value(variable, given.get(variable.name), scope)
        except DiagnosticError as error:
            problems += error.diagnostics
    return values, problems


def _counts(name: str, item: Given, module: Module) -> bool:
    return name not in module.variables and not item.origin.startswith("environment")


def _undeclared(name: str, item: Given, module: Module) -> Diagnostic:
    return Diagnostic(
        "undeclared-variable", "A value is given for an undeclared variable",
        f'{item.origin} gives "{name}", which no variable block declares.', "error" if item.strict else "warning",
        span=item.span, hint=suggestion(name, module.variables),
    )  # fmt: skip


def _value(variable: Variable, given: Given | None, scope: Scope) -> Value:
    if given is None:
        if variable.default is None:
            detail = f'variable "{variable.name}" has no default and no value. Give one: --var {variable.name}=…, or {PREFIX}{variable.name}.'
            raise DiagnosticError(Diagnostic("missing-variable", "A variable has no value", detail, span=variable.span))
        return converted(variable, evaluate(variable.default, scope), variable.default.span, "its default")
    value = _of_text(variable, given, scope) if given.text is not None else given.data
    if given.expr is not None:
        value = evaluate(given.expr, scope)
    if value is None and not variable.nullable and variable.default is not None:
        return converted(variable, evaluate(variable.default, scope), variable.default.span, "its default")
    return converted(variable, value, given.span or variable.span, given.origin)


def input_value(variable: Variable, expr: Expr | None, scope: Scope, span: Span, caller: str) -> Value:
    """Return the value of a module's variable from what its caller gives. Raises: DiagnosticError."""
    from mlplan.lang.evaluate import evaluate_inner

    value = evaluate_inner(expr, scope) if expr is not None else None
    if expr is None or (value is None and not variable.nullable):
        if variable.default is not None:
            value, span = evaluate_inner(variable.default, Scope({}, root=scope.root)), variable.default.span
        elif expr is None:
            detail = f'{caller} needs "{variable.name}"' + (
                f": {variable.description}" if variable.description else "."
            )
            raise DiagnosticError(Diagnostic("missing-argument", "A required argument is missing", detail, span=span))
    return converted(variable, value, expr.span if expr is not None else span, caller)


def converted(variable: Variable, value: Value, span: Span, origin: str) -> Value:
    """Return a value in the type of a variable, tainted when the variable is sensitive. Raises: DiagnosticError."""
    try:
        value = convert(value, variable.type)
    except ConversionError as error:
        hidden = variable.sensitive or variable.ephemeral
        why = "the value, which is sensitive, does not fit" if hidden else str(error)
        detail = f'variable "{variable.name}", from {origin}: {why}. Its type is {variable.type}.'
        raise DiagnosticError(Diagnostic("wrong-type", "A value has the wrong type", detail, span=span)) from error
    if value is None and not variable.nullable:
        detail = f'variable "{variable.name}" must not be null, and is given null by {origin}.'
        raise DiagnosticError(Diagnostic("null-variable", "A variable must not be null", detail, span=span))
    return secret(value) if variable.sensitive or variable.ephemeral else value


def _of_text(variable: Variable, given: Given, scope: Scope) -> Value:
    assert given.text is not None
    if variable.literal:
        return given.text
    expr, problems = parse_expression(SourceFile(given.origin, given.text))
    if problems or expr is None:
        why = (problems[0].detail or problems[0].summary) if problems else "it is empty"
        detail = (
            f'{given.origin}: the type of variable "{variable.name}" is {variable.type}, so its value is read as an '
            f'expression, such as ["a", "b"], and this cannot be read: {why}'
        )
        raise DiagnosticError(
            Diagnostic("invalid-variable-text", "A variable's text cannot be read", detail, span=variable.span)
        )
    if isinstance(expr, Literal):
        return expr.value
    try:
        return evaluate(expr, scope)
    except DiagnosticError as error:
        first = error.diagnostics[0]
        detail = f"{given.origin}: {first.detail or first.summary}"
        raise DiagnosticError(
            Diagnostic("invalid-variable-text", "A variable's text cannot be read", detail, span=variable.span)
        ) from None
