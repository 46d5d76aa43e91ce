"""How new and how many the rows are: freshness and the smallest number of rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from mlplan.data.contract import Contract
from mlplan.data.findings import Finder
from mlplan.ledger.evidence import Evidence, Verdict

_LONGEST_AHEAD = 86_400.0
"""Seconds that a row may lie in the future: clocks and time zones differ, but one wrong row must not hide old data."""

_UNITS = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes"))


def newest_of(value: Any) -> float | None:
    """Return a moment or day of the data as seconds since the epoch; None when there is none."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    return None


def judge_freshness(contract: Contract, newest: float | None, rows: int, now: float, finder: Finder) -> Evidence:
    """Return the evidence that the newest row is at most `fresh_within` old. Units: estimate and limit in seconds."""
    assert contract.fresh_within is not None
    subject = f"{contract.address}.freshness"
    question = f"newest {contract.time} is at most {age_words(contract.fresh_within)} old"
    if newest is None:
        message = f'Column "{contract.time}" has no value, so the age of the data is unknown.'
        return finder.evidence(subject, question, Verdict.FAIL, message, n=rows, limit=contract.fresh_within)
    age = now - newest
    moment = datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    fresh = -_LONGEST_AHEAD <= age <= contract.fresh_within
    ago = f"{age_words(age)} ago" if age >= 0 else f"{age_words(-age)} in the future"
    message = f'The newest "{contract.time}" is {moment}, {ago}'
    if age < -_LONGEST_AHEAD:
        message += ", so it cannot say how old the data is. Look for a wrong clock or time zone."
    else:
        message += "." if fresh else f"; at most {age_words(contract.fresh_within)} are allowed."
    return finder.evidence(
        subject, question, Verdict.PASS if fresh else Verdict.FAIL, message, method="exact", estimate=age, n=rows,
        limit=contract.fresh_within, details={"newest": moment},
    )  # fmt: skip


def judge_rows(contract: Contract, rows: int, finder: Finder) -> Evidence:
    """Return the evidence that there are enough rows; without `min_rows` one is enough."""
    least = 1 if contract.min_rows is None else contract.min_rows
    verdict = Verdict.PASS if rows >= least else Verdict.FAIL
    message = f"The source has {rows:,} rows" + ("." if rows >= least else f"; at least {least:,} needed.")
    return finder.evidence(
        f"{contract.address}.rows", f"at least {least:,} {'row' if least == 1 else 'rows'}", verdict, message, method="count", estimate=float(rows),
        n=rows, limit=float(least),
    )  # fmt: skip


def age_words(seconds: float) -> str:
    """Return a duration in the largest unit that gives at least two of it, "26 hours"."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"
