"""The lock file `mlplan.lock.hcl`: pins of inputs, written by the machine, committed by people, never results."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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


Pin = tuple[str, str]
"""Address and workspace: each workspace pins what its own last apply used."""
DEFAULT = "default"
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True)
class Lock:
    """What the file pins. pins: snapshots and the like by address and workspace; modules: commits by git source as written."""

    pins: Mapping[Pin, Mapping[str, Any]] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)


def read_lock(path: Path) -> tuple[Lock, list[Diagnostic]]:
    """Return what is pinned; nothing when there is no file. Diagnostics: lock-damaged."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Lock(), []
    except (OSError, UnicodeDecodeError) as error:
        return Lock(), [_damaged(path, str(error))]
    body, problems = parse(SourceFile(path.name, text))
    if problems:
        return Lock(), [_damaged(path, problems[0].detail or problems[0].summary)]
    pins: dict[Pin, dict[str, Any]] = {}
    modules: dict[str, str] = {}
    for block in body.blocks:
        labels = {"pin": (1, 2), "module": (1,)}.get(block.type, ())
        if len(block.labels) not in labels or block.body.blocks:
            return Lock(), [_damaged(path, f'it holds "{block.type}", which is no pin')]
        values = {}
        for name, attribute in block.body.attributes.items():
            if not isinstance(attribute.expr, Literal):
                return Lock(), [_damaged(path, f"{name} is no plain value")]
            values[name] = to_python(attribute.expr.value)
        if block.type == "pin":
            pins[block.labels[0], block.labels[1] if len(block.labels) > 1 else DEFAULT] = values
        elif COMMIT.fullmatch(str(values.get("commit"))):
            modules[block.labels[0]] = values["commit"]
        else:
            return Lock(), [_damaged(path, f'module "{block.labels[0]}" has no commit')]
    return Lock(pins, modules), []


def write_lock(path: Path, lock: Lock) -> None:
    """Write the pins in one canonical form, whole or not at all; an empty set removes the file."""
    if not lock.pins and not lock.modules:
        path.unlink(missing_ok=True)
        return
    modules = {source: {"commit": commit} for source, commit in lock.modules.items()}
    blocks = [_block("module", source, modules[source]) for source in sorted(modules)]
    blocks += [
        _block("pin", address, lock.pins[address, workspace], *([workspace] if workspace != DEFAULT else []))
        for address, workspace in sorted(lock.pins)
    ]
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n" + "\n\n".join(blocks) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _block(what: str, label: str, values: Mapping[str, Any], *more: str) -> str:
    width = max((len(name) for name in values), default=0)
    lines = [f"  {name:<{width}} = {_literal(values[name])}" for name in sorted(values)]
    return "\n".join([f"{' '.join([what, *map(_literal, (label, *more))])} {{", *lines, "}"])


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
