"""Text from elsewhere made harmless for a terminal, a log, Markdown. Every sink goes through here."""

from __future__ import annotations

import re
import unicodedata

from mlplan.lang.hidden import hide

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Control characters, ANSI's ESC among them, direction marks, what is invisible, halves of characters."""

_HIDDEN = "\u200b"
"""Written after @ and # in Markdown: they are seen as they are, and nobody is mentioned, no issue linked."""


def safe_text(text: object) -> str:
    """Return text with control characters, ANSI sequences and direction marks shown as escapes; newlines and tabs stay.
    What was secret in this process is hidden."""
    return _UNSAFE.sub(_escaped, hide(str(text)).replace("\r\n", "\n"))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def one_line(text: object, most: int = 200) -> str:
    """Return safe text on one line, at most `most` characters."""
    line = " ".join(safe_text(text).split())
    return line if len(line) <= most else line[: max(most - 1, 0)] + "…"


def cell(text: object, most: int = 200) -> str:
    """Return text for Markdown, tables included: nothing in it is read as Markdown or HTML, mentions nobody, links nothing."""
    line = re.sub(r"([\\`*_{}\[\]<>()#+!|~@&:$^=-])", r"\\\1", one_line(text, most))
    line = re.sub(r"\bwww\.", lambda m: m[0][:-1] + "\\.", line, flags=re.IGNORECASE)
    return re.sub(r"(\\[@#])", r"\1" + _HIDDEN, line)


def code(text: object, most: int = 200) -> str:
    """Return text as inline code for Markdown, safe in a table as well: `|` is escaped there even inside code."""
    line = one_line(text, most).replace("|", "\\|")
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    blank = " " if line[:1] == "`" or line[-1:] == "`" or not line else ""
    return f"{ticks}{blank}{line}{blank}{ticks}"


def fence(text: str, language: str = "") -> str:
    """Return text in a Markdown fence longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def width(text: str) -> int:
    """Return how many columns a terminal needs for text."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def pad(text: str, columns: int) -> str:
    """Return text filled with blanks to `columns` of a terminal; longer text as it is."""
    return text + " " * max(0, columns - width(text))
