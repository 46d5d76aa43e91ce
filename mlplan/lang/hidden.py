"""The last guard of every sink: texts that were secret once in this process are never shown.

Taint decides what may be shown; this catches what words around a value repeat of it, a message of a failed conversion for example.
Short texts are not guarded: they would be found in innocent ones.
"""

from __future__ import annotations

import re

SHORTEST = 6
MOST = 4000
SHOWN = "(sensitive)"

_known: dict[str, None] = {}
_pattern: list[re.Pattern[str]] = []


def remember(value: object) -> None:
    """Guard the texts in a value from now on."""
    if isinstance(value, str):
        for text in {value, *value.splitlines()}:
            if len(text.strip()) >= SHORTEST and text not in _known and len(_known) < MOST:
                _known[text] = None
                _pattern.clear()
    elif isinstance(value, dict):
        for item in value.values():
            remember(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            remember(item)


def hide(text: str) -> str:
    """Return text without the secrets of this process, also as they stand between quotes."""
    if not _known:
        return text
    if not _pattern:
        texts = {form for known in _known for form in (known, _quoted(known), repr(known)[1:-1])}
        _pattern.append(re.compile("|".join(re.escape(form) for form in sorted(texts, key=len, reverse=True))))
    return _pattern[0].sub(SHOWN, text)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
