"""Characters as people count them, and words. Not a function family: helpers of several."""

from __future__ import annotations

import unicodedata

_JOINER = "\u200d"


def graphemes(text: str) -> list[str]:
    """Return the letters of text: a base character with its combining marks, joined emoji, flags, and CR LF are one each."""
    if text.isascii() and "\r" not in text:
        return list(text)
    letters: list[str] = []
    for char in text:
        if letters and _continues(letters[-1], char):
            letters[-1] += char
        else:
            letters.append(char)
    return letters


def _continues(letter: str, char: str) -> bool:
    if letter == "\r":
        return char == "\n"
    if char == _JOINER or letter.endswith(_JOINER) or unicodedata.category(char) in ("Mn", "Me", "Mc"):
        return letter not in ("\n", "\r\n")
    if 0x1F3FB <= ord(char) <= 0x1F3FF:
        return True
    return len(letter) == 1 and _is_flag(letter) and _is_flag(char)


def _is_flag(char: str) -> bool:
    return 0x1F1E6 <= ord(char) <= 0x1F1FF


def capitalize_words(text: str) -> str:
    """Return text with the first letter of every word in title case; a word begins after anything but a letter, digit or _."""
    out: list[str] = []
    before = " "
    for char in text:
        starts = not (before.isalnum() or before == "_" or (ord(before) > 127 and not before.isspace()))
        out.append(char.title() if starts else char)
        before = char
    return "".join(out)
