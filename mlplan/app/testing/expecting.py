"""Which failures a run expects, and whether they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlplan.app.testing.read import TestRun, address_of
from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile, Span
from mlplan.ledger.evidence import Evidence

BLOCKS = {"var": "variable", "output": "output", "check": "check", "module": "module"}
"""Root word of a reference -> type of the block that it names."""


@dataclass(frozen=True)
class Failure:
    """Something that did not go well: a diagnostic, or evidence that says no."""

    diagnostic: Diagnostic

    @staticmethod
    def of_evidence(evidence: Evidence, span: Span) -> Failure:
        """Return the failure that a refusing gate or contract stands for."""
        detail = evidence.message or evidence.question
        return Failure(Diagnostic("refused", "A gate or contract said no", detail, span=span, address=evidence.subject))


def unmet(
    run: TestRun, failures: Iterable[Failure], sources: Mapping[str, SourceFile]
) -> tuple[list[Diagnostic], list[Failure]]:
    """Return a diagnostic for every expected failure that did not come, and the failures that nobody expects."""
    places = _places(sources) if run.expected else {}
    came: set[str] = set()
    unexpected: list[Failure] = []
    for failure in failures:
        found = [e for e in map(address_of, run.expected) if _matches(e, failure.diagnostic, places)]
        came.update(found)
        if not found:
            unexpected.append(failure)
    missing = [
        Diagnostic(
            "missing-failure", "An expected failure did not come",
            f"{address_of(expected)} was expected to fail in this run, and did not.", span=expected.span,
        )
        for expected in run.expected
        if address_of(expected) not in came
    ]  # fmt: skip
    return missing, unexpected


def _matches(expected: str, diagnostic: Diagnostic, places: Mapping[str, Span]) -> bool:
    address = diagnostic.address or ""
    if address == expected or address.startswith((expected + ".", expected + "[")):
        return True
    place, span = places.get(expected), diagnostic.span
    return (
        place is not None
        and span is not None
        and span.path == place.path
        and place.start <= span.start
        and span.end <= place.end
    )


def _places(sources: Mapping[str, SourceFile]) -> dict[str, Span]:
    """Return where each block of the files stands, by how references name it."""
    words = {block: word for word, block in BLOCKS.items()}
    found: dict[str, Span] = {}
    for source in sources.values():
        body, _ = parse(source)
        for block in body.blocks:
            if len(block.labels) == 1:
                found[f"{words.get(block.type, block.type)}.{block.labels[0]}"] = block.span
    return found
