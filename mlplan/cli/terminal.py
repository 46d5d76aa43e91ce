"""What is known of the terminal: style of each stream, sources for messages, the options that every command shares."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.source import SourceFile
from mlplan.report.style import Style, style_for


class _Choice:
    """What the command line said of output, and where the root is. json: "document" or "lines" when programs read stdout."""

    no_color = False
    root = Path()
    json = ""
    compact_warnings = False


def choose(no_color: bool, root: Path) -> None:
    """Remember what the command line said."""
    _Choice.no_color = no_color
    _Choice.root = root


def behave(*, json: str = "", compact_warnings: bool = False) -> None:
    """Remember how a command was told to speak."""
    _Choice.json = json
    _Choice.compact_warnings = compact_warnings


def spoken_json() -> str:
    """Return "document" or "lines" when programs read stdout, else nothing."""
    return _Choice.json


def warns_compactly() -> bool:
    """Tell whether a warning takes one line."""
    return _Choice.compact_warnings


def root() -> Path:
    """Return the folder that was named before the command, or the current one."""
    return _Choice.root


def stdout_style() -> Style:
    """Return the style of stdout."""
    return _style(sys.stdout.isatty())


def stderr_style() -> Style:
    """Return the style of stderr."""
    return _style(sys.stderr.isatty())


def _style(is_terminal: bool) -> Style:
    columns = shutil.get_terminal_size((100, 24)).columns
    return style_for(is_terminal, os.environ, _Choice.no_color, columns)


def sources_of(diagnostics: Iterable[Diagnostic]) -> dict[str, SourceFile]:
    """Read the files that diagnostics point at, for their source lines; a file that is gone is left out."""
    found: dict[str, SourceFile] = {}
    for diagnostic in diagnostics:
        if diagnostic.span is not None and diagnostic.span.path not in found:
            path = _Choice.root / diagnostic.span.path
            try:
                found[diagnostic.span.path] = SourceFile(diagnostic.span.path, path.read_text(encoding="utf-8-sig"))
            except (OSError, UnicodeDecodeError):
                continue  # the message stands without its source line
    return found
