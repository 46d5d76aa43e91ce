"""Colour and characters of terminal text. Colour never carries meaning alone: every coloured mark is a sign as well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "magenta": "35"}


@dataclass(frozen=True)
class Style:
    """How text is shown. colour: ANSI sequences; ascii: no characters beyond ASCII. Units: `width` columns.

    actions: the text goes into a log of GitHub Actions, where a line that begins with :: is a command to the runner.
    """

    colour: bool = False
    ascii: bool = False
    width: int = 100
    actions: bool = False

    def paint(self, text: str, *names: str) -> str:
        """Return text in a colour, or as it is."""
        if not self.colour or not text:
            return text
        return f"\x1b[{';'.join(_CODES[n] for n in names)}m{text}\x1b[0m"

    def plain(self, text: str) -> str:
        """Return text with the signs that ASCII logs can show, and nothing that a runner would take for a command."""
        if self.actions:
            text = _COMMAND.sub(lambda found: found[0].replace("::", ": :").replace("##[", "## ["), text)
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode() if self.ascii else text


_COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)
_ASCII = str.maketrans({"…": "...", "→": "->", "≥": ">=", "≤": "<=", "−": "-", "×": "x", "—": "-", "–": "-", "·": "."})


def style_for(is_terminal: bool, environment: Mapping[str, str], no_color: bool, columns: int) -> Style:
    """Return the style for a stream: no colour into a pipe, with NO_COLOR or TERM=dumb, or when it is not wanted."""
    wanted = is_terminal and not no_color and "NO_COLOR" not in environment and environment.get("TERM") != "dumb"
    encoding = environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG") or ""
    ascii_only = not any(word in encoding.lower() for word in ("utf-8", "utf8")) and not is_terminal
    actions = environment.get("GITHUB_ACTIONS") == "true" and not is_terminal
    return Style(wanted, ascii_only, max(40, min(columns, 160)), actions)
