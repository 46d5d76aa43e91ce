"""Every diagnostic code with its summary, read from the program's own source text, so that no list can fall behind.

A code is written as a kebab-case literal right before its summary, a literal sentence: `Diagnostic("no-files", "There is
nothing to plan", …)`, a helper with the same order of arguments, or a pair in a dict of summaries. Some codes of the expression language have
several summaries, as Terraform's have.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+")
SUMMARY = re.compile(r"([A-Z]|mlplan )[^\n]*[^.\n]")


@dataclass(frozen=True)
class Code:
    """A diagnostic code. summaries: the sentences it is shown with, the usual one first. modules: where it is made."""

    name: str
    summaries: tuple[str, ...]
    modules: tuple[str, ...]
    warning: bool = False

    @property
    def summary(self) -> str:
        """Return the usual sentence."""
        return self.summaries[0]


def all_codes(package: Path | None = None) -> dict[str, Code]:
    """Return every code of the program, by name. package: folder of the source, this program's own when left out."""
    root = package or Path(__file__).resolve().parent.parent
    summaries: dict[str, dict[str, None]] = {}
    modules: dict[str, dict[str, None]] = {}
    warnings: set[str] = set()
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        module = ".".join((root.name, *path.relative_to(root).with_suffix("").parts))
        for code, summary, warning in _found(tree):
            summaries.setdefault(code, {})[summary] = None
            modules.setdefault(code, {})[module] = None
            if warning:
                warnings.add(code)
    return {
        code: Code(code, tuple(summaries[code]), tuple(modules[code]), code in warnings) for code in sorted(summaries)
    }


def _found(tree: ast.AST) -> Iterator[tuple[str, str, bool]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            warning = any(k.arg == "severity" and _text(k.value) == "warning" for k in node.keywords)
            for first, second in zip(node.args, node.args[1:], strict=False):
                yield from _pair(first, second, warning)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is not None:
                    yield from _pair(key, value, False)


def _pair(first: ast.expr, second: ast.expr, warning: bool) -> Iterator[tuple[str, str, bool]]:
    code, summary = _text(first), _text(second)
    if code and summary and CODE.fullmatch(code) and SUMMARY.fullmatch(summary) and " " in summary:
        yield code, summary, warning


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
