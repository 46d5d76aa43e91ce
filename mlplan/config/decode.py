"""Bodies to plain Python by their schemas, with every mistake reported. Knows types, not nouns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlplan.config import quantities
from mlplan.config.addresses import kind_of
from mlplan.config.dynamic import expand_dynamic
from mlplan.config.hiding import refuse_secret
from mlplan.config.scopes import ModuleScope
from mlplan.config.strict import article, known_words
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.lang.evaluate import evaluate
from mlplan.lang.reference import as_traversal
from mlplan.lang.scope import Scope
from mlplan.lang.source import Span
from mlplan.lang.syntax import AttributeStep, Block, Body, Expr, Literal, ObjectExpr, Traversal, TupleExpr
from mlplan.lang.values import Entity, MapValue, Secret, Unknown, Value, elements, to_python
from mlplan.spi.schema import Argument, ArgumentType, BlockSchema, NestedBlock, Reference

META_ARGUMENTS = frozenset({"count", "for_each", "depends_on", "provider"})
META_BLOCKS = frozenset({"lifecycle"})
QUANTITIES: Mapping[str, Callable[[Any], Any]] = {
    "duration": quantities.parse_duration,
    "size": quantities.parse_size,
    "rate": quantities.parse_rate,
    "fraction": quantities.parse_fraction,
}


def decode_body(
    body: Body,
    schema: BlockSchema,
    scope: Scope,
    meta: frozenset[str],
    meta_blocks: frozenset[str],
    what: str,
    place: Span,
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Return a body's arguments and nested blocks in decoded form.

    Diagnostics: unknown-argument, missing-argument, wrong-type, invalid-choice, invalid-quantity, wrong-reference, unknown-block,
    wrong-labels, block-repeated, and those of evaluation.
    """
    found: dict[str, Any] = {}
    problems: list[Diagnostic] = []
    for name, attribute in body.attributes.items():
        argument = schema.arguments.get(name)
        if argument is None and schema.open_arguments is not None:
            argument = Argument(schema.open_arguments, "")
        if argument is None:
            if name not in meta:
                problems.append(
                    known_words("argument", name, schema.arguments, what, attribute.name_span, schema.blocks)
                )
            continue
        try:
            found[name] = _argument(attribute.expr, argument, name, scope)
        except DiagnosticError as error:
            problems += [d.at(attribute.expr.span) for d in error.diagnostics]
    for name, argument in schema.arguments.items():
        if (found.get(name) is None and name not in body.attributes) or (name in found and found[name] is None):
            if argument.required:
                detail = f'{what[:1].upper()}{what[1:]} needs "{name}": {argument.description}'
                problems.append(Diagnostic("missing-argument", "A required argument is missing", detail, span=place))
            found[name] = argument.default
    problems += _blocks(body, schema, scope, meta_blocks, what, place, found)
    return found, problems


def _blocks(
    body: Body, schema: BlockSchema, scope: Scope, meta: frozenset[str], what: str, place: Span, found: dict[str, Any]
) -> list[Diagnostic]:
    problems: list[Diagnostic] = []
    by_type: dict[str, list[tuple[Block, Scope]]] = {name: [] for name in schema.blocks}
    for block in body.blocks:
        if block.type == "dynamic" and len(block.labels) == 1 and block.labels[0] in schema.blocks:
            problems += expand_dynamic(block, scope, by_type[block.labels[0]])
        elif block.type in by_type:
            by_type[block.type].append((block, scope))
        elif block.type not in meta:
            name = block.labels[0] if block.type == "dynamic" and len(block.labels) == 1 else block.type
            place_of = block.label_spans[0] if name is not block.type else block.type_span
            problems.append(known_words("block", name, schema.blocks, what, place_of, schema.arguments))
    for name, nested in schema.blocks.items():
        found[name], wrong = _nested(name, nested, by_type[name], what, place)
        problems += wrong
    return problems


def _nested(
    name: str, nested: NestedBlock, blocks: list[tuple[Block, Scope]], what: str, place: Span
) -> tuple[Any, list[Diagnostic]]:
    problems: list[Diagnostic] = []
    if len(blocks) < nested.least:
        detail = f'{what} needs {"a" if nested.least == 1 else nested.least} "{name}" block.'
        problems.append(Diagnostic("missing-block", "A required block is missing", detail, span=place))
    if nested.most is not None and len(blocks) > nested.most:
        detail = f'{what} takes at most {nested.most} "{name}" block; here are {len(blocks)}.'
        problems.append(
            Diagnostic("block-repeated", "A block is repeated", detail, span=blocks[nested.most][0].header_span)
        )
    labelled: dict[str, Any] = {}
    plain: list[Any] = []
    for block, scope in blocks:
        if len(block.labels) != nested.labels:
            words = "one label, its name" if nested.labels else "no label"
            detail = f'"{name}" takes {words}; here are {len(block.labels)}.'
            problems.append(Diagnostic("wrong-labels", "A block has the wrong labels", detail, span=block.header_span))
            continue
        value, wrong = decode_body(
            block.body, nested.schema, scope, frozenset(), frozenset(), f'"{name}"', block.header_span
        )
        problems += wrong
        if nested.labels == 0:
            plain.append(value)
        elif block.labels[0] in labelled:
            detail = f'"{name}" "{block.labels[0]}" is declared twice in {what}.'
            problems.append(
                Diagnostic("duplicate-block", "Something is declared twice", detail, span=block.header_span)
            )
        else:
            labelled[block.labels[0]] = {"name": block.labels[0], **value}
    if nested.labels:
        return labelled, problems
    return (plain[0] if plain else None) if nested.most == 1 else tuple(plain), problems


def _argument(expr: Expr, argument: Argument, name: str, scope: Scope) -> Any:
    direct = _direct(expr, argument.type, scope)
    if direct is not None:
        return direct
    value = evaluate(expr, scope)
    decoded = decoded_value(value, argument.type, name, expr.span)
    if argument.sensitive and decoded is not None and not isinstance(decoded, Secret | Unknown):
        decoded = Secret(decoded)
    if not argument.sensitive:
        refuse_secret(decoded, name, expr.span)
    if argument.choices and isinstance(decoded, str) and decoded not in argument.choices:
        detail = f'{name} is "{decoded}"; it can be {", ".join(argument.choices)}.'
        raise DiagnosticError(
            Diagnostic(
                "invalid-choice",
                "A value is not among the choices",
                detail,
                span=expr.span,
                hint=suggestion(decoded, argument.choices),
            )
        )
    return decoded


def _direct(expr: Expr, type_: ArgumentType, scope: Scope) -> Any:
    """Return references that are written out, without evaluating what they refer to; None for anything computed."""
    if type_.semantic == "reference":
        traversal = as_traversal(expr)
        return _reference(traversal, type_, scope) if traversal and traversal.root in type_.kinds else None
    if type_.semantic == "list" and type_.of and type_.of.semantic == "reference" and isinstance(expr, TupleExpr):
        items = [_direct(item, type_.of, scope) for item in expr.items]
        return tuple(items) if all(item is not None for item in items) else None
    if type_.semantic == "map" and type_.of and type_.of.semantic == "reference" and isinstance(expr, ObjectExpr):
        pairs = {
            item.key.value: _direct(item.value, type_.of, scope) for item in expr.items if isinstance(item.key, Literal)
        }
        whole = len(pairs) == len(expr.items) and all(value is not None for value in pairs.values())
        return {str(key): value for key, value in pairs.items()} if whole else None
    return None


def _reference(traversal: Traversal, type_: ArgumentType, scope: Scope) -> Reference | None:
    inner: Scope | None = scope
    while inner is not None and not isinstance(inner, ModuleScope):
        if traversal.root in inner.variables:
            return None
        inner = inner.parent
    found = inner.find(traversal) if inner is not None else None
    if found is None:
        return None  # evaluating it says why
    instance, steps = found
    path = tuple(step.name if isinstance(step, AttributeStep) else str(step.key) for step in steps)
    if path and inner is not None:
        schema = inner.around.shared.schemas[instance.kind]
        body = instance.resource.block.body
        if path[0] not in (*schema.arguments, *schema.blocks, *schema.computed):
            return None
        labels = [b.labels[0] for b in body.blocks if b.type == path[0] and b.labels]
        computed = any(b.type == "dynamic" and b.labels[:1] == (path[0],) for b in body.blocks)
        if path[0] in schema.blocks and len(path) > 1 and path[1] not in labels and not computed:
            return None
    return Reference(instance.address, path)


def decoded_value(value: Value, type_: ArgumentType, name: str, span: Span) -> Any:
    """Return a value in the decoded form of its type; unknown and secret ones stay so. Raises: DiagnosticError."""
    if isinstance(value, Unknown):
        return value
    if isinstance(value, Secret):
        return Secret(decoded_value(value.value, type_, name, span))
    if value is None:
        return None
    if type_.semantic == "reference":
        return _entity(value, type_, name, span)
    if type_.semantic in ("list", "map", "object"):
        return _container(value, type_, name, span)
    if type_.semantic == "any":
        return plain_value(to_python(value))
    return _primitive(to_python(value), type_, name, span)


def plain_value(value: Any) -> Any:
    """Return plain Python with entities as references."""
    if isinstance(value, Entity):
        address, _, path = value.identity.partition("#")
        return Reference(address, tuple(path.split(".")) if path else ())
    if isinstance(value, Mapping):
        return {str(k): plain_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(plain_value(v) for v in value)
    return value


def _primitive(value: Any, type_: ArgumentType, name: str, span: Span) -> Any:
    wanted = type_.semantic
    if wanted in QUANTITIES:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return QUANTITIES[wanted](value)
    elif wanted in ("string", "provider"):
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
    elif wanted == "bool":
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
    elif wanted in ("number", "integer"):
        return _number(value, wanted, name, span)
    raise DiagnosticError(_wrong(name, type_, value, span))


def _number(value: Any, wanted: str, name: str, span: Span) -> int | float:
    number: int | float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str):
        try:
            number = float(value) if "." in value or "e" in value.lower() else int(value)
        except ValueError:
            number = None
    if number is None or (wanted == "integer" and number != int(number)):
        raise DiagnosticError(_wrong(name, ArgumentType("number" if wanted == "number" else "integer"), value, span))
    return int(number) if wanted == "integer" else number


def _container(value: Value, type_: ArgumentType, name: str, span: Span) -> Any:
    if type_.semantic == "list":
        if isinstance(value, str | bool | Mapping | Entity) or (
            not hasattr(value, "__iter__") and not hasattr(value, "items")
        ):
            raise DiagnosticError(_wrong(name, type_, to_python(value), span))
        of = type_.of or ArgumentType("any")
        return tuple(decoded_value(item, of, f"{name}[{i}]", span) for i, item in enumerate(elements(value)))
    pairs = value.attributes if isinstance(value, Entity) else value.items if isinstance(value, MapValue) else value
    if not isinstance(pairs, Mapping):
        raise DiagnosticError(_wrong(name, type_, to_python(value), span))
    if type_.semantic == "map":
        of = type_.of or ArgumentType("any")
        return {str(key): decoded_value(pairs[key], of, f"{name}.{key}", span) for key in pairs}
    return _object(pairs, type_, name, span)


def _object(pairs: Mapping[str, Value], type_: ArgumentType, name: str, span: Span) -> dict[str, Any]:
    problems: list[Diagnostic] = []
    found: dict[str, Any] = {}
    for key in pairs:
        argument = type_.fields.get(key)
        if argument is None:
            problems.append(known_words("field", str(key), type_.fields, name, span))
            continue
        try:
            found[key] = decoded_value(pairs[key], argument.type, f"{name}.{key}", span)
        except DiagnosticError as error:
            problems += error.diagnostics
            continue
        if argument.choices and isinstance(found[key], str) and found[key] not in argument.choices:
            detail = f'{name}.{key} is "{found[key]}"; it can be {", ".join(argument.choices)}.'
            problems.append(Diagnostic("invalid-choice", "A value is not among the choices", detail, span=span))
    for key, argument in type_.fields.items():
        if found.get(key) is None:
            if argument.required and key not in pairs:
                detail = f'{name} needs "{key}": {argument.description}'
                problems.append(Diagnostic("missing-argument", "A required argument is missing", detail, span=span))
            found[key] = argument.default
    if problems:
        raise DiagnosticError(*problems)
    return found


def _entity(value: Value, type_: ArgumentType, name: str, span: Span) -> Reference:
    if isinstance(value, Entity):
        reference = plain_value(value)
        assert isinstance(reference, Reference)
        if kind_of(reference.address) in type_.kinds:
            return reference
        detail = f"{name} must be {article(type_.text())}, and is {reference}."
        raise DiagnosticError(Diagnostic("wrong-reference", "A reference names the wrong kind", detail, span=span))
    detail = f"{name} must be {article(type_.text())}, written as {type_.kinds[0]}.NAME without quotes."
    raise DiagnosticError(Diagnostic("wrong-reference", "A reference names the wrong kind", detail, span=span))


def _wrong(name: str, type_: ArgumentType, value: Any, span: Span) -> Diagnostic:
    shown = (
        "a sensitive value"
        if isinstance(value, Secret)
        else repr(value)
        if isinstance(value, str | int | float | bool)
        else f"a {_word(value)}"
    )
    return Diagnostic(
        "wrong-type",
        "A value has the wrong type",
        f"{name} must be {article(type_.text())}, and is {shown}.",
        span=span,
    )


def _word(value: Any) -> str:
    if isinstance(value, Reference | Entity):
        return "reference"
    return (
        "object" if isinstance(value, Mapping) else "list" if isinstance(value, list | tuple) else type(value).__name__
    )
