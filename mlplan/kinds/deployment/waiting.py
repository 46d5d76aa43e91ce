"""What a rollout has to wait for before it may start: soak, approvals, opening hours, protection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mlplan.engine.kind import View
from mlplan.engine.types import Desired
from mlplan.kinds.deployment.spec import Place
from mlplan.ledger.records import Record

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY = 24 * 60
"""Minutes."""
HOURS = re.compile(r"^(\w{3})(?:-(\w{3}))? (\d\d):(\d\d)-(\d\d):(\d\d) (\S+)$")


def notes(desired: Desired, record: Record | None, where: Place, view: View) -> tuple[tuple[str, str], ...]:
    """Return the lines of the plan that say what the rollout waits for."""
    environment = where.environment
    rules = environment.get("promote_when") or {}
    parts = []
    if rules.get("soaked_for"):
        parts.append(f"{float(rules['soaked_for']):g} s in {environment.get('promote_from')}")
    needed = approvals_needed(environment, view.options.unattended)
    if needed:
        names = ", ".join(rules.get("approved_by") or ()) or "anyone"
        parts.append(f"{needed} approval{'s' if needed > 1 else ''} ({names})")
    if environment.get("open_hours"):
        parts.append(str(environment["open_hours"]))
    return (("waits for", ", ".join(parts)),) if parts else ()


def approvals_needed(environment: Mapping[str, Any], unattended: bool) -> int:
    """Return how many approvals a version needs here; a protected environment needs one in an unattended run."""
    needed = int((environment.get("promote_when") or {}).get("approvals") or 0)
    return max(needed, 1) if environment.get("protected") and unattended else needed


def unmet(
    where: Place, record: Record | None, version: str, since: float | None, now: float, unattended: bool
) -> str | None:
    """Return what is still missing before `version` may come here, or None. since: when it went live upstream."""
    environment = where.environment
    soak = float((environment.get("promote_when") or {}).get("soaked_for") or 0.0)
    if soak and since is not None and now - since < soak:
        return f"{version} has soaked {now - since:.0f} of {soak:g} s in {environment.get('promote_from')}"
    needed = approvals_needed(environment, unattended)
    given = ((record.attributes.get("approvals") or {}) if record else {}).get(version) or []
    if len(given) < needed:
        short = where.address.partition(".")[2].replace('.deployment["', "@").rstrip('"]')
        return f"{version} has {len(given)} of {needed} approvals; give one with: mlplan promote {short}"
    hours = environment.get("open_hours")
    if hours and not is_open(str(hours), now):
        return f"outside the opening hours ({hours})"
    return None


def parse_hours(text: str) -> tuple[set[int], int, int, ZoneInfo] | None:
    """Return (weekdays, first minute, minute after the last, zone) of "Mon-Thu 09:00-16:00 Europe/London"; None when it is not that."""
    match = HOURS.match(text)
    if match is None or match[1] not in DAYS or (match[2] or match[1]) not in DAYS:
        return None
    first, last = DAYS.index(match[1]), DAYS.index(match[2] or match[1])
    days = {day % 7 for day in range(first, (last if last >= first else last + 7) + 1)}
    try:
        zone = ZoneInfo(match[7])
    except (ZoneInfoNotFoundError, ValueError):
        return None
    begins, ends = int(match[3]) * 60 + int(match[4]), int(match[5]) * 60 + int(match[6])
    if max(int(match[4]), int(match[6])) > 59 or max(begins, ends) > DAY or begins in (ends, DAY):
        return None
    return days, begins, ends, zone


def is_open(text: str, now: float) -> bool:
    """Tell whether `now` (seconds since the epoch) is within opening hours that `parse_hours` accepts."""
    parsed = parse_hours(text)
    assert parsed is not None, "opening hours are checked with the environment"
    days, begins, ends, zone = parsed
    moment = datetime.fromtimestamp(now, zone)
    minute = moment.hour * 60 + moment.minute
    if begins < ends:
        return moment.weekday() in days and begins <= minute < ends
    # Through the night: the hours after midnight belong to the day on which the night began.
    return (moment.weekday() in days and minute >= begins) or ((moment.weekday() - 1) % 7 in days and minute < ends)
