"""Reports files over 400 lines and functions over 60; a longer file says "Reason for its size" in its docstring."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("mlplan", "providers", "state", "tools", "examples")
MOST_LINES, MOST_FUNCTION, REASON = 400, 60, "Reason for its size"


def main() -> int:
    """Print what is too large; return 1 when there is anything."""
    found = []
    for path in sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py") if ".mlplan" not in p.parts):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines, name = text.count("\n"), path.relative_to(ROOT)
        if lines > MOST_LINES and REASON not in (ast.get_docstring(tree) or ""):
            found.append(f"{name}: {lines} lines (over {MOST_LINES})")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > MOST_FUNCTION and REASON not in (ast.get_docstring(node) or ""):
                    found.append(f"{name}:{node.lineno}: {node.name} is {size} lines (over {MOST_FUNCTION})")
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
