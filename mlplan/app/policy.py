"""What two revisions of the files say differently about rules: gates, contracts, environments, monitors."""

from __future__ import annotations

from collections.abc import Mapping

from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.fmt import format_text
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile, Span

WHOLE = frozenset({"data_contract", "environment", "monitor"})
INSIDE = {"model": frozenset({"gate", "evaluate", "test"})}


def policy_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Diagnostic]:
    """Return a warning for every rule that the head adds, changes or removes. What rules refer to (locals) is not followed."""
    old, new = _rules(before), _rules(after)
    found = []
    for address in dict.fromkeys([*old, *new]):
        if address not in new:
            word, span = "removes", None
        elif address not in old:
            word, span = "adds", new[address][1]
        elif old[address][0] != new[address][0]:
            word, span = "changes", new[address][1]
        else:
            continue
        detail = f"This head {word} {address}, compared with its base. Rules decide what may go live: review this before anything else."
        found.append(Diagnostic("policy-changed", "A rule is changed", detail, "warning", span, address))
    return found


def _rules(files: Mapping[str, str]) -> dict[str, tuple[str, Span]]:
    found: dict[str, tuple[str, Span]] = {}
    for name, text in files.items():
        body, _ = parse(SourceFile(name, text))
        for block in body.blocks:
            address = ".".join((block.type, *block.labels))
            if block.type in WHOLE:
                found[address] = (_text(text, block.span), block.header_span)
            for inner in block.body.blocks:
                if inner.type in INSIDE.get(block.type, ()):
                    below = ".".join((address, inner.type, *inner.labels))
                    found[below] = (_text(text, inner.span), inner.header_span)
    return found


def _text(text: str, span: Span) -> str:
    """Return a block without what layout alone changes."""
    return format_text(text[span.start : span.end].strip() + "\n")
