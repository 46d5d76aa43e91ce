"""From counts to evidence: verdicts, and messages that name column, rows, examples and owner in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlplan.data.checks import RowCheck
from mlplan.data.contract import Contract
from mlplan.data.verdicts import Interval, against, rows_to_decide, wilson
from mlplan.ledger.evidence import Evidence, Verdict

MASK = "(masked)"
"""Stands for a value of a `pii` column."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_SHOWN_EXAMPLES = 3
_LONGEST_VALUE = 80


@dataclass(frozen=True)
class Finder:
    """Makes the evidence of one contract over one snapshot. inputs: name -> digest. Units: `at` seconds since the
    epoch.
    """

    contract: Contract
    inputs: Mapping[str, str]
    at: float
    confidence: float = 0.95
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def evidence(self, subject: str, question: str, verdict: Verdict, message: str, **more: Any) -> Evidence:
        """Return evidence with what is the same everywhere filled in; a message about trouble names the owner."""
        owner = self.contract.owner
        if verdict is not Verdict.PASS and owner:
            message = f"{message} Owner: {owner}."
        return Evidence(
            subject, question, verdict, message=message, owner=owner, at=self.at, inputs=self.inputs,
            confidence=self.confidence, **more,
        )  # fmt: skip

    def error(self, subject: str, question: str, reason: str, severity: str = "block") -> Evidence:
        """Return evidence that something could not be measured."""
        return self.evidence(subject, question, Verdict.ERROR, reason, severity=severity, method="none")

    def rows(
        self, check: RowCheck, failing: int, n: int, examples: Sequence[Mapping[str, Any]] = (), note: str = ""
    ) -> Evidence:
        """Return the evidence of a check over rows: `failing` of `n` rows that were looked at."""
        share = (n - failing) / n if n else None
        at_least = 1.0 if check.exact else check.at_least
        interval = None if check.exact else wilson(n - failing, n, self.confidence)
        verdict = _row_verdict(check, failing, n, interval)
        details: dict[str, Any] = {"failing": failing, "failing_fraction": failing / n if n else 0.0}
        if check.at_least is not None and check.at_most is not None:
            details["at_least"], details["at_most"] = check.at_least, check.at_most
        if examples:
            details["examples"] = list(examples)
        message = _row_message(check, failing, n, examples, note)
        if verdict is Verdict.INCONCLUSIVE:
            needed = rows_to_decide(share if share is not None else 1.0, n, check.at_least, check.at_most)
            details["rows_needed"] = needed
            message += _undecided(needed)
        return self.evidence(
            check.subject, check.question + _bound_words(check), verdict, message, method="count" if check.exact else "wilson",
            estimate=share, interval=interval, n=n, limit=check.at_most if at_least is None else at_least,
            details=details, severity=check.severity,
        )  # fmt: skip

    def metric(self, subject: str, question: str, measured: Measured, limits: Limits, severity: str) -> Evidence:
        """Return the evidence of a metric against its limits."""
        if measured.estimate is None:
            message = f"{question}: there is no value to measure."
            return self.evidence(
                subject, question, Verdict.INCONCLUSIVE, message, n=measured.n, limit=limits.shown, severity=severity
            )
        interval = measured.interval or (measured.estimate, measured.estimate)
        verdict = measured.verdict or against(interval, limits.at_least, limits.at_most)
        details: dict[str, Any] = dict(measured.details)
        if limits.at_least is not None and limits.at_most is not None:
            details["at_least"], details["at_most"] = limits.at_least, limits.at_most
        message = _metric_message(question, measured, verdict)
        if verdict is Verdict.INCONCLUSIVE and measured.share:
            needed = rows_to_decide(measured.estimate, measured.n, limits.at_least, limits.at_most)
            details["rows_needed"] = needed
            message += _undecided(needed)
        return self.evidence(
            subject, question, verdict, message, method=measured.method, estimate=measured.estimate,
            interval=measured.interval, n=measured.n, limit=limits.shown, details=details, severity=severity,
        )  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """The limits of a metric."""

    at_least: float | None
    at_most: float | None

    @property
    def shown(self) -> float | None:
        """Return the one limit that evidence shows; with two, the upper."""
        return self.at_most if self.at_most is not None else self.at_least

    def words(self, what: str) -> str:
        """Return the question, "mean(amount) <= 3"."""
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least:g} <= {what} <= {self.at_most:g}"
        return f"{what} >= {self.at_least:g}" if self.at_least is not None else f"{what} <= {self.at_most:g}"


@dataclass(frozen=True)
class Measured:
    """A measured metric. estimate None: nothing to measure. share: it is a share of n. verdict: when the method decides
    itself.
    """

    estimate: float | None
    n: int
    method: str
    interval: Interval | None = None
    verdict: Verdict | None = None
    share: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


def shown_value(value: Any) -> Any:
    """Return a value of the data as plain JSON: short text for all but numbers and truth values, with control characters
    and direction marks as escapes, since it is shown in terminals and pages.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    text = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _row_verdict(check: RowCheck, failing: int, n: int, interval: Interval | None) -> Verdict:
    if interval is None:
        return Verdict.FAIL if failing else Verdict.PASS
    if n == 0:
        return Verdict.INCONCLUSIVE
    return against(interval, check.at_least, check.at_most)


def _bound_words(check: RowCheck) -> str:
    if check.exact:
        return ""
    if check.at_least is not None and check.at_most is not None:
        return f" in {check.at_least:.4g} to {check.at_most:.4g} of the rows"
    return (
        f" in at least {check.at_least:.4g} of the rows"
        if check.at_least is not None
        else f" in at most {check.at_most:.4g} of the rows"
    )


def _row_message(check: RowCheck, failing: int, n: int, examples: Sequence[Mapping[str, Any]], note: str) -> str:
    subject = f'Column "{check.columns[0]}": ' if len(check.columns) == 1 and ".column." in check.subject else ""
    if not failing:
        return f"{subject}{check.question} in all {n:,} rows." if n else f"{subject}no row to look at."
    message = f"{subject}{failing:,} of {n:,} rows ({_percent(failing, n)}) {check.failure}{note}"
    shown = [_example_words(example) for example in examples[:_SHOWN_EXAMPLES]]
    return message + (f", for example {'; '.join(shown)}." if shown else ".")


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.2f} %" if share >= 0.1 else f"{share:.2g} %"


def _example_words(example: Mapping[str, Any]) -> str:
    values = ", ".join(f"{column} = {_quoted(value)}" for column, value in example.get("values", {}).items())
    if "times" in example:
        return f"{values} ({example['times']:,} times)"
    place = f"row {example['row']:,}" if "row" in example else "a row"
    if "file" in example:
        place += f" of {example['file']}"
    key = ", ".join(f"{column} {value}" for column, value in example.get("key", {}).items())
    return f"{place}{f' ({key})' if key else ''}: {values}"


def _quoted(value: Any) -> str:
    if value is None:
        return "missing"
    return f'"{value}"' if isinstance(value, str) and value != MASK else str(value)


def _metric_message(question: str, measured: Measured, verdict: Verdict) -> str:
    words = {Verdict.PASS: "holds", Verdict.FAIL: "does not hold", Verdict.INCONCLUSIVE: "cannot be decided"}[verdict]
    message = f"{question} {words}: measured {measured.estimate:.6g}"
    if measured.interval is not None:
        message += f" [{measured.interval[0]:.6g}, {measured.interval[1]:.6g}]"
    return f"{message} over {measured.n:,} rows."


def _undecided(needed: int | None) -> str:
    if needed is None:
        return " The measured share is the limit itself; more rows would not decide."
    return f" About {needed:,} rows would decide."
