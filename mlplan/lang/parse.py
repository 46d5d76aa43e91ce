"""Source text to syntax tree. hcl2 is the grammar (see `grammar`); scanning, templates, places and messages are ours.

Each top-level argument or block is parsed by itself, so that one mistake does not hide the next.
"""

from __future__ import annotations

import re

from mlplan.lang.build import Converter
from mlplan.lang.collector import collector_at_rest
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.explain import refused
from mlplan.lang.grammar import GrammarError, ShapeCache, default_cache, shape_of
from mlplan.lang.mask import Mask, mask_body, mask_expression
from mlplan.lang.scan import Kind, Token, scan, scan_template
from mlplan.lang.source import SourceFile, Span
from mlplan.lang.syntax import Attribute, Block, Body, Expr
from mlplan.lang.template import TemplateParser

MAX_FILE_BYTES = 2 * 1024 * 1024
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_cache: ShapeCache | None = None


def _shared_cache() -> ShapeCache:
    global _cache
    if _cache is None:
        _cache = default_cache()
    return _cache


def parse(source: SourceFile, cache: ShapeCache | None = None) -> tuple[Body, list[Diagnostic]]:
    """Parse a file into its body, and every problem found. What could not be read is left out of the body.

    Diagnostics: file-too-large, invalid-character, unclosed-bracket, mismatched-bracket, unexpected-closing-bracket,
    newline-in-string, nesting-too-deep, statement-too-long, invalid-statement, invalid-expression, newline-in-expression, missing-newline,
    missing-separator, duplicate-argument, invalid-label, invalid-escape, invalid-template-directive, invalid-number, ambiguous-key.
    """
    cache = cache if cache is not None else _shared_cache()
    whole = source.span(0, len(source.text))
    problem = _unreadable(source)
    if problem is not None:
        return Body({}, (), whole), [problem]
    with collector_at_rest():
        known = cache.trees.get(source.path, source.text)
        if known is not None:
            return known, []
        cache.new_units = 0
        tokens, problems = scan(source, base=1 if source.text.startswith("\ufeff") else 0)
        parser = _Parser(source, tokens, cache)
        parser.problems.extend(problems)
        body = parser.file(whole, broken=bool(problems))
        cache.save_at_exit()
        if not parser.problems:
            cache.trees.put(source.text, body)
    return body, parser.problems


def parse_expression(source: SourceFile, cache: ShapeCache | None = None) -> tuple[Expr | None, list[Diagnostic]]:
    """Parse text that is one expression, such as a line of `console` or the value of `-var`."""
    return _parse_one(source, cache, template=False)


def parse_template(source: SourceFile, cache: ShapeCache | None = None) -> tuple[Expr | None, list[Diagnostic]]:
    """Parse text that is a template as a whole, such as the file of `templatefile`."""
    return _parse_one(source, cache, template=True)


def _parse_one(source: SourceFile, cache: ShapeCache | None, template: bool) -> tuple[Expr | None, list[Diagnostic]]:
    cache = cache if cache is not None else _shared_cache()
    problem = _unreadable(source)
    if problem is not None:
        return None, [problem]
    cache.new_units = 0
    tokens, problems = scan_template(source) if template else scan(source)
    if problems:
        return None, problems
    parser = _Parser(source, tokens, cache)
    try:
        if template:
            expr = parser.templates.range(0, len(tokens) - 1, source.span(0, len(source.text)), raw=True)
        else:
            expr = parser.expression(0, len(tokens) - 1)
    except DiagnosticError as error:
        return None, list(error.diagnostics)
    cache.save_at_exit()
    return expr, []


def _unreadable(source: SourceFile) -> Diagnostic | None:
    size = len(source.text)
    if size > MAX_FILE_BYTES or len(source.text.encode("utf-8", "surrogatepass")) > MAX_FILE_BYTES:
        detail = (
            f"{source.path} is larger than {MAX_FILE_BYTES // (1024 * 1024)} MiB, the limit for one file. Split it."
        )
        return Diagnostic("file-too-large", "File too large", detail, span=source.span(0, 0))
    hidden = _HIDDEN.search(source.text)
    if hidden is None:
        return None
    detail = (
        f"Found U+{ord(hidden.group()):04X}, a control character that cannot be seen and can make text read differently "
        "from what it means. Remove it; inside a quoted string it can be written as \\uNNNN."
    )
    return Diagnostic("invalid-character", "Invalid character", detail, span=source.span(hidden.start(), hidden.end()))


class _Parser:
    """Parses the statements and expressions of one text."""

    def __init__(self, source: SourceFile, tokens: list[Token], cache: ShapeCache) -> None:
        self.source = source
        self.tokens = tokens
        self.cache = cache
        self.problems: list[Diagnostic] = []
        self.templates = TemplateParser(tokens, source.path, self.expression)

    def file(self, span: Span, broken: bool) -> Body:
        """Parse top-level statements. broken: the scan stopped early; the last statement is then left out."""
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        for first, last in self._statements(broken):
            body, converter = self._statement(first, last)
            if body is not None and converter is not None:
                for attribute in body.attributes.values():
                    converter.add_attribute(attributes, attribute)
                blocks.extend(body.blocks)
        return Body(attributes, tuple(blocks), span)

    def _statements(self, broken: bool) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        index = begin = 0
        while index < len(self.tokens):
            token = self.tokens[index]
            if token.kind is Kind.NEWLINE:
                if begin < index:
                    found.append((begin, index - 1))
                begin = index + 1
            elif token.partner < 0 and token.kind in (Kind.QUOTE_OPEN, Kind.HEREDOC_OPEN):
                break
            elif token.partner > index:
                index = token.partner
            elif broken and token.partner < 0 and token.text in ("(", "[", "{"):
                break
            index += 1
        if begin < len(self.tokens) and not broken:
            found.append((begin, len(self.tokens) - 1))
        return found

    def _statement(self, first: int, last: int) -> tuple[Body | None, Converter | None]:
        mask = mask_body(self.tokens, first, last)
        if not mask.units:
            return None, None
        try:
            shape = shape_of(mask, self.cache)
        except GrammarError as error:
            self.problems.append(refused(error, mask.units, self.source, self.tokens[first].start))
            return None, None
        converter = Converter(self.source, mask, self.templates, self.problems)
        try:
            return converter.body(shape[1], Span(self.source.path, mask.units[0].start, mask.units[-1].end)), converter
        except DiagnosticError as error:
            self.problems.extend(error.diagnostics)
            return None, None

    def expression(self, first: int, last: int) -> Expr:
        """Parse the tokens of one expression. Raises DiagnosticError."""
        mask = mask_expression(self.tokens, first, last)
        place = self.tokens[first - 1].start if 0 < first <= len(self.tokens) else 0
        shape = self._expression_shape(mask, place)
        return Converter(self.source, mask, self.templates, self.problems).expr(shape)

    def _expression_shape(self, mask: Mask, place: int) -> list[object]:
        try:
            if not mask.units:
                raise GrammarError(None)
            attributes = shape_of(mask, self.cache)[1][1:]
        except GrammarError as error:
            raise DiagnosticError(refused(error, mask.units, self.source, place, alone=True)) from None
        if len(attributes) != 1:  # hcl2 reads "a = b c = d" as two arguments, and "a = b c {}" as one and a block
            wrong = next((n for n, unit in enumerate(mask.units) if unit.text == "="), min(1, len(mask.units) - 1))
            raise DiagnosticError(refused(GrammarError(wrong), mask.units, self.source, place))
        shape: list[object] = attributes[0][-1]
        return shape
