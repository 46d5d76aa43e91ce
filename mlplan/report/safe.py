"""Text from elsewhere made harmless for a terminal, a log, Markdown. Every sink goes through here."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def safe_text(text: object) -> str:
    """Return text with control characters, ANSI sequences and direction marks shown as escapes; newlines and tabs stay."""
    return _UNSAFE.sub(lambda m: f"\\u{ord(m[0]):04x}", str(text).replace("\r\n", "\n"))


def one_line(text: object, most: int = 200) -> str:
    """Return safe text on one line, at most `most` characters."""
    line = " ".join(safe_text(text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def cell(text: object, most: int = 200) -> str:
    """Return text for a cell of a Markdown table: nothing in it is read as Markdown or HTML."""
    line = one_line(text, most)
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~@&:])", r"\\\1", line)


def fence(text: str, language: str = "") -> str:
    """Return text in a Markdown fence longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def width(text: str) -> int:
    """Return how many columns a terminal needs for text."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)
