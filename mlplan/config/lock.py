"""The lock file `mlplan.lock.hcl`: pins of inputs, written by the machine, committed by people, never results."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile
from mlplan.lang.syntax import Literal
from mlplan.lang.values import to_python

HEADER = """# Written by mlplan; commit it. It pins what the last apply used, so that everyone trains on the same bytes.
# A pin advances by an apply, never by hand.
"""


def read_lock(path: Path) -> tuple[dict[str, dict[str, Any]], list[Diagnostic]]:
    """Return the pins by address; none when there is no file. Diagnostics: lock-damaged."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError) as error:
        return {}, [_damaged(path, str(error))]
    body, problems = parse(SourceFile(path.name, text))
    if problems:
        return {}, [_damaged(path, problems[0].detail or problems[0].summary)]
    pins: dict[str, dict[str, Any]] = {}
    for block in body.blocks:
        if block.type != "pin" or len(block.labels) != 1 or block.body.blocks:
            return {}, [_damaged(path, f'it holds "{block.type}", which is no pin')]
        values = {}
        for name, attribute in block.body.attributes.items():
            if not isinstance(attribute.expr, Literal):
                return {}, [_damaged(path, f"{name} is no plain value")]
            values[name] = to_python(attribute.expr.value)
        pins[block.labels[0]] = values
    return pins, []


def write_lock(path: Path, pins: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the pins in one canonical form, whole or not at all; an empty set removes the file."""
    if not pins:
        path.unlink(missing_ok=True)
        return
    blocks = []
    for address in sorted(pins):
        values = pins[address]
        width = max((len(name) for name in values), default=0)
        lines = [f"  {name:<{width}} = {_literal(values[name])}" for name in sorted(values)]
        blocks.append("\n".join([f"pin {_literal(address)} {{", *lines, "}"]))
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n" + "\n\n".join(blocks) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = (
        str(value)
        .replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\n", "\\n")
        .replace("\r", "\\r")
        .replace("\t", "\\t")
    )
    return '"' + text.replace("${", "$${").replace("%{", "%%{") + '"'


def _damaged(path: Path, why: str) -> Diagnostic:
    detail = f"{path.name} cannot be used: {why}. Restore it from version control, or remove it and apply to pin anew."
    return Diagnostic("lock-damaged", "The lock file is damaged", detail)
