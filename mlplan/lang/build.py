"""hcl2's shape of a statement to our syntax tree, with names, values and places read from the source.

Also refuses what hcl2 lets pass and the language does not: newlines inside expressions, two arguments on a line,
object elements without separator, duplicate arguments.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.explain import too_deep
from mlplan.lang.grammar import Shape
from mlplan.lang.mask import Mask, Unit
from mlplan.lang.node import changed
from mlplan.lang.numbers import parse_number
from mlplan.lang.scan import Kind
from mlplan.lang.source import SourceFile, Span
from mlplan.lang.syntax import (
    Attribute,
    Binary,
    Block,
    Body,
    Call,
    Conditional,
    Expr,
    ForExpr,
    GetAttr,
    Index,
    Literal,
    ObjectExpr,
    ObjectItem,
    Parens,
    ScopeRef,
    Splat,
    SplatItem,
    TupleExpr,
    Unary,
)

if TYPE_CHECKING:
    from mlplan.lang.template import TemplateParser

MAX_EXPRESSION_DEPTH = 200


def _first(shape: Shape) -> int:
    child = shape[1]
    while not isinstance(child, int):
        child = child[1]
    return child


def _last(shape: Shape) -> int:
    child = shape[-1]
    while not isinstance(child, int):
        child = child[-1]
    return child


def _nodes(shape: Shape, *rules: str) -> list[Shape]:
    return [child for child in shape[1:] if isinstance(child, list) and (not rules or child[0] in rules)]


class Converter:
    """Converts the shape of one masked stretch of tokens. Problems that do not end the statement go to `problems`."""

    def __init__(self, source: SourceFile, mask: Mask, templates: TemplateParser, problems: list[Diagnostic]) -> None:
        self.source = source
        self.text = source.text
        self.path = source.path
        self.units = mask.units
        self.newlines = mask.newlines
        self.templates = templates
        self.problems = problems
        self.depth = 0
        self.rules: dict[str, Callable[[Shape], Expr]] = {
            "expr_term": self.term,
            "conditional": self.conditional,
            "binary_op": self.binary,
            "unary_op": self.unary,
            "identifier": self.identifier,
            "literal_value": self.literal,
            "int_lit": self.number,
            "float_lit": self.number,
            "string": self.string,
            "tuple": self.tuple_,
            "object": self.object_,
            "function_call": self.call,
            "index_expr_term": self.step,
            "get_attr_expr_term": self.step,
            "attr_splat_expr_term": self.attribute_splat,
            "full_splat_expr_term": self.full_splat,
            "for_tuple_expr": self.for_tuple,
            "for_object_expr": self.for_object,
        }

    def span(self, first: int, last: int) -> Span:
        return Span(self.path, self.units[first].start, self.units[last].end)

    def of(self, shape: Shape) -> Span:
        return self.span(_first(shape), _last(shape))

    def name(self, shape: Shape) -> str:
        return self.unit_text(self.units[_first(shape)])

    def unit_text(self, unit: Unit) -> str:
        return unit.text or self.text[unit.start : unit.end]

    # bodies

    def body(self, shape: Shape, span: Span) -> Body:
        """Convert a `body` shape."""
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        for item in _nodes(shape):
            if item[0] == "attribute":
                attribute = self.attribute(item)
                if attribute is not None:
                    self.add_attribute(attributes, attribute)
            else:
                block = self.block(item)
                if block is not None:
                    blocks.append(block)
        self.check_lines(shape)
        return Body(attributes, tuple(blocks), span)

    def add_attribute(self, attributes: dict[str, Attribute], attribute: Attribute) -> None:
        """Keep the first argument of a name, report the others."""
        first = attributes.setdefault(attribute.name, attribute)
        if first is not attribute:
            line = self.source.line_column(first.span.start)[0]
            detail = f'The argument "{attribute.name}" was already set on line {line}. Each argument may be set once.'
            self.report("duplicate-argument", "Duplicate argument", detail, attribute.name_span)

    def attribute(self, shape: Shape) -> Attribute | None:
        name, expression = shape[1], shape[2]
        try:
            self.check_newlines(_first(expression), _last(expression), self.units[_first(name)].owner)
            expr = self.expr(expression)
        except DiagnosticError as error:
            self.problems.extend(error.diagnostics)
            return None
        return Attribute(self.name(name), expr, self.of(shape), self.of(name))

    def block(self, shape: Shape) -> Block | None:
        header = _nodes(shape, "identifier", "string", "keyword", "literal_value")
        numbers = [child for child in shape[1:] if isinstance(child, int)]
        brace, closing = numbers[0], numbers[-1]
        if any(self.units[i].kind is Kind.NEWLINE for i in range(_first(shape), brace)):
            detail = 'The "{" of a block must stand on the line of its type and labels.'
            self.report("invalid-statement", "Invalid argument or block", detail, self.of(header[-1]))
        try:
            labels = tuple(self.label(part) for part in header[1:])
        except DiagnosticError as error:
            self.problems.extend(error.diagnostics)
            return None
        inner = next((part for part in _nodes(shape, "body")), ["body"])
        body = self.body(inner, self.span(brace, closing))
        return Block(
            self.name(header[0]), labels, body, self.of(shape), self.of(header[0]), tuple(map(self.of, header[1:]))
        )

    def label(self, shape: Shape) -> str:
        if shape[0] != "string":
            return self.name(shape)
        value = self.string(shape)
        if isinstance(value, Literal) and isinstance(value.value, str):
            return value.value
        detail = "The label of a block is fixed text: no ${…} or %{…}. Use for_each to make several blocks from one."
        raise DiagnosticError(Diagnostic("invalid-label", "Invalid block label", detail, span=self.of(shape)))

    def check_lines(self, shape: Shape) -> None:
        """Report arguments and blocks that do not stand on lines of their own."""
        items = _nodes(shape)
        if not items:
            return
        for item in items:
            after = _last(item) + 1
            if after >= len(self.units) or self.units[after].kind is Kind.NEWLINE:
                continue
            opener = self.units[_first(items[0])].owner
            alone = len(items) == 1 and item[0] == "attribute" and _first(item) - 1 == opener
            if self.units[after].text == "}" and alone:
                continue
            what = f'"{self.name(item[1])}"'
            detail = f"The next thing after {what} must begin on a new line: one argument or block a line."
            self.report("missing-newline", "Missing newline", detail, self.span(after, after))

    def check_newlines(self, first: int, last: int, owner: int) -> None:
        """Raise when a newline that counts stands between two units of one expression."""
        position = bisect_right(self.newlines, first)
        while position < len(self.newlines) and self.newlines[position] < last:
            index = self.newlines[position]
            if self.units[index].owner == owner:
                detail = (
                    "The expression goes on in the next line, but a newline ends it. "
                    "Put it into parentheses, or write it on one line."
                )
                place = self.span(index - 1, index - 1)
                raise DiagnosticError(
                    Diagnostic("newline-in-expression", "Newline in an expression", detail, span=place)
                )
            position += 1

    def report(self, code: str, summary: str, detail: str, span: Span) -> None:
        self.problems.append(Diagnostic(code, summary, detail, span=span))

    # expressions

    def expr(self, shape: Shape) -> Expr:
        """Convert the shape of an expression. Raises DiagnosticError."""
        self.depth += 1
        if self.depth > MAX_EXPRESSION_DEPTH:
            span = self.of(shape)
            raise DiagnosticError(too_deep(self.source, span.start, span.end))
        try:
            return self.rules[shape[0]](shape)
        finally:
            self.depth -= 1

    def term(self, shape: Shape) -> Expr:
        if isinstance(shape[1], int):
            return Parens(self.expr(shape[2]), self.of(shape))
        self.depth -= 1
        try:
            return self.expr(shape[1])
        finally:
            self.depth += 1

    def conditional(self, shape: Shape) -> Expr:
        condition, then, otherwise = map(self.expr, _nodes(shape))
        return Conditional(condition, then, otherwise, self.of(shape))

    def binary(self, shape: Shape) -> Expr:
        term = shape[2]
        operator = self.unit_text(self.units[_first(term[1])])
        return Binary(operator, self.expr(shape[1]), self.expr(term[2]), self.of(shape))

    def unary(self, shape: Shape) -> Expr:
        unit = self.units[shape[1]]
        end = self.units[_last(shape)].end
        expr: Expr = Unary(unit.text, self.expr(shape[2]), Span(self.path, unit.start, end))
        for operator, token in reversed(unit.prefixes):
            start = self.templates.tokens[token].start
            expr = Unary(operator, expr, Span(self.path, start, end))
        if len(unit.prefixes) + self.depth > MAX_EXPRESSION_DEPTH:
            raise DiagnosticError(too_deep(self.source, unit.start, end))
        return expr

    def identifier(self, shape: Shape) -> Expr:
        return ScopeRef(self.name(shape), self.of(shape))

    def literal(self, shape: Shape) -> Expr:
        return Literal({"true": True, "false": False, "null": None}[self.name(shape)], self.of(shape))

    def number(self, shape: Shape) -> Expr:
        text = self.name(shape)
        span = self.of(shape)
        number = parse_number(text) if len(text) <= 1000 else None
        if number is None:
            detail = (
                "This number is longer or larger than numbers can be here (1,000 characters, exponents up to 9999)."
            )
            raise DiagnosticError(Diagnostic("invalid-number", "Invalid number", detail, span=span))
        return Literal(number, span)

    def string(self, shape: Shape) -> Expr:
        return self.templates.build(self.units[_first(shape)].first)

    def tuple_(self, shape: Shape) -> Expr:
        return TupleExpr(tuple(map(self.expr, _nodes(shape))), self.of(shape))

    def object_(self, shape: Shape) -> Expr:
        elements = _nodes(shape, "object_elem")
        items = []
        for element, following in zip(elements, [*elements[1:], None], strict=False):
            self.check_newlines(_first(element), _last(element), _first(shape))
            items.append(ObjectItem(self.object_key(element[1]), self.expr(element[2]), self.of(element)))
            if following is not None:
                between = self.units[_last(element) + 1 : _first(following)]
                if between and between[0].kind is Kind.NEWLINE and any(unit.text == "," for unit in between):
                    comma = next(unit for unit in between if unit.text == ",")
                    detail = "A comma stands directly after its element, not on a line of its own."
                    place = Span(self.path, comma.start, comma.end)
                    raise DiagnosticError(Diagnostic("missing-separator", "Missing separator", detail, span=place))
                if not any(unit.kind is Kind.NEWLINE or unit.text == "," for unit in between):
                    detail = "Elements of an object are separated by a comma or a newline."
                    place = self.of(following)
                    raise DiagnosticError(Diagnostic("missing-separator", "Missing separator", detail, span=place))
        return ObjectExpr(tuple(items), self.of(shape))

    def object_key(self, shape: Shape) -> Expr:
        inner = shape[1]
        span = self.of(shape)
        if inner[0] == "keyword":
            detail = (
                'A "for" at the start of an object begins a for expression. As a key it must stand in quotes: "for".'
            )
            raise DiagnosticError(Diagnostic("invalid-expression", "Invalid expression", detail, span=span))
        if isinstance(inner, list) and inner[0] == "expr_term" and isinstance(inner[1], list):
            if inner[1][0] in ("identifier", "literal_value"):
                return Literal(self.name(inner), span)
            if inner[1][0] in ("get_attr_expr_term", "index_expr_term"):
                detail = "A key that is a reference must stand in parentheses; a key that is text, in quotes."
                raise DiagnosticError(Diagnostic("ambiguous-key", "Ambiguous object key", detail, span=span))
        return self.expr(inner)

    def call(self, shape: Shape) -> Expr:
        name = shape[1]
        arguments: list[Expr] = []
        expand = False
        for part in _nodes(shape, "arguments"):
            arguments = [self.expr(argument) for argument in _nodes(part)]
            last = part[-1]
            expand = isinstance(last, int) and self.units[last].text == "..."
        text = "".join(self.name(name).split())
        return Call(text, tuple(arguments), expand, self.of(shape), self.of(name))

    def step(self, shape: Shape) -> Expr:
        return self.apply(self.expr(shape[1]), shape[2])

    def apply(self, source: Expr, step: Shape) -> Expr:
        """Apply `.name`, `.0` or `[key]`; behind a full splat, to every element."""
        span = Span(self.path, source.span.start, self.units[_last(step)].end)
        if isinstance(source, Splat) and source.full:
            return changed(source, each=self.apply(source.each, step), span=span)
        if step[0] == "get_attr":
            return GetAttr(source, self.name(step[2]), span)
        if step[0] == "short_index":
            unit = step[-1]
            if not self.unit_text(self.units[unit]).isdigit():
                detail = "Old-style indexes cannot follow each other. Write them in brackets, like [0][1]."
                place = self.span(unit, unit)
                raise DiagnosticError(Diagnostic("invalid-index-syntax", "Invalid index syntax", detail, span=place))
            return Index(source, Literal(Decimal(self.unit_text(self.units[unit])), self.span(unit, unit)), span)
        return Index(source, self.expr(next(iter(_nodes(step)))), span)

    def splat(self, source: Expr, marker: int, full: bool, end: int) -> Expr:
        """Return a splat over `source`; behind a full splat, one over every element."""
        span = Span(self.path, source.span.start, self.units[end].end)
        if isinstance(source, Splat) and source.full:
            return changed(source, each=self.splat(source.each, marker, full, end), span=span)
        return Splat(source, SplatItem(self.span(marker, marker)), full, span)

    def attribute_splat(self, shape: Shape) -> Expr:
        marker = shape[2][1]
        source = self.expr(shape[1])
        self.nested_splat(source, marker)
        steps = _nodes(shape[2])
        inner = list(steps)
        expr: Expr = SplatItem(self.span(marker, marker))
        while inner and inner[0][0] in ("get_attr", "short_index"):
            expr = self.apply(expr, inner.pop(0))
        end = _last(steps[len(steps) - len(inner) - 1]) if len(inner) < len(steps) else marker
        result: Expr = Splat(source, expr, False, Span(self.path, source.span.start, self.units[end].end))
        for step in inner:
            result = self.apply(result, step)
        return result

    def nested_splat(self, source: Expr, marker: int) -> None:
        if isinstance(source, Splat) and not source.full:
            detail = "A .* cannot stand inside what another .* repeats. Use [*], which can."
            place = self.span(marker, marker)
            raise DiagnosticError(Diagnostic("nested-splat", "Nested splat", detail, span=place))

    def full_splat(self, shape: Shape) -> Expr:
        marker = shape[2][1]
        result = self.splat(self.expr(shape[1]), marker, True, marker)
        for step in _nodes(shape[2]):
            result = self.apply(result, step)
        return result

    def for_intro(self, shape: Shape) -> tuple[str | None, str, Expr]:
        parts = _nodes(shape)
        names = [self.name(part) for part in parts[:-1]]
        return (names[0] if len(names) == 2 else None, names[-1], self.expr(parts[-1]))

    def for_tuple(self, shape: Shape) -> Expr:
        key, value, collection = self.for_intro(_nodes(shape, "for_intro")[0])
        test = self.for_condition(shape)
        body = [part for part in _nodes(shape) if part[0] not in ("for_intro", "for_cond")]
        return ForExpr(key, value, collection, None, self.expr(body[0]), test, False, self.of(shape))

    def for_object(self, shape: Shape) -> Expr:
        key, value, collection = self.for_intro(_nodes(shape, "for_intro")[0])
        test = self.for_condition(shape)
        result_key, result = [part for part in _nodes(shape) if part[0] not in ("for_intro", "for_cond")]
        group = any(isinstance(part, int) and self.units[part].text == "..." for part in shape[1:])
        return ForExpr(key, value, collection, self.expr(result_key), self.expr(result), test, group, self.of(shape))

    def for_condition(self, shape: Shape) -> Expr | None:
        found = _nodes(shape, "for_cond")
        return self.expr(_nodes(found[0])[0]) if found else None
