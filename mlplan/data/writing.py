"""A data contract's arguments as HCL text, for contracts that a program makes: inferred from data or taken from another format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INDENT = "  "


def contract_hcl(name: str, arguments: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """Return a `data_contract` block as `mlplan fmt` leaves it. notes: comment lines above it.

    arguments: as the block has them; `columns` and `quality` by name. None and empty values are left out.
    """
    simple = {k: v for k, v in arguments.items() if k not in ("columns", "quality", "drift") and not _left_out(v)}
    lines = [*(f"# {_one_line(note)}" for note in notes), f'data_contract "{block_name(name)}" {{']
    lines += _aligned({k: value_hcl(v) for k, v in simple.items()}, 1)
    columns = {_key(k): _column(v) for k, v in (arguments.get("columns") or {}).items()}
    lines += [f"{_INDENT}columns = {{", *_aligned(columns, 2), f"{_INDENT}}}"]
    for kind in ("quality", "drift"):
        for label, rule in (arguments.get(kind) or {}).items():
            lines += ["", f'{_INDENT}{kind} "{block_name(label)}" {{']
            lines += _aligned({k: _rule_value(k, v) for k, v in rule.items() if not _left_out(v)}, 2)
            lines.append(f"{_INDENT}}}")
    return "\n".join([*lines, "}"]) + "\n"


def value_hcl(value: Any) -> str:
    """Return a plain value as an HCL expression."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {value_hcl(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(value_hcl(v) for v in value) + "]"
    return quoted(str(value))


def quoted(text: str) -> str:
    """Return a quoted string in which nothing is a template or an escape that was not meant as one."""
    plain = "".join(_ESCAPES.get(letter, letter) for letter in text)
    plain = "".join(f"\\u{ord(c):04x}" if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 else c for c in plain)
    return '"' + plain.replace("${", "$${").replace("%{", "%%{") + '"'


def block_name(text: str) -> str:
    """Return a name that can label a block: letters, digits, underscores."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_").lower() or "data"
    return name if not name[0].isdigit() else f"data_{name}"


def _left_out(value: Any) -> bool:
    return value is None or value in ("", [], (), {}) or value is False


def _column(column: Mapping[str, Any]) -> str:
    kept = {k: v for k, v in column.items() if not _left_out(v) and not (k == "severity" and v == "block")}
    return value_hcl(kept)


def _rule_value(name: str, value: Any) -> str:
    return str(value) if name == "references" else value_hcl(value)


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else quoted(name)


def _aligned(pairs: Mapping[str, str], depth: int) -> list[str]:
    width = max((len(name) for name in pairs), default=0)
    return [f"{_INDENT * depth}{name:<{width}} = {value}" for name, value in pairs.items()]


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
