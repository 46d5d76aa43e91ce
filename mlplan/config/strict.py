"""The refusals that all blocks share: what is not known is an error, with the word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlplan.lang.diagnostic import Diagnostic, suggestion
from mlplan.lang.source import Span
from mlplan.lang.syntax import Attribute, Block, Expr, Literal, Template, Text

_SUMMARIES = {
    "unknown-argument": "There is no such argument",
    "unknown-block": "There is no such block",
    "unknown-field": "There is no such field",
}


def article(words: str) -> str:
    """Return words with "a" or "an" before them."""
    return f"{'an' if words[:1] in 'aeio' else 'a'} {words}"


def problem(code: str, summary: str, detail: str, span: Span | None, hint: str | None = None) -> Diagnostic:
    """Return an error with a place."""
    return Diagnostic(code, summary, detail, span=span, hint=hint)


def known_words(
    what: str, name: str, known: Iterable[str], where: str, span: Span, other: Iterable[str] = ()
) -> Diagnostic:
    """Return the error about an argument, block or field that does not exist. other: names of the other sort, for hints."""
    words = list(known)
    code = f"unknown-{what}"
    detail = f'{where[:1].upper()}{where[1:]} has no {what} "{name}". ' + (
        f"It has {', '.join(words)}." if words else f"It has no {what}s."
    )
    hint = suggestion(name, [*words, *other])
    if what != "field" and name in other:
        is_block = what == "argument"
        hint = f'"{name}" is {"a block: write it without" if is_block else "an argument: write it with"} "=".'
    return Diagnostic(code, _SUMMARIES[code], detail, span=span, hint=hint)


def only(block: Block, arguments: tuple[str, ...], blocks: tuple[str, ...] = ()) -> list[Diagnostic]:
    """Return an error for every argument and block inside `block` that is not among those named."""
    where = f'"{block.type}"'
    found = [
        known_words("argument", name, arguments, where, attribute.name_span, blocks)
        for name, attribute in block.body.attributes.items()
        if name not in arguments
    ]
    return found + [
        known_words("block", inner.type, blocks, where, inner.type_span, arguments)
        for inner in block.body.blocks
        if inner.type not in blocks
    ]


def single(block: Block, name: str) -> tuple[Block | None, list[Diagnostic]]:
    """Return the one inner block of a type, and an error for each further one."""
    inner = [b for b in block.body.blocks if b.type == name]
    detail = f'"{block.type}" has at most one "{name}" block.'
    repeated = [problem("block-repeated", "A block is repeated", detail, b.header_span) for b in inner[1:]]
    return (inner[0] if inner else None), repeated


def required(block: Block, *names: str) -> list[Diagnostic]:
    """Return an error for every argument that is missing."""
    return [
        problem("missing-argument", "A required argument is missing", f'"{block.type}" needs "{n}".', block.header_span)
        for n in names
        if n not in block.body.attributes
    ]


def expression(attributes: Mapping[str, Attribute], name: str) -> Expr | None:
    """Return the expression of an argument."""
    return attributes[name].expr if name in attributes else None


def literal_bool(block: Block, name: str, default: bool, found: list[Diagnostic]) -> bool:
    """Return an argument that must be written as true or false; anything else goes to `found`."""
    expr = expression(block.body.attributes, name)
    if expr is None:
        return default
    if isinstance(expr, Literal) and isinstance(expr.value, bool):
        return expr.value
    detail = f'"{name}" is read before anything is evaluated, so it must be written as true or false.'
    found.append(problem("not-literal", "A value must be written out", detail, expr.span))
    return default


def literal_text(block: Block, name: str, found: list[Diagnostic]) -> str | None:
    """Return an argument that must be plain quoted text, None when it is absent; anything else goes to `found`."""
    expr = expression(block.body.attributes, name)
    text = plain_text(expr)
    if expr is not None and text is None:
        detail = f'"{name}" is read before anything is evaluated, so it must be text in quotes, without "${{…}}".'
        found.append(problem("not-literal", "A value must be written out", detail, expr.span))
    return text


def plain_text(expr: Expr | None) -> str | None:
    """Return text that is written out."""
    if isinstance(expr, Literal) and isinstance(expr.value, str):
        return expr.value
    if isinstance(expr, Template) and all(isinstance(part, Text) for part in expr.parts):
        return "".join(part.value for part in expr.parts if isinstance(part, Text))
    return None
