"""Evidence: a measured answer to a question, with the verdict it supports. Gates, checks, looks and watches all yield it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import orjson


class Verdict(StrEnum):
    """What the evidence says."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """Not enough data to say."""
    ERROR = "error"
    """It could not be measured."""


@dataclass(frozen=True)
class Evidence:
    """One measured answer.

    subject: the address it is about, "model.flights.gate.ranks_well". question: in words, "roc_auc >= 0.70".
    method: how the interval was made, "delong". estimate, interval (low, high), limit: in the unit of the metric, None where
    there is none. confidence: of the two-sided interval. n: rows, requests or trials behind it. inputs: what it was measured on,
    name -> digest; together with `question` and `method` they say whether it can be reused. details: JSON-able, for the curious:
    slices, failing examples (masked), rows still needed. severity: "block" or "warn". at: seconds since the epoch.
    """

    subject: str
    question: str
    verdict: Verdict
    method: str = ""
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    confidence: float = 0.95
    n: int | None = None
    limit: float | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    severity: str = "block"
    message: str = ""
    owner: str = ""
    at: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        document = asdict(self)
        document["verdict"] = str(self.verdict)
        document["interval"] = list(self.interval) if self.interval is not None else None
        return document

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Evidence:
        """Return the evidence of a JSON document; unknown fields are ignored, so that older programs read newer evidence."""
        known = {name: document[name] for name in Evidence.__dataclass_fields__ if name in document}
        known["verdict"] = Verdict(known["verdict"])
        if known.get("interval") is not None:
            low, high = known["interval"]
            known["interval"] = (low, high)
        return Evidence(**known)

    def digest(self) -> str:
        """Return the name under which the state keeps it."""
        return digest_of(self.to_json())

    @property
    def blocks(self) -> bool:
        """Tell whether this stops what it guards: a blocking rule that did not pass."""
        return self.severity == "block" and self.verdict is not Verdict.PASS


def digest_of(document: Any) -> str:
    """Return "sha256:…" over the canonical JSON (sorted keys, no blanks) of plain data."""
    return "sha256:" + hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the most serious verdict: error, fail, inconclusive, pass; pass when there is none."""
    order = [Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS]
    return min(verdicts, key=order.index, default=Verdict.PASS)
