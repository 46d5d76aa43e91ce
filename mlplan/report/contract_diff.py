"""What `contract diff` found, for a terminal and for a pull request. Takes the documents that --json writes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from mlplan.report.safe import cell, code, one_line
from mlplan.report.style import Style

Document = Mapping[str, Any]
_NOTHING = "The contracts ask for the same."


def diff_text(contracts: Sequence[Document], style: Style) -> str:
    """Return a paragraph a contract: its class, each change with its class, what it means for each model."""
    if not contracts:
        return f"{_NOTHING}\n"
    lines: list[str] = []
    for contract in contracts:
        lines.append(f"{style.paint(one_line(contract['address'], 300), 'bold')}: {_painted(contract['class'], style)}")
        for change in contract["changes"]:
            sign = "!" if change["class"] == "breaking" else "~"
            lines += _wrapped(f"{sign} ", f"{change['place']}: {change['change']} ({whom(change)})", style)
        for model in contract["models"]:
            lines += _wrapped("  ", model_words(model, contract), style)
        lines.append("")
    breaking = sum(c["class"] == "breaking" for c in contracts)
    models = {m["address"] for c in contracts for m in c["models"] if m["must_retrain"]}
    count = f"{len(contracts)} contract{'s' if len(contracts) != 1 else ''} changed, {breaking} breaking"
    lines.append(f"{count}; {len(models)} model{'s' if len(models) != 1 else ''} to train again.")
    return style.plain("\n".join(lines)) + "\n"


def diff_markdown(contracts: Sequence[Document]) -> str:
    """Return a heading and tables for a pull request."""
    if not contracts:
        return f"### Contracts\n\n{_NOTHING}\n"
    lines: list[str] = []
    for contract in contracts:
        lines += [
            f"### {code(contract['address'])}: {contract['class']}",
            "",
            "| what | change | class |",
            "|---|---|---|",
        ]
        lines += [f"| {code(c['place'])} | {cell(c['change'], 300)} | {cell(whom(c))} |" for c in contract["changes"]]
        lines += ["", *(f"- {cell(model_words(m, contract), 600)}" for m in contract["models"]), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def whom(change: Document) -> str:
    """Return the class of a change and whom it breaks."""
    hurt = [word for part, word in (("breaks_readers", "models that use it"), ("breaks_data", "data")) if change[part]]
    return f"breaking for {' and '.join(hurt)}" if hurt else str(change["class"])


def model_words(model: Document, contract: Document) -> str:
    """Return what a contract's changes mean for one model."""
    name = f"{model['address']} v{model['version']}" if model["version"] else model["address"]
    if model["must_retrain"]:
        return f"{name} must be trained again: {'; '.join(model['because'])}"
    unseen = [c["column"] for c in contract["changes"] if c["unseen_values"] and c["column"]]
    names = ", ".join(dict.fromkeys(c for c in unseen if model["used"] is None or c in model["used"]))
    beyond = f"; it has not learned from values of {names} that are allowed now" if names else ""
    return f"{name} can stay: nothing that it uses breaks{beyond}"


def _painted(kind: str, style: Style) -> str:
    return style.paint(kind, "red" if kind == "breaking" else "green")


def _wrapped(lead: str, text: str, style: Style) -> list[str]:
    room = max(style.width - 6, 40)
    first, *others = textwrap.wrap(one_line(text, 2000), room, break_on_hyphens=False) or [""]
    return [f"  {lead}{first}", *(f"      {line}" for line in others)]
