"""Source files and places in them. Everything that is read keeps its place, so that every message can point at it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from mlplan.lang.node import node


@node
class Span:
    """A stretch of one file.

    Units: `start` and `end` are offsets in characters (not bytes) into the decoded text, `end` exclusive.
    """

    path: str
    start: int
    end: int


@dataclass(frozen=True)
class SourceFile:
    """A file as it was read: `path` as shown to people (relative to the root), `text` decoded, line ends kept."""

    path: str
    text: str
    _starts: list[int] = field(default_factory=list, compare=False, repr=False)

    def __post_init__(self) -> None:
        starts = [0]
        position = self.text.find("\n")
        while position >= 0:
            starts.append(position + 1)
            position = self.text.find("\n", position + 1)
        object.__setattr__(self, "_starts", starts)

    def line_column(self, offset: int) -> tuple[int, int]:
        """Return line and column, both counted from 1, of a character offset."""
        line = bisect_right(self._starts, offset) - 1
        return line + 1, offset - self._starts[line] + 1

    def line(self, number: int) -> str:
        """Return the text of line `number` (from 1) without its line end."""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def span(self, start: int, end: int) -> Span:
        """Return a span of this file."""
        return Span(self.path, start, end)
