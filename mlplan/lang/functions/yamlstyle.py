"""Writes YAML in the exact style of Terraform's emitter, a port of libyaml, where PyYAML's differs a little."""

from __future__ import annotations

from typing import Any

from yaml.emitter import Emitter
from yaml.events import ScalarEvent

_WIDTH = 80
_ESCAPED = Emitter.ESCAPE_REPLACEMENTS


class StyledEmitter(Emitter):
    """PyYAML's emitter with libyaml's way to fold quoted text, to write empty keys, and to end kept line breaks."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream, allow_unicode=True, width=_WIDTH)

    def check_empty_document(self) -> bool:
        """Never write the marker of an empty document."""
        return False

    def check_simple_key(self) -> bool:
        """Write an empty key as any other."""
        if isinstance(self.event, ScalarEvent) and self.event.value == "":
            self.analysis = self.analysis or self.analyze_scalar("")
            return True
        return bool(super().check_simple_key())

    def write_literal(self, text: str) -> None:
        """Write a block; kept line breaks at its end need no end mark."""
        super().write_literal(text)
        self.open_ended = False

    def write_double_quoted(self, text: str, split: bool = True) -> None:
        """Write quoted text; a line that is full breaks at its next single space, which the break stands for."""
        self.write_indicator('"', True)
        space_before = False
        for index, char in enumerate(text):
            inside = 0 < index < len(text) - 1
            if char == " " and split and inside and not space_before and self.column > self.best_width:
                self.write_indent()
                if text[index + 1] == " ":
                    self._put("\\")
            else:
                self._put(char if _is_plain(char) else _escape(char))
            space_before = char == " "
        self.write_indicator('"', False)

    def _put(self, text: str) -> None:
        self.column += len(text)
        self.stream.write(text)


def _is_plain(char: str) -> bool:
    if char in '"\\\x85\u2028\u2029\ufeff':
        return False
    return " " <= char <= "~" or "\xa0" <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd"


def _escape(char: str) -> str:
    if char in _ESCAPED:
        return "\\" + _ESCAPED[char]
    code = ord(char)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
