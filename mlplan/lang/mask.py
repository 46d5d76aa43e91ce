"""Tokens to the text that hcl2 parses: every token in a plain, normal form, in a shape that its grammar reads without mistakes.

hcl2 judges the grammar; names, strings and numbers are read from the source afterwards. So a mask has names as `a`, strings and
heredocs as `""`, numbers as `1`, no comments, and no newline where the language ignores one. Equal shapes have
equal masks, which is what makes parsing fast: a mask is parsed once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlplan.lang.scan import Kind, Token

_BODY, _GROUP, _OBJECT, _FOR = "body", "group", "object", "for"
_LITERALS = frozenset(("true", "false", "null"))
_PREFIXES = frozenset("-!")
_OPERAND_ENDS = frozenset(")]}")


@dataclass(slots=True)
class Unit:
    """One or more tokens that the mask shows as one: `first` and `last` index the token list. `prefixes`: unary operators
    that stand before this one and that the mask leaves out."""

    first: int
    last: int
    start: int
    end: int
    text: str
    kind: Kind
    owner: int = -1
    prefixes: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class Mask:
    """The units of a stretch of tokens, the text for hcl2, and where in that text each unit begins."""

    units: list[Unit] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=dict)
    length: int = 0
    newlines: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the text for hcl2."""
        return "".join(self.parts)

    def write(self, text: str) -> None:
        """Add text that belongs to no unit."""
        self.parts.append(text)
        self.length += len(text)

    def add(self, unit: Unit, shown: str) -> None:
        """Add a unit, shown as `shown`."""
        self.offsets[self.length] = len(self.units)
        if unit.kind is Kind.NEWLINE:
            self.newlines.append(len(self.units))
        self.units.append(unit)
        self.write(shown)


class _Masker:
    """Walks tokens with the bracket context that decides what newlines and names mean."""

    def __init__(self, tokens: list[Token], first: int, last: int, in_body: bool) -> None:
        self.tokens = tokens
        self.index = first
        self.last = last
        self.mask = Mask()
        self.contexts: list[list[object]] = []
        self.context = _BODY if in_body else _GROUP
        self.owner = -1
        self.state = "start"
        self.seen_in = False
        self.before: str = ""
        self.prefixes: list[tuple[str, int]] = []

    def run(self) -> Mask:
        while self.index <= self.last:
            token = self.tokens[self.index]
            if token.kind is Kind.COMMENT:
                self.index += 1
            elif token.kind is Kind.NEWLINE:
                self.newline(token)
            elif token.kind in (Kind.QUOTE_OPEN, Kind.HEREDOC_OPEN):
                self.unit(token.partner, '""', "operand")
            elif token.kind is Kind.IDENT:
                self.identifier(token)
            elif token.kind is Kind.NUMBER:
                self.number(token)
            else:
                self.punctuation(token)
        self.flush_prefixes()
        return self.mask

    def unit(self, last: int, shown: str, before: str) -> None:
        """Add the tokens from here to `last` as one unit."""
        self.flush_prefixes()
        first = self.tokens[self.index]
        text = first.text if last == self.index else ""
        self.mask.add(Unit(self.index, last, first.start, self.tokens[last].end, text, first.kind, self.owner), shown)
        self.mask.write(" ")
        self.index = last + 1
        self.before = before

    def flush_prefixes(self) -> None:
        """Add the unary operators met so far as one unit: hcl2 reads one, the others hang on it."""
        if self.prefixes:
            operator, index = self.prefixes[-1]
            token = self.tokens[index]
            unit = Unit(
                index, index, token.start, token.end, operator, token.kind, self.owner, tuple(self.prefixes[:-1])
            )
            self.mask.add(unit, operator + " ")
            self.prefixes = []

    def number(self, token: Token) -> None:
        """Add a number; after a dot it is an old-style index."""
        shown = "1.1" if set(".eE") & set(token.text) and self.before != "." else "1"
        self.unit(self.index, shown, "operand")

    def newline(self, token: Token) -> None:
        significant = self.context in (_BODY, _OBJECT)
        repeated = bool(self.mask.units) and self.mask.units[-1].kind is Kind.NEWLINE
        if significant and not repeated:
            self.flush_prefixes()
            self.mask.add(Unit(self.index, self.index, token.start, token.end, "\n", token.kind, self.owner), "\n")
            self.before = ""
        if self.context == _BODY:
            self.state = "start" if self.state != "header" else "header"
        self.index += 1

    def identifier(self, token: Token) -> None:
        text = token.text
        if self.context == _BODY and self.state == "start":
            self.state = "header"
        if self.context == _FOR and self.before != ".":
            if text == "in" and not self.seen_in:
                self.seen_in = True
                self.unit(self.index, "in", "")
                return
            if text == "if" and self.seen_in and self.before in ("operand", "..."):
                self.unit(self.index, "if", "")
                return
        if text in _LITERALS and self.before != "." and not (self.context == _BODY and self.state == "header"):
            self.unit(self.index, text, "operand")
            return
        last = self.index
        while last + 2 <= self.last and self.tokens[last + 1].text == "::" and self.tokens[last + 2].kind is Kind.IDENT:
            last += 2
        self.unit(last, "a", "operand")

    def punctuation(self, token: Token) -> None:
        text = token.text
        if text in "([{":
            self.open(text)
        elif text in _OPERAND_ENDS:
            self.flush_prefixes()
            self.close(text)
        elif text in _PREFIXES and self.before != "operand":
            self.prefixes.append((text, self.index))
            self.index += 1
        else:
            self.flush_prefixes()
            if text == "=" and self.context == _BODY and self.state == "header":
                self.state = "expression"
            following = self.tokens[self.index + 1].text if self.index < self.last else ""
            if text == "." and following == "*":
                self.unit(self.index + 1, ".*", "operand")
            else:
                self.unit(self.index, text, text)

    def open(self, text: str) -> None:
        if text == "[" and self.is_full_splat():
            self.unit(self.index + 2, "[*]", "operand")
            return
        self.contexts.append([self.context, self.owner, self.state, self.seen_in])
        if text == "{" and self.context == _BODY and self.state == "header":
            inner = _BODY
        elif text != "(" and self.followed_by_for():
            inner = _FOR
        else:
            inner = _OBJECT if text == "{" else _GROUP
        self.unit(self.index, text, "")
        self.context, self.owner, self.state, self.seen_in = inner, len(self.mask.units) - 1, "start", False
        if inner == _FOR:
            self.skip_to_for()

    def close(self, text: str) -> None:
        if self.contexts:
            context, owner, state, seen_in = self.contexts.pop()
            self.context, self.owner = str(context), int(str(owner))
            self.state, self.seen_in = str(state), bool(seen_in)
            if self.context == _BODY and self.state == "header":
                self.state = "after"
        self.unit(self.index, text, "operand")

    def is_full_splat(self) -> bool:
        following = self.tokens[self.index + 1 : self.index + 3]
        return [t.text for t in following] == ["*", "]"] and self.before == "operand"

    def next_index(self, index: int) -> int:
        index += 1
        while index <= self.last and self.tokens[index].kind in (Kind.NEWLINE, Kind.COMMENT):
            index += 1
        return index

    def followed_by_for(self) -> bool:
        index = self.next_index(self.index)
        return index <= self.last and self.tokens[index].kind is Kind.IDENT and self.tokens[index].text == "for"

    def skip_to_for(self) -> None:
        self.index = self.next_index(self.index - 1)
        self.unit(self.index, "for", "")


def mask_body(tokens: list[Token], first: int, last: int) -> Mask:
    """Return the mask of arguments and blocks: tokens `first` to `last`, both included."""
    return _Masker(tokens, first, last, in_body=True).run()


def mask_expression(tokens: list[Token], first: int, last: int) -> Mask:
    """Return the mask of one expression, shown to hcl2 as the value of an argument."""
    masker = _Masker(tokens, first, last, in_body=False)
    masker.mask.write("e = ")  # not "a": with names as `a`, the same text would stand for other units
    return masker.run()
