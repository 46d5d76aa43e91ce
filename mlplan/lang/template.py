"""Quoted strings, heredocs and template files to template parts: escapes, `~`, heredoc indentation, directives.

Expressions inside are parsed by the caller, who is handed the range of their tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.scan import Kind, Token
from mlplan.lang.source import Span
from mlplan.lang.syntax import Expr, Literal, Template, TemplateFor, TemplateIf, TemplatePart, Text
from mlplan.lang.values import normal

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)|\$\$\{|%%\{", re.DOTALL)
_DOUBLED = re.compile(r"\$\$\{|%%\{")


@dataclass(slots=True)
class _Piece:
    """A literal (`text`), or a `${…}`/`%{…}` whose inner tokens are `first` to `last`."""

    kind: Kind
    start: int
    end: int
    text: str = ""
    first: int = 0
    last: int = -1
    trim_before: bool = False
    trim_after: bool = False


class TemplateParser:
    """Builds one template from tokens. parse_expression: (first, last token) to an expression; raises DiagnosticError."""

    def __init__(self, tokens: list[Token], path: str, parse_expression: Callable[[int, int], Expr]) -> None:
        self.tokens = tokens
        self.path = path
        self.parse_expression = parse_expression

    def build(self, opener: int) -> Expr:
        """Return the expression of the string or heredoc that token `opener` opens."""
        token = self.tokens[opener]
        closer = self.tokens[token.partner]
        heredoc = token.kind is Kind.HEREDOC_OPEN
        return self.range(
            opener + 1, token.partner - 1, Span(self.path, token.start, closer.end), heredoc, "<<-" in token.text
        )

    def range(self, first: int, last: int, span: Span, raw: bool, flush: bool = False) -> Expr:
        """Return the expression of tokens `first` to `last`. raw: no backslash escapes. flush: remove common indentation."""
        pieces = self._pieces(first, last, raw)
        alone = len(pieces) == 1
        _trim(pieces)
        if flush:
            _flush(pieces)
        parts = self._assemble(pieces)
        if not parts:
            return Literal("", span)
        if len(parts) == 1 and isinstance(parts[0], Text):
            return Literal(normal(parts[0].value), span)
        wraps = alone and len(parts) == 1 and not isinstance(parts[0], (Text, TemplateIf, TemplateFor))
        return Template(tuple(parts), span, wraps)

    def _pieces(self, first: int, last: int, raw: bool) -> list[_Piece]:
        pieces: list[_Piece] = []
        index = first
        while index <= last:
            token = self.tokens[index]
            if token.kind in (Kind.INTERPOLATION, Kind.DIRECTIVE):
                closer = self.tokens[token.partner]
                pieces.append(
                    _Piece(
                        token.kind,
                        token.start,
                        closer.end,
                        first=index + 1,
                        last=token.partner - 1,
                        trim_before=token.text.endswith("~"),
                        trim_after=closer.text.startswith("~"),
                    )
                )
                index = token.partner + 1
            else:
                text = _DOUBLED.sub(lambda m: m.group()[1:], token.text) if raw else self._unescape(token)
                pieces.append(_Piece(Kind.QUOTE_TEXT, token.start, token.end, text))
                index += 1
        return pieces

    def _unescape(self, token: Token) -> str:
        def replace(match: re.Match[str]) -> str:
            escape = match.group(1)
            if escape is None:
                return match.group()[1:]
            if escape in _ESCAPES:
                return _ESCAPES[escape]
            if len(escape) > 1 and int(escape[1:], 16) < 0x110000 and not 0xD800 <= int(escape[1:], 16) < 0xE000:
                return chr(int(escape[1:], 16))
            start = token.start + match.start()
            raise DiagnosticError(
                Diagnostic(
                    "invalid-escape",
                    "Invalid escape sequence",
                    f'"\\{escape}" is no escape sequence. Use \\n, \\r, \\t, \\", \\\\, \\uNNNN or \\UNNNNNNNN; '
                    "for a backslash itself write \\\\.",
                    span=Span(self.path, start, start + 1 + len(escape)),
                )
            )

        return _ESCAPE.sub(replace, token.text) if "\\" in token.text or "{" in token.text else token.text

    def _assemble(self, pieces: list[_Piece]) -> list[TemplatePart]:
        builder = _Nest(self)
        for piece in pieces:
            builder.add(piece)
        return builder.finish()


def _trim(pieces: list[_Piece]) -> None:
    for index, piece in enumerate(pieces):
        if piece.kind is not Kind.QUOTE_TEXT:
            continue
        if index > 0 and pieces[index - 1].trim_after:
            piece.text = piece.text.lstrip()
        if index + 1 < len(pieces) and pieces[index + 1].trim_before:
            piece.text = piece.text.rstrip()


def _flush(pieces: list[_Piece]) -> None:
    """Remove the indentation that all lines share; blank lines do not count, a line that begins with `${` has none."""
    least: int | None = None
    starts: list[_Piece] = []
    at_line_start = True
    for piece in pieces:
        is_text = piece.kind is Kind.QUOTE_TEXT
        if at_line_start:
            at_line_start = False
            stripped = piece.text.lstrip()
            if is_text and not stripped and piece.text.endswith("\n"):
                spaces = None
            else:
                spaces = len(piece.text) - len(stripped) if is_text else 0
                if is_text:
                    starts.append(piece)
            if spaces is not None:
                least = spaces if least is None else min(least, spaces)
        if is_text and piece.text.endswith("\n"):
            at_line_start = True
    for piece in starts:
        piece.text = piece.text[least or 0 :]


@dataclass(slots=True)
class _Open:
    """A directive that waits for its end."""

    keyword: str
    piece: _Piece
    head: tuple[str | None, str, Expr]
    parts: list[TemplatePart]
    otherwise: list[TemplatePart] | None = None


class _Nest:
    """Puts parts into the directives they stand in."""

    def __init__(self, parser: TemplateParser) -> None:
        self.parser = parser
        self.top: list[TemplatePart] = []
        self.open: list[_Open] = []

    @property
    def current(self) -> list[TemplatePart]:
        if not self.open:
            return self.top
        last = self.open[-1]
        return last.parts if last.otherwise is None else last.otherwise

    def add(self, piece: _Piece) -> None:
        if piece.kind is Kind.QUOTE_TEXT:
            self._text(piece)
        elif piece.kind is Kind.INTERPOLATION:
            self.current.append(self.parser.parse_expression(piece.first, piece.last))
        else:
            self._directive(piece)

    def _text(self, piece: _Piece) -> None:
        span = Span(self.parser.path, piece.start, piece.end)
        before = self.current[-1] if self.current else None
        if isinstance(before, Text):
            self.current[-1] = Text(before.value + piece.text, Span(span.path, before.span.start, span.end))
        elif piece.text:
            self.current.append(Text(piece.text, span))

    def _directive(self, piece: _Piece) -> None:
        tokens = [t for t in self.parser.tokens[piece.first : piece.last + 1] if t.kind is not Kind.NEWLINE]
        keyword = tokens[0].text if tokens else ""
        if keyword == "if":
            condition = self.parser.parse_expression(piece.first + 1, piece.last)
            self.open.append(_Open("if", piece, (None, "", condition), []))
        elif keyword == "for":
            self.open.append(_Open("for", piece, self._for_head(piece, tokens), []))
        elif keyword == "else" and self.open and self.open[-1].keyword == "if" and self.open[-1].otherwise is None:
            self.open[-1].otherwise = []
        elif keyword in ("endif", "endfor") and self.open and self.open[-1].keyword == keyword[3:]:
            self._close(piece)
        elif keyword in ("else", "endif", "endfor"):
            raise self._problem(
                piece, f'This "{keyword}" has no matching "{"for" if keyword == "endfor" else "if"}" before it.'
            )
        else:
            raise self._problem(
                piece, f'"{keyword}" is no template keyword. The keywords are if, else, endif, for and endfor.'
            )

    def _for_head(self, piece: _Piece, tokens: list[Token]) -> tuple[str | None, str, Expr]:
        texts = [t.text for t in tokens[:5]]
        names = 1 if texts[2:3] == ["in"] else 2
        well_formed = texts[2:3] == ["in"] or (texts[2:3] == [","] and texts[4:5] == ["in"])
        if not well_formed or any(t.kind is not Kind.IDENT for t in (tokens[1], tokens[-1 + 2 * names])):
            raise self._problem(piece, 'A "for" directive is written "for value in list" or "for key, value in map".')
        keyword = next(i for i in range(piece.first, piece.last + 1) if self.parser.tokens[i] is tokens[2 * names])
        collection = self.parser.parse_expression(keyword + 1, piece.last)
        return (texts[1] if names == 2 else None, texts[2 * names - 1], collection)

    def _close(self, piece: _Piece) -> None:
        done = self.open.pop()
        span = Span(self.parser.path, done.piece.start, piece.end)
        key, name, expr = done.head
        if done.keyword == "if":
            self.current.append(TemplateIf(expr, tuple(done.parts), tuple(done.otherwise or ()), span))
        else:
            self.current.append(TemplateFor(key, name, expr, tuple(done.parts), span))

    def finish(self) -> list[TemplatePart]:
        if self.open:
            keyword = self.open[-1].keyword
            raise self._problem(self.open[-1].piece, f'This "{keyword}" has no matching "end{keyword}" after it.')
        return self.top

    def _problem(self, piece: _Piece, detail: str) -> DiagnosticError:
        span = Span(self.parser.path, piece.start, piece.end)
        return DiagnosticError(
            Diagnostic("invalid-template-directive", "Invalid template directive", detail, span=span)
        )
