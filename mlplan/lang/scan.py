"""Text to tokens, templates included. Feeds the parser (which hands the grammar to hcl2) and the formatter.

Tokens cover everything but blanks. Brackets, quotes, heredocs and template sequences know their partner; problems that a
scanner can see (unclosed brackets, newline in a quoted string, stray characters, nesting too deep) are diagnostics here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.source import SourceFile

MAX_DEPTH = 64


class Kind(Enum):
    """What a token is."""

    IDENT = auto()
    NUMBER = auto()
    PUNCTUATION = auto()
    NEWLINE = auto()
    COMMENT = auto()
    QUOTE_OPEN = auto()
    QUOTE_TEXT = auto()
    QUOTE_CLOSE = auto()
    HEREDOC_OPEN = auto()
    HEREDOC_TEXT = auto()
    HEREDOC_CLOSE = auto()
    INTERPOLATION = auto()
    DIRECTIVE = auto()
    SEQUENCE_END = auto()


@dataclass(slots=True)
class Token:
    """A piece of text. `partner`: index of the token that closes what this one opens, or the other way round."""

    kind: Kind
    text: str
    start: int
    end: int
    partner: int = -1


_NORMAL = re.compile(
    r"""(?P<blank>[ \t]+)
    |(?P<NEWLINE>\r?\n)
    |(?P<COMMENT>(?:\#|//)[^\n]*?(?=\r?\n|\Z)|/\*.*?\*/)
    |(?P<unclosed>/\*)
    |(?P<HEREDOC_OPEN><<-?[^\W\d][\w.-]*[ \t]*\r?\n)
    |(?P<IDENT>[^\W\d][\w-]*)
    |(?P<NUMBER>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    |(?P<QUOTE_OPEN>")
    |(?P<SEQUENCE_END>~\})
    |(?P<PUNCTUATION>\.\.\.|==|!=|<=|>=|&&|\|\||=>|::|[-+*/%!<>=?:.,(){}\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r'(?:\\[^\n]|\$\$\{|%%\{|\$(?!\{)|%(?!\{)|[^"\\$%\n])+')
_HEREDOC_LINE = re.compile(r"(?:\$\$\{|%%\{|\$(?!\{)|%(?!\{)|[^$%\n])*\n?")
_SEQUENCE = re.compile(r"[$%]\{~?")
_OPENERS = {"(": ")", "[": "]", "{": "}"}
_FIXED_KINDS = {kind.name: kind for kind in Kind}


class Scanner:
    """Scans one text into `tokens`, collecting `problems`. After the first problem of structure it stops."""

    def __init__(self, source: SourceFile, base: int = 0) -> None:
        self.source = source
        self.text = source.text
        self.tokens: list[Token] = []
        self.problems: list[Diagnostic] = []
        self._open: list[int] = []
        self._position = base
        self._outside: Kind | None = None

    def run(self) -> None:
        """Scan to the end."""
        size = len(self.text)
        while self._position < size and not self._stopped:
            self._step()
        if self._open and not self._stopped:
            self._unclosed()

    _stopped = False

    def _step(self) -> None:
        top = self.tokens[self._open[-1]].kind if self._open else self._outside
        if top is Kind.QUOTE_OPEN:
            self._quoted()
        elif top is Kind.HEREDOC_OPEN:
            self._heredoc()
        else:
            self._normal()

    def _add(self, kind: Kind, end: int) -> Token:
        token = Token(kind, self.text[self._position : end], self._position, end)
        self.tokens.append(token)
        self._position = end
        return token

    def _push(self, kind: Kind, end: int) -> None:
        self._open.append(len(self.tokens))
        self._add(kind, end)
        if len(self._open) > MAX_DEPTH:
            self._problem(
                "nesting-too-deep",
                "Nesting too deep",
                f"Brackets and templates are nested more than {MAX_DEPTH} levels deep here. Move inner parts into locals.",
                self._open[-1],
            )

    def _pop(self, kind: Kind, end: int) -> None:
        opener = self._open.pop()
        self._add(kind, end).partner = opener
        self.tokens[opener].partner = len(self.tokens) - 1

    def _problem(self, code: str, summary: str, detail: str, token: int | None = None, length: int = 1) -> None:
        start, end = self._position, min(self._position + length, len(self.text))
        if token is not None:
            start, end = self.tokens[token].start, self.tokens[token].end
        self.problems.append(Diagnostic(code, summary, detail, span=self.source.span(start, end)))
        self._stopped = True

    def _normal(self) -> None:
        match = _NORMAL.match(self.text, self._position)
        if match is None:
            self._invalid_character()
            return
        group, end = match.lastgroup, match.end()
        if group == "blank":
            self._position = end
        elif group == "PUNCTUATION":
            self._punctuation(match.group(), end)
        elif group in ("QUOTE_OPEN", "HEREDOC_OPEN"):
            self._push(_FIXED_KINDS[group], end)
        elif group == "unclosed":
            detail = 'The comment that begins here never ends: its closing "*/" is missing.'
            self._problem("unclosed-bracket", "Unclosed bracket", detail, length=2)
        elif group == "SEQUENCE_END":
            if self._open and self.tokens[self._open[-1]].kind in (Kind.INTERPOLATION, Kind.DIRECTIVE):
                self._pop(Kind.SEQUENCE_END, end)
            else:
                self._invalid_character()
        else:
            self._add(_FIXED_KINDS[group or "IDENT"], end)

    def _punctuation(self, text: str, end: int) -> None:
        if text in _OPENERS:
            self._push(Kind.PUNCTUATION, end)
        elif text in ")]}":
            opener = self.tokens[self._open[-1]] if self._open else None
            if opener is None:
                self._problem(
                    "unexpected-closing-bracket",
                    "Unexpected closing bracket",
                    f'This "{text}" closes nothing: no bracket is open here. Remove it, or add the missing opening bracket.',
                )
            elif opener.kind in (Kind.INTERPOLATION, Kind.DIRECTIVE) and text == "}":
                self._pop(Kind.SEQUENCE_END, end)
            elif _OPENERS.get(opener.text) == text:
                self._pop(Kind.PUNCTUATION, end)
            else:
                self._mismatch(opener, text)
        else:
            self._add(Kind.PUNCTUATION, end)

    def _mismatch(self, opener: Token, text: str) -> None:
        wanted = _OPENERS.get(opener.text, "}")
        line = self.source.line_column(opener.start)[0]
        self._problem(
            "mismatched-bracket",
            "Mismatched bracket",
            f'Found "{text}", but the "{opener.text}" of line {line} is still open and needs its "{wanted}" first.',
        )

    def _quoted(self) -> None:
        char = self.text[self._position]
        if char == '"':
            self._pop(Kind.QUOTE_CLOSE, self._position + 1)
        elif match := _QUOTED.match(self.text, self._position):
            self._add(Kind.QUOTE_TEXT, match.end())
        elif char in "\n\\":
            self._problem(
                "newline-in-string",
                "Newline in a quoted string",
                "A quoted string must end on the line it began. Write \\n for a newline inside it, "
                "or use a heredoc (<<EOT) for text of several lines.",
                self._open[-1],
            )
        else:
            self._sequence()

    def _heredoc(self) -> None:
        opener = self.tokens[self._open[-1]] if self._open else None
        marker = opener.text.lstrip("<-").strip() if opener else None
        if marker and self.text[self._position - 1] == "\n":
            line_end = self.text.find("\n", self._position)
            line_end = len(self.text) if line_end < 0 else line_end
            line = self.text[self._position : line_end]
            if line.strip() == marker:
                self._pop(Kind.HEREDOC_CLOSE, self._position + len(line.rstrip("\r")))
                return
        match = _HEREDOC_LINE.match(self.text, self._position)
        if match is not None and match.end() > self._position:
            self._add(Kind.HEREDOC_TEXT, match.end())
        else:
            self._sequence()

    def _sequence(self) -> None:
        match = _SEQUENCE.match(self.text, self._position)
        assert match is not None
        self._push(Kind.INTERPOLATION if match.group()[0] == "$" else Kind.DIRECTIVE, match.end())

    def _invalid_character(self) -> None:
        char = self.text[self._position]
        advice = {
            "'": 'Strings are written with double quotes: "text".',
            ";": "Arguments are separated by newlines, not semicolons.",
            "&": 'The operator "and" is written &&.',
            "|": 'The operator "or" is written ||.',
            "\ufeff": "A byte order mark may only stand at the very start of a file.",
        }.get(char, "This character is not part of the language. Remove it, or put it inside a quoted string.")
        shown = char if char.isprintable() else f"U+{ord(char):04X}"
        self._problem("invalid-character", "Invalid character", f'Found "{shown}". {advice}')

    def _unclosed(self) -> None:
        index = self._open[-1]
        opener = self.tokens[index]
        what, wanted = {
            Kind.QUOTE_OPEN: ("quoted string", 'closing quote "'),
            Kind.HEREDOC_OPEN: ("heredoc", f'a line that holds only "{opener.text.lstrip("<-").strip()}"'),
            Kind.INTERPOLATION: ("interpolation", 'closing "}"'),
            Kind.DIRECTIVE: ("template directive", 'closing "}"'),
        }.get(opener.kind, ("bracket", f'closing "{_OPENERS.get(opener.text, "")}"'))
        detail = f"The file ends, but the {what} that begins here was never closed: its {wanted} is missing."
        self._problem("unclosed-bracket", "Unclosed bracket", detail, index)


def scan(source: SourceFile, base: int = 0) -> tuple[list[Token], list[Diagnostic]]:
    """Return the tokens of a file from offset `base` on, and the problems found; tokens end at the first problem."""
    scanner = Scanner(source, base)
    scanner.run()
    return scanner.tokens, scanner.problems


def scan_template(source: SourceFile) -> tuple[list[Token], list[Diagnostic]]:
    """Return the tokens of a text that is a template as a whole, as if it were the inside of a heredoc."""
    scanner = Scanner(source)
    scanner._outside = Kind.HEREDOC_OPEN
    scanner.run()
    return scanner.tokens, scanner.problems
