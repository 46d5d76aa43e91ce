"""What a version waits for before it comes into an environment."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from mlplan.kinds.deployment.spec import place
from mlplan.kinds.deployment.waiting import is_open, parse_hours, unmet
from tests.unit.kinds.planning import NOW, deployment, deployment_record, environment


def _unmet(
    attributes: dict[str, object] | None = None, *, since: float | None = NOW - 100, unattended: bool = False,
    now: float = NOW, **rules: object,
) -> str | None:  # fmt: skip
    where = place(deployment(), environment(**rules), "lineage", None)
    record = deployment_record(**(attributes or {}))  # type: ignore[arg-type]
    return unmet(where, record, "v3", since, now, unattended)


def test_soak() -> None:
    rules = {"promote_when": {"soaked_for": 3600.0}, "promote_from": "environment.dev"}
    assert "100 of 3600 s" in str(_unmet(**rules))  # type: ignore[arg-type]
    assert _unmet(since=NOW - 3600, **rules) is None  # type: ignore[arg-type]


def test_approvals_are_of_a_version_and_counted_by_person() -> None:
    rules = {"promote_when": {"approvals": 2}}
    assert "0 of 2 approvals" in str(_unmet(**rules))  # type: ignore[arg-type]
    assert "mlplan promote m@prod" in str(_unmet(**rules))  # type: ignore[arg-type]
    one = {"approvals": {"v3": [{"who": "ada"}], "v2": [{"who": "bob"}, {"who": "eve"}]}}
    assert "1 of 2" in str(_unmet(one, **rules))  # type: ignore[arg-type]
    assert _unmet({"approvals": {"v3": [{"who": "ada"}, {"who": "bob"}]}}, **rules) is None  # type: ignore[arg-type]


def test_protected_environments_want_an_approval_when_nobody_watches() -> None:
    assert _unmet(protected=True) is None
    assert "0 of 1 approvals" in str(_unmet(protected=True, unattended=True))
    assert _unmet({"approvals": {"v3": [{"who": "ada"}]}}, protected=True, unattended=True) is None


LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 11, 23, 9, 0, tzinfo=LONDON), True),  # Monday
        (datetime(2026, 11, 23, 8, 59, tzinfo=LONDON), False),
        (datetime(2026, 11, 26, 15, 59, tzinfo=LONDON), True),  # Thursday
        (datetime(2026, 11, 26, 16, 0, tzinfo=LONDON), False),
        (datetime(2026, 11, 27, 12, 0, tzinfo=LONDON), False),  # Friday
        (datetime(2026, 7, 20, 9, 30, tzinfo=LONDON), True),  # summer time
    ],
)
def test_opening_hours(moment: datetime, expected: bool) -> None:
    hours = "Mon-Thu 09:00-16:00 Europe/London"
    assert is_open(hours, moment.timestamp()) is expected
    assert (_unmet(open_hours=hours, now=moment.timestamp(), since=None) is None) is expected


def test_hours_over_the_weekend_and_through_the_night() -> None:
    assert is_open("Fri-Mon 00:00-24:00 UTC", datetime(2026, 11, 22, 23, 59, tzinfo=ZoneInfo("UTC")).timestamp())
    night = "Mon-Fri 22:00-06:00 UTC"
    assert is_open(night, datetime(2026, 11, 23, 23, 0, tzinfo=ZoneInfo("UTC")).timestamp())
    assert is_open(night, datetime(2026, 11, 24, 5, 0, tzinfo=ZoneInfo("UTC")).timestamp())
    assert not is_open(night, datetime(2026, 11, 24, 12, 0, tzinfo=ZoneInfo("UTC")).timestamp())
    # The night that began on Friday ends on Saturday morning; the one that would have begun on Sunday is none.
    assert is_open(night, datetime(2026, 11, 28, 5, 0, tzinfo=ZoneInfo("UTC")).timestamp())
    assert not is_open(night, datetime(2026, 11, 23, 5, 0, tzinfo=ZoneInfo("UTC")).timestamp())


@pytest.mark.parametrize(
    "text",
    [
        "always",
        "Mon-Thu 9-16",
        "Mon-Thu 09:00-16:00 Nowhere/Land",
        "Mo 09:00-10:00 UTC",
        "Mon 25:00-26:00 UTC",
        "Mon 09:61-10:00 UTC",
        "Mon 09:00-09:00 UTC",
    ],
)
def test_hours_that_are_none(text: str) -> None:
    assert parse_hours(text) is None
