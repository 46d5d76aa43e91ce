"""Values of variables: defaults, files, environment, command line, in that order; converted, validated, tainted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlplan.config.decode import check_conditions
from mlplan.config.module import Module, Variable
from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.lang.evaluate import evaluate
from mlplan.lang.parse import parse, parse_expression
from mlplan.lang.scope import Scope
from mlplan.lang.source import SourceFile, Span
from mlplan.lang.syntax import Expr, Literal
from mlplan.lang.types import ANY, STRING, Type
from mlplan.lang.values import Value, secret

PREFIX = "MLPLAN_VAR_"
MOST_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class Given:
    """A value from outside: an expression, or text that becomes one when the type asks for more than text."""

    expr: Expr | None
    text: str | None
    origin: str
    span: Span | None = None


def given_values(
    root: Path, files: Sequence[Path], environment: Mapping[str, str], command_line: Mapping[str, str],
    sources: dict[str, SourceFile],
) -> tuple[dict[str, Given], list[Diagnostic]]:  # fmt: skip
    """Return values by variable; later sources win. Values in the environment for undeclared variables are ignored."""
    found: dict[str, Given] = {}
    problems: list[Diagnostic] = []
    automatic = [root / "mlplan.vars.hcl", *sorted(root.glob("*.auto.vars.hcl"))]
    for path in [*(p for p in automatic if p.is_file()), *files]:
        values, wrong = _read_file(path, root, sources)
        found.update(values)
        problems += wrong
    for name, text in environment.items():
        if name.startswith(PREFIX):
            found[name.removeprefix(PREFIX)] = Given(None, text, f"environment variable {name}")
    found.update({name: Given(None, text, f"--var {name}") for name, text in command_line.items()})
    return found, problems


def _read_file(path: Path, root: Path, sources: dict[str, SourceFile]) -> tuple[dict[str, Given], list[Diagnostic]]:
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise OSError(0, "it is larger than 2 MiB")
        source = SourceFile(shown, path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        detail = f"{shown}: {getattr(error, 'strerror', None) or error}."
        return {}, [Diagnostic("file-unreadable", "A file cannot be read", detail)]
    sources[shown] = source
    body, problems = parse(source)
    for block in body.blocks:
        detail = f'{shown} holds values of variables, as in name = "value"; blocks do not belong there.'
        problems.append(Diagnostic("unknown-block", "There is no such block", detail, span=block.header_span))
    return {n: Given(a.expr, None, shown, a.name_span) for n, a in body.attributes.items()}, problems


def resolve(module: Module, given: Mapping[str, Given], root: Path) -> tuple[dict[str, Value], list[Diagnostic]]:
    """Return the value of every declared variable, and what is wrong: undeclared, missing, wrong type, not valid."""
    values: dict[str, Value] = {}
    problems = [
        Diagnostic(
            "undeclared-variable", "A value is given for an undeclared variable",
            f'{item.origin} gives "{name}", which no variable block declares.', span=item.span, hint=suggestion(name, module.variables),
        )
        for name, item in given.items()
        if name not in module.variables and not item.origin.startswith("environment")
    ]  # fmt: skip
    scope = Scope({}, root=root)
    for variable in module.variables.values():
        try:
            values[variable.name] = _value(variable, given.get(variable.name), scope)
        except DiagnosticError as error:
            problems += error.diagnostics
    inner = Scope({"var": values}, root=root)
    for variable in module.variables.values():
        if variable.name in values:
            problems += check_conditions(variable.validations, inner)
    return values, problems


def _value(variable: Variable, given: Given | None, scope: Scope) -> Value:
    type_: Type = ANY
    if variable.type is not None:
        from mlplan.lang.constraint import parse_type

        type_ = parse_type(variable.type)
    if given is None and variable.default is None:
        detail = f'variable "{variable.name}" has no default and no value. Give one: --var {variable.name}=…, or {PREFIX}{variable.name}.'
        raise DiagnosticError(Diagnostic("missing-variable", "A variable has no value", detail, span=variable.span))
    expr = given.expr if given is not None else variable.default
    span = given.span if given is not None else variable.span
    if given is not None and given.text is not None:
        expr = _expression_of(given, type_, variable)
    assert expr is not None
    value = evaluate(expr, scope)
    try:
        value = convert(value, type_)
    except ConversionError as error:
        detail = f'variable "{variable.name}": {error}. Its type is {type_}.'
        raise DiagnosticError(
            Diagnostic("wrong-type", "A value has the wrong type", detail, span=span or variable.span)
        ) from error
    if value is None and not variable.nullable:
        detail = f'variable "{variable.name}" must not be null.'
        raise DiagnosticError(
            Diagnostic("null-variable", "A variable must not be null", detail, span=span or variable.span)
        )
    return secret(value) if variable.sensitive else value


def _expression_of(given: Given, type_: Type, variable: Variable) -> Expr:
    assert given.text is not None
    if type_ in (STRING, ANY):
        return Literal(given.text, variable.span)
    expr, problems = parse_expression(SourceFile(given.origin, given.text))
    if expr is None or problems:
        # "5", "true" and words are text that converts; anything else has to be an expression.
        return Literal(given.text, variable.span)
    return expr
