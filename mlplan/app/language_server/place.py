"""Where in a file the cursor is: in which blocks, before or behind a `=`, after which word. Works on text that is half written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlplan.lang.scan import Kind, Token, scan
from mlplan.lang.source import SourceFile

_WORD = re.compile(r'[^\W\d][\w-]*(?:\.[\w-]+|\[(?:"[^"\n]*"|\d+)\])*\.?$')
_AROUND = re.compile(r"[\w-]*")


@dataclass(frozen=True)
class Place:
    """A place in a file. blocks: types from the outside in. argument: whose value this is, None where names stand.

    prefix: what is written of the word so far, dots included. quoted: inside of a quoted string, outside of `${ }`.
    """

    blocks: tuple[str, ...] = ()
    argument: str | None = None
    prefix: str = ""
    quoted: bool = False


@dataclass
class _Frame:
    """An open bracket. block: its type, None for objects and lists; argument: the one being written inside."""

    block: str | None
    argument: str | None = None
    line: list[Token] | None = None


def place_at(text: str, offset: int) -> Place:
    """Return the place of an offset in characters."""
    before = text[:offset]
    tokens, _ = scan(SourceFile("editor", before), base=1 if before.startswith("\ufeff") else 0)
    frames = [_Frame("", None, [])]
    opened: list[Kind] = []
    for token in tokens:
        top = frames[-1]
        if token.kind in (Kind.QUOTE_OPEN, Kind.HEREDOC_OPEN, Kind.INTERPOLATION, Kind.DIRECTIVE):
            opened.append(token.kind)
        elif token.kind in (Kind.QUOTE_CLOSE, Kind.HEREDOC_CLOSE, Kind.SEQUENCE_END) and opened:
            opened.pop()
        if opened and token.kind is not Kind.QUOTE_OPEN:
            continue
        assert top.line is not None
        if token.kind is Kind.NEWLINE:
            top.line = []
            top.argument = None if top.block is not None else top.argument
        elif token.text in ("{", "[", "("):
            frames.append(_opened(token, top))
        elif token.text in ("}", "]", ")") and len(frames) > 1:
            frames.pop()
        else:
            if token.text == "=" and top.argument is None and top.line and top.line[0].kind is Kind.IDENT:
                top.argument = top.line[0].text
            top.line.append(token)
    quoted = bool(opened) and opened[-1] in (Kind.QUOTE_OPEN, Kind.HEREDOC_OPEN)
    match = _WORD.search(before)
    blocks = tuple(frame.block for frame in frames if frame.block)
    return Place(blocks, frames[-1].argument, match.group() if match else "", quoted)


def _opened(token: Token, top: _Frame) -> _Frame:
    line = top.line or []
    if token.text == "{" and top.block is not None and top.argument is None and line and line[0].kind is Kind.IDENT:
        return _Frame(line[0].text, None, [])
    return _Frame(None, top.argument, [])


def word_at(text: str, offset: int) -> tuple[str, int, int]:
    """Return the dotted word up to the end of the part under the cursor, with its start and end."""
    end = offset + len(_AROUND.match(text, offset).group())  # type: ignore[union-attr]  # matches nothing at least
    match = _WORD.search(text[:end])
    return (match.group().rstrip("."), match.start(), end) if match else ("", offset, end)
