"""The `import` blocks: which address takes over which thing that exists already; one block may stand for many, by for_each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mlplan.config.addresses import Address, Key, parse_address, part_text
from mlplan.config.consistency import Declared
from mlplan.config.expand import each_of
from mlplan.config.program import Import
from mlplan.config.scopes import ModuleScope, keyed
from mlplan.config.strict import only, problem, required
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.lang.evaluate import evaluate
from mlplan.lang.syntax import Block, Expr, GetAttr, Index, ScopeRef
from mlplan.lang.values import Secret, Unknown, Value

ARGUMENTS = ("to", "id", "for_each")


def read_imports(block: Block, scope: ModuleScope, problems: list[Diagnostic]) -> list[Import]:
    """Return what a block imports, one for each key of its for_each; what is wrong with it goes to `problems`."""
    problems += [*only(block, ARGUMENTS), *required(block, "to", "id")]
    attributes: Mapping[str, Expr] = {name: a.expr for name, a in block.body.attributes.items()}
    if "to" not in attributes or "id" not in attributes:
        return []
    found: list[Import] = []
    try:
        for each in _eaches(attributes.get("for_each"), scope):
            inside = ModuleScope(scope.around, scope.evaluation, each)
            found.append(
                Import(_target(attributes["to"], inside), _identity(attributes["id"], inside), block.header_span)
            )
    except DiagnosticError as error:
        problems += error.diagnostics
        return []
    return found


def _eaches(expr: Expr | None, scope: ModuleScope) -> Iterator[Mapping[str, Value]]:
    if expr is None:
        yield {}
        return
    for key, value in each_of(evaluate(expr, scope), expr.span):
        yield keyed(key, value)


def _target(expr: Expr, scope: ModuleScope) -> str:
    """Return the address that `to` names; only its keys are evaluated. Raises: DiagnosticError."""
    parts: list[tuple[str, Key]] = []
    _walk(expr, scope, parts)
    text = ".".join(map(part_text, parts))
    address = parse_address(text)
    if address is None or not address.kind or len(address.rest) > 1 or (address.rest and address.rest[0][1] is None):
        raise _bad("The argument to must be the address of a block, an instance or a deployment, without quotes", expr)
    return str(address)


def _walk(expr: Expr, scope: ModuleScope, parts: list[tuple[str, Key]]) -> None:
    match expr:
        case ScopeRef(name, _):
            parts.append((name, None))
        case GetAttr(source, name, _):
            _walk(source, scope, parts)
            parts.append((name, None))
        case Index(source, key, _):
            _walk(source, scope, parts)
            if parts[-1][1] is not None:
                raise _bad("The argument to has two keys in a row", expr)
            parts[-1] = (parts[-1][0], _key(key, scope))
        case _:
            raise _bad(
                "The argument to must be the address of a block, an instance or a deployment, without quotes", expr
            )


def _key(expr: Expr, scope: ModuleScope) -> Key:
    from decimal import Decimal

    value = evaluate(expr, scope)
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal) and value == value.to_integral_value() and value >= 0:
        return int(value)
    raise _bad(
        "A key in the argument to must be text or a whole number that is known when planning, and not sensitive", expr
    )


def _identity(expr: Expr, scope: ModuleScope) -> str:
    value = evaluate(expr, scope)
    if isinstance(value, Unknown):
        raise _bad(f"The id must be known when planning; it is {value.origin or 'known after apply'}", expr)
    if isinstance(value, Secret):
        raise _bad("The id must not be sensitive: it is shown in plans", expr)
    if not isinstance(value, str) or not value.strip():
        raise _bad("The id must be text that says where the thing is", expr)
    return value


def check_imports(imports: Iterable[Import], declared: Declared) -> list[Diagnostic]:
    """Return an error for every import into an address that is not declared, or is imported twice."""
    found: list[Diagnostic] = []
    seen: dict[str, str] = {}
    for item in imports:
        address = parse_address(item.target)
        assert address is not None
        instance = str(Address(address.modules, address.kind, address.name, address.key))
        if instance not in declared.instances:
            detail = f"{instance} is not declared. Write its block first; the import then gives it what is there."
            hint = suggestion(instance, declared.instances)
            found.append(problem("invalid-import", "This import cannot be used", detail, item.span, hint))
        if item.target in seen:
            other = "" if seen[item.target] == item.id else f', from "{seen[item.target]}" and from "{item.id}"'
            detail = f"{item.target} is imported twice{other}."
            found.append(problem("invalid-import", "This import cannot be used", detail, item.span))
        seen[item.target] = item.id
    return found


def _bad(why: str, expr: Expr) -> DiagnosticError:
    return DiagnosticError(problem("invalid-import", "This import cannot be used", f"{why}.", expr.span))
