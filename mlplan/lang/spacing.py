"""Where `fmt` puts a blank between two tokens."""

from __future__ import annotations

from typing import TypeAlias

from mlplan.lang.scan import Kind

Seen: TypeAlias = tuple[Kind, str]
_TEMPLATE_BEFORE = (Kind.QUOTE_TEXT, Kind.HEREDOC_TEXT, Kind.QUOTE_OPEN, Kind.HEREDOC_OPEN)
_TEMPLATE_AFTER = (Kind.QUOTE_TEXT, Kind.HEREDOC_TEXT, Kind.QUOTE_CLOSE, Kind.HEREDOC_CLOSE)
_SEQUENCES = (Kind.INTERPOLATION, Kind.DIRECTIVE)
_NEGATION_AFTER = frozenset(
    ["(", "{", "[", "=", ":", ",", "?", "+", "*", "/", "%", "-", "==", "!=", ">", ">=", "<", "<=", "&&", "||", "!"]
)


def bracket_change(kind: Kind, text: str) -> int:
    """Return how many brackets a token opens, less those it closes."""
    if kind in _SEQUENCES or (kind is Kind.PUNCTUATION and text in "([{"):
        return 1
    if kind is Kind.SEQUENCE_END or (kind is Kind.PUNCTUATION and text in ")]}"):
        return -1
    return 0


def space_between(before: Seen | None, subject: Seen, after: Seen) -> bool:
    """Tell whether a blank stands between `subject` and `after`; `before` is what precedes `subject` in its cell."""
    kind, text = subject
    next_kind, next_text = after
    glued = _glued(kind, text, next_kind, next_text)
    if glued is not None:
        return glued
    if text == "in" and kind is Kind.IDENT and before is not None and before[0] is Kind.IDENT:
        return True
    if next_text == "[" and (kind in (Kind.IDENT, Kind.NUMBER) or bracket_change(kind, text) < 0):
        return False
    if kind is Kind.PUNCTUATION and text == "!":
        return False
    if kind is Kind.PUNCTUATION and text == "-":
        return (
            before is not None
            and not (before[0] is Kind.PUNCTUATION and before[1] in _NEGATION_AFTER)
            and before[0] not in _SEQUENCES
        )
    return _around_brackets(kind, text, next_kind, next_text)


def _glued(kind: Kind, text: str, next_kind: Kind, next_text: str) -> bool | None:
    """Return the answer for tokens that belong together whatever stands around them, None for others."""
    if next_kind is Kind.NEWLINE or (kind is Kind.IDENT and next_text == "("):
        return False
    if (kind is Kind.IDENT and next_text == "::") or (text == "::" and next_kind is Kind.IDENT):
        return False
    if (kind is Kind.PUNCTUATION and text == ".") or (next_kind is Kind.PUNCTUATION and next_text == "."):
        return False
    if next_kind is Kind.PUNCTUATION and next_text in (",", "..."):
        return False
    if kind is Kind.PUNCTUATION and text == ",":
        return True
    if kind in _TEMPLATE_BEFORE or next_kind in _TEMPLATE_AFTER:
        return False
    return None


def _around_brackets(kind: Kind, text: str, next_kind: Kind, next_text: str) -> bool:
    opens_brace = kind is Kind.PUNCTUATION and text == "{"
    closes_brace = next_kind is Kind.PUNCTUATION and next_text == "}"
    if opens_brace or closes_brace:
        return not (opens_brace and closes_brace)
    if kind in _SEQUENCES and next_kind is Kind.PUNCTUATION and next_text == "{":
        return True
    if kind is Kind.PUNCTUATION and text == "}" and next_kind is Kind.SEQUENCE_END:
        return True
    if kind is Kind.SEQUENCE_END and next_kind in _SEQUENCES:
        return False
    return not (bracket_change(kind, text) > 0 or bracket_change(next_kind, next_text) < 0)
