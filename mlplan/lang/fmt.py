"""Formats source text as `terraform fmt` does: indentation, blanks, aligned `=` and comments. Comments stay; running it twice
changes nothing more.

Works on tokens, line by line. A line has up to three cells: what leads, the assignment, the comment at its end.
Source: hclwrite's format.go (HCL 2.23) describes the same cells and rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlplan.lang.functions.text import graphemes
from mlplan.lang.scan import Kind, Token, scan
from mlplan.lang.source import SourceFile
from mlplan.lang.spacing import bracket_change, space_between

_OPENS = (Kind.QUOTE_OPEN, Kind.HEREDOC_OPEN)
_HEADER = (Kind.IDENT, Kind.QUOTE_OPEN, Kind.QUOTE_TEXT, Kind.QUOTE_CLOSE)


@dataclass(slots=True)
class Piece:
    """A token as it is written out: `spaces` blanks, then `text`."""

    kind: Kind
    text: str
    spaces: int = 0


@dataclass(slots=True)
class _Line:
    lead: list[Piece] = field(default_factory=list)
    assign: list[Piece] = field(default_factory=list)
    comment: list[Piece] = field(default_factory=list)


def format_text(text: str) -> str:
    """Return the text formatted; text that cannot be scanned or parsed comes back unchanged."""
    from mlplan.lang.parse import parse

    source = SourceFile("<fmt>", text)
    _, problems = parse(source)
    if any(problem.is_error for problem in problems):
        return text
    tokens, _ = scan(source, base=1 if text.startswith("\ufeff") else 0)
    lines = _lines(_pieces(_unwrap(_quote_labels(tokens))))
    _indent(lines)
    _space(lines)
    _align(lines)
    return "".join(" " * p.spaces + p.text for line in lines for p in (*line.lead, *line.assign, *line.comment))


def _quote_labels(tokens: list[Token]) -> list[Token]:
    """Return the tokens with the labels of blocks in quotes."""
    done: list[Token] = []
    bodies = [True]
    start = 0  # where in `done` the statement at hand begins
    for token in tokens:
        if token.kind is Kind.NEWLINE:
            start = len(done) + 1
        elif token.text == "{" and token.kind is Kind.PUNCTUATION:
            header = done[start:]
            is_block = bodies[-1] and bool(header) and all(t.kind in _HEADER for t in header)
            if is_block:
                done[start + 1 :] = [_quoted(t) if t.kind is Kind.IDENT else t for t in header[1:]]
            bodies.append(is_block)
            start = len(done) + 1
        elif token.kind is Kind.PUNCTUATION and token.text in ("(", "["):
            bodies.append(False)
        elif token.kind is Kind.PUNCTUATION and token.text in (")", "]", "}"):
            bodies.pop()
        done.append(token)
    return done


def _quoted(token: Token) -> Token:
    return Token(Kind.IDENT, f'"{token.text}"', token.start, token.end)


def _unwrap(tokens: list[Token]) -> list[Token]:
    """Return the tokens with `name = "${expression}"` written as `name = expression`."""
    done: list[Token] = []
    index, depth = 0, [True]
    statement = header = True
    while index < len(tokens):
        token = tokens[index]
        done.append(token)
        if token.text == "=" and depth[-1] and statement:
            statement = header = False
            last = _wrapped_until(tokens, index + 1)
            if last is not None:
                done.extend(tokens[index + 3 : last - 1])
                index = last
        elif token.kind in _OPENS:
            done.extend(tokens[index + 1 : token.partner + 1])
            index = token.partner
        elif token.text in ("{", "(", "["):
            depth.append(token.text == "{" and depth[-1] and header)
            statement = header = True
        elif token.text in ("}", ")", "]"):
            depth.pop()
            header = False  # a line may go on behind an expression's bracket, and is then no header of a block
        elif token.kind is Kind.NEWLINE:
            statement = True
            header = depth[-1]
        index += 1
    return done


def _wrapped_until(tokens: list[Token], first: int) -> int | None:
    """Return the closing quote when the value at `first` is one plain "${…}" on one line, and ends its line."""
    if first + 4 >= len(tokens) or tokens[first].kind is not Kind.QUOTE_OPEN:
        return None
    last = tokens[first].partner
    following = tokens[last + 1] if last + 1 < len(tokens) else None
    opener = tokens[first + 1]
    if opener.kind is not Kind.INTERPOLATION or opener.partner != last - 1 or last - first < 4:
        return None
    if following is not None and following.kind not in (Kind.NEWLINE, Kind.COMMENT) and following.text != "}":
        return None
    inside = tokens[first + 2 : last - 1]
    return None if any(t.kind in (Kind.NEWLINE, Kind.COMMENT) for t in inside) else last


def _pieces(tokens: list[Token]) -> list[Piece]:
    pieces: list[Piece] = []
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else None
        if token.kind is Kind.NEWLINE and before is not None and _line_comment(before):
            pieces[-1].text += token.text
        elif _line_comment(token):
            ends = index + 1 < len(tokens) and tokens[index + 1].kind is Kind.NEWLINE
            pieces.append(Piece(token.kind, token.text.rstrip("\r") if ends else token.text))
        else:
            pieces.append(Piece(token.kind, token.text))
    return pieces


def _line_comment(token: Token) -> bool:
    return token.kind is Kind.COMMENT and not token.text.startswith("/*")


def _lines(pieces: list[Piece]) -> list[_Line]:
    lines: list[_Line] = [_Line()]
    for piece in pieces:
        lines[-1].lead.append(piece)
        if piece.kind is Kind.NEWLINE or (piece.kind is Kind.COMMENT and piece.text.endswith("\n")):
            lines.append(_Line())
    for line in lines:
        _split(line)
    return lines


def _split(line: _Line) -> None:
    """Move the comment and the assignment of a line into their cells."""
    if len(line.lead) > 1 and line.lead[-1].kind is Kind.COMMENT:
        line.comment = [line.lead.pop()]
    for index, piece in enumerate(line.lead):
        if index > 0 and piece.text == "=" and piece.kind is Kind.PUNCTUATION:
            if sum(bracket_change(p.kind, p.text) for p in line.lead[index:]) == 0:
                line.lead, line.assign = line.lead[:index], line.lead[index:]
            return


def _indent(lines: list[_Line]) -> None:
    levels: list[int] = []
    for line in lines:
        if not line.lead:
            continue
        if line.lead[0].kind is Kind.NEWLINE:
            line.lead[0].spaces = 0
            continue
        net = sum(bracket_change(piece.kind, piece.text) for piece in (*line.lead, *line.assign))
        closing = -net
        while closing > 0 and levels:
            taken = min(closing, levels[-1])
            closing -= taken
            levels[-1] -= taken
            if levels[-1] == 0:
                levels.pop()
        line.lead[0].spaces = 2 * len(levels)
        if net > 0:
            levels.append(net)


def _space(lines: list[_Line]) -> None:
    for line in lines:
        for cell in (line.lead, line.assign):
            for index in range(1, len(cell)):
                before = cell[index - 2] if index > 1 else None
                subject, after = cell[index - 1], cell[index]
                wanted = space_between(
                    (before.kind, before.text) if before else None,
                    (subject.kind, subject.text),
                    (after.kind, after.text),
                )
                after.spaces = 1 if wanted else 0


def _width(pieces: list[Piece]) -> int:
    return sum(piece.spaces + len(graphemes(piece.text)) for piece in pieces)


def _align(lines: list[_Line]) -> None:
    """Put the `=` of neighbouring lines, and then their comments, into one column."""
    for cell in ("assign", "comment"):
        chain: list[_Line] = []
        for line in [*lines, _Line()]:
            if getattr(line, cell):
                chain.append(line)
                continue
            widths = [_width(one.lead) + (_width(one.assign) if cell == "comment" else 0) for one in chain]
            for one, width in zip(chain, widths, strict=True):
                getattr(one, cell)[0].spaces = max(widths) - width + 1
            chain = []
