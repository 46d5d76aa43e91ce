"""The model card: text from the core, arranged.

It holds no time and no figure of this run, so equal models have equal cards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlplan.artifact.flavor import ModelInfo
from mlplan.artifact.schema import RequestSchema


def model_card(model: str, info: ModelInfo, schema: RequestSchema, fields: Mapping[str, Any]) -> str:
    """Return MODEL_CARD.md. fields: heading -> text, list or mapping; `title` and `description` stand on top."""
    lines = [f"# {_line(fields.get('title') or model)}", ""]
    if fields.get("description"):
        lines += [_line(fields["description"]), ""]
    classes = f", classes {', '.join(f'`{_cell(c)}`' for c in info.classes)}" if info.classes else ""
    lines += ["## Model", "", f"`{_cell(model)}`: {info.task.replace('_', ' ')} ({info.flavor}){classes}.", ""]
    lines += ["## Request", "", "| column | type | missing | limits |", "|---|---|---|---|"]
    for column in schema.columns:
        limits = []
        if column.between is not None:
            limits.append(f"{column.between[0]} to {column.between[1]}")
        if column.one_of is not None:
            limits.append(f"one of {len(column.one_of)} values")
        missing = "allowed" if column.nullable else "refused"
        name = (
            f"`{_cell(column.name)}`"
            + ("" if column.required else " (not a feature)")
            + (" (personal data)" if column.pii else "")
        )
        lines.append(f"| {name} | {_cell(column.type)} | {missing} | {_cell('; '.join(limits))} |")
    lines.append("")
    for heading, text in fields.items():
        if heading not in ("title", "description") and text not in (None, "", [], {}):
            lines += [f"## {_line(heading).replace('_', ' ').capitalize()}", "", *_body(text), ""]
    return "\n".join(lines)


def _body(text: Any) -> list[str]:
    if isinstance(text, Mapping):
        return [f"- {_line(key)}: {_line(value)}" for key, value in text.items()]
    if isinstance(text, list | tuple):
        return [f"- {_line(item)}" for item in text]
    return [_line(part) for part in str(text).splitlines()]


def _line(text: Any) -> str:
    """Return text as one harmless line: no control characters, no HTML."""
    joined = " ".join(str(text).split())
    return "".join(c for c in joined if c.isprintable()).replace("<", "&lt;")


def _cell(text: Any) -> str:
    return _line(text).replace("|", "\\|").replace("`", "'")
