"""Characters as people count them, and words. Not a function family: helpers of several."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_JOINER = "\u200d"
_VARIANTS = "\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_EXTENDING = frozenset("\u200c\uff9e\uff9f\u0e33\u0eb3")
_PREPEND = "0600-0605 06DD 070F 0890-0891 08E2 0D4E 110BD 110CD 111C2-111C3"
_SPACING_LETTERS = "102B-102C 1038 1062-1064 1067-106D 1083 1087-108C 108F 109A-109C 1A61 1A63-1A64 AA7B AA7D"
_PICTURES = (
    "A9 AE 203C 2049 2122 2139 2194-21AA 231A-23FF 24C2 25AA-27BF 2934-2935 2B05-2B55 3030-303D 3297-3299 "
    "1F000-1F1E5 1F200-1F3FA 1F400-1FAFF"
)


def _among(code: int, ranges: str) -> bool:
    for one in ranges.split():
        low, _, high = one.partition("-")
        if int(low, 16) <= code <= int(high or low, 16):
            return True
    return False


def graphemes(text: str) -> list[str]:
    """Return the letters of text: a base character with its combining marks, joined emoji, flags, and CR LF are one each.

    Source: Unicode Standard Annex 29, extended grapheme clusters.
    """
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
    before, kind = _kind(letter[-1]), _kind(char)
    if letter == "\r":
        return char == "\n"
    if before == "control" or kind == "control":
        return False
    if kind in ("extend", "joiner") or before == "prepend":
        return True
    if kind in ("leading", "vowel", "trailing", "syllable", "closed"):
        return _is_syllable(before, kind)
    if kind == "picture" and before == "joiner":
        base = letter.rstrip(_JOINER + _VARIANTS)[-1:]
        return bool(base) and _kind(base) == "picture"
    return kind == "flag" and len(letter) == 1 and before == "flag"


def _is_syllable(before: str, kind: str) -> bool:
    if before == "leading":
        return kind in ("leading", "vowel", "syllable", "closed")
    if before in ("syllable", "vowel"):
        return kind in ("vowel", "trailing")
    return before in ("closed", "trailing") and kind == "trailing"


@lru_cache(maxsize=4096)
def _kind(char: str) -> str:
    code = ord(char)
    category = unicodedata.category(char)
    if char == _JOINER:
        return "joiner"
    if _among(code, _PREPEND):
        return "prepend"
    if category in ("Mn", "Me") or char in _EXTENDING or 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F:
        return "extend"
    if category == "Mc":
        return "letter" if _among(code, _SPACING_LETTERS) else "extend"
    if category in ("Cc", "Cf", "Zl", "Zp", "Cs"):
        return "control"
    if 0x1F1E6 <= code <= 0x1F1FF:
        return "flag"
    if 0x1100 <= code < 0x1200:
        return "leading" if code < 0x1160 else "vowel" if code < 0x11A8 else "trailing"
    if 0xAC00 <= code <= 0xD7A3:
        return "syllable" if (code - 0xAC00) % 28 == 0 else "closed"
    return "picture" if code >= 0xA9 and _among(code, _PICTURES) else "letter"


def capitalize_words(text: str) -> str:
    """Return text with the first letter of every word in title case; a word begins after anything but a letter, digit or _."""
    out: list[str] = []
    before = " "
    for char in text:
        starts = not (before.isalnum() or before == "_" or (ord(before) > 127 and not before.isspace()))
        out.append(char.title() if starts else char)
        before = char
    return "".join(out)
