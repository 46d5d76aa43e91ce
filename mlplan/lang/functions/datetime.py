"""Dates and times: formatdate, timeadd, timecmp, timestamp, plantimestamp. The clock is the scope's, never the machine's."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.scope import Scope
from mlplan.lang.types import NUMBER, STRING
from mlplan.lang.values import Unknown, Value

_family = Family()
FUNCTIONS = _family.functions
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:[0-5]\d)", re.ASCII)
_LOOSE_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d?)(:\d\d:\d\d)(?:[.,](\d+))?(?:Z|([+-])([01]\d|2[0-4]):([0-5]\d|60))", re.ASCII
)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")  # fmt: skip


def parse_timestamp(text: str, argument: int) -> datetime:
    """Return the time that RFC 3339 text names. Raises FunctionError."""
    match = _STAMP.fullmatch(text)
    if match is None:
        raise FunctionError(
            f'not a valid RFC3339 timestamp: "{text[:60]}" is not written like 2006-01-02T15:04:05Z', argument
        )
    zone = match.group(8)
    offset = timedelta(0)
    if zone not in "Zz":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])) * (-1 if zone[0] == "-" else 1)
    fraction = int(((match.group(7) or ".0")[1:] + "000000")[:6])
    try:
        zone_info = timezone(offset) if offset else UTC
        year, month, day, hour, minute, second = (int(match.group(i)) for i in range(1, 7))
        return datetime(year, month, day, hour, minute, second, fraction, zone_info)
    except ValueError as error:
        raise FunctionError(f"not a valid RFC3339 timestamp: {error}", argument) from None


def format_timestamp(moment: datetime) -> str:
    """Return a time as RFC 3339 text, in whole seconds."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    offset = moment.utcoffset() or timedelta(0)
    return text + ("Z" if not offset else _zone(offset, ":"))


def _zone(offset: timedelta, separator: str) -> str:
    minutes = int(offset.total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}{separator}{abs(minutes) % 60:02d}"


@_family.add(result=STRING, scoped=True)
def timestamp(scope: Scope) -> Value:
    """Return the time of the run; unknown until apply."""
    return _now(scope)


@_family.add(result=STRING, scoped=True)
def plantimestamp(scope: Scope) -> Value:
    """Return the time of the plan; unknown where there is none."""
    return _now(scope)


def _now(scope: Scope) -> Value:
    if scope.now is None:
        return Unknown(STRING, "known at apply")
    return format_timestamp(scope.now.astimezone(UTC))


def _instant(text: str, argument: int) -> tuple[timedelta, Decimal]:
    """Return the point in time that text names: time since the year 1, and the fraction of its second. Raises FunctionError.

    Comparing takes a little more than the other functions do: an hour of one digit, a comma before the fraction, an offset of 24 hours.
    """
    match = _LOOSE_STAMP.fullmatch(text)
    if match is None:
        parse_timestamp(text, argument)
    assert match is not None
    day, hour, rest, fraction, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    moment = parse_timestamp(f"{day}T{hour:0>2}{rest}Z", argument).replace(tzinfo=None)
    return moment - datetime(1, 1, 1) - offset, Decimal("0." + (fraction or "0")[:9])


@_family.add(("timestamp_a", STRING), ("timestamp_b", STRING), result=NUMBER)
def timecmp(first: str, second: str) -> Value:
    """Return -1, 0 or 1: whether the first time is before, at, or after the second."""
    one, other = _instant(first, 0), _instant(second, 1)
    return Decimal((one > other) - (one < other))


@_family.add(("timestamp", STRING), ("duration", STRING), result=STRING)
def timeadd(stamp: str, duration: str) -> Value:
    """Return a time moved by a duration such as 1h30m or -10s."""
    moment = parse_timestamp(stamp, 0)
    try:
        return format_timestamp(moment + timedelta(microseconds=_nanoseconds(duration) // 1000))
    except OverflowError:
        raise FunctionError("the result is not a time of the years 1 to 9999", 1) from None


def _nanoseconds(text: str) -> int:
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0
    total, position = Decimal(0), 0
    for match in _DURATION.finditer(body):
        if match.start() != position:
            break
        total += Decimal(match.group(1)) * _UNITS[match.group(2)]
        position = match.end()
    if not body or position != len(body) or len(body) > 100 or abs(total) >= 2**63:
        raise FunctionError(f'invalid duration "{text[:60]}": write numbers with units, such as 1h30m', 1)
    return int(-total if text.startswith("-") else total)


@_family.add(("format", STRING), ("time", STRING), result=STRING)
def formatdate(layout: str, stamp: str) -> Value:
    """Return a time in a layout such as DD MMM YYYY hh:mm ZZZ; quoted parts stand as they are."""
    moment = parse_timestamp(stamp, 1)
    out = []
    for match in _TOKEN.finditer(layout):
        token = match.group()
        if match.group() == "'":
            raise FunctionError("unterminated literal '", 0)
        if match.group(1) is not None:
            out.append(match.group(1).replace("''", "'") or "'")
        elif match.group(2):
            out.append(_part(token, moment))
        else:
            out.append(token)
    return "".join(out)


def _part(token: str, moment: datetime) -> str:
    hour = moment.hour % 12 or 12
    month, day = _MONTHS[moment.month - 1], _DAYS[moment.weekday()]
    offset = moment.utcoffset() or timedelta(0)
    parts = {
        "YYYY": f"{moment.year:04d}", "YY": f"{moment.year % 100:02d}",
        "MMMM": month, "MMM": month[:3], "MM": f"{moment.month:02d}", "M": str(moment.month),
        "DD": f"{moment.day:02d}", "D": str(moment.day), "EEEE": day, "EEE": day[:3],
        "hh": f"{moment.hour:02d}", "h": str(moment.hour), "HH": f"{hour:02d}", "H": str(hour),
        "AA": "PM" if moment.hour >= 12 else "AM", "aa": "pm" if moment.hour >= 12 else "am",
        "mm": f"{moment.minute:02d}", "m": str(moment.minute), "ss": f"{moment.second:02d}", "s": str(moment.second),
        "ZZZZZ": _zone(offset, ":"), "ZZZZ": _zone(offset, ""), "ZZZ": _zone(offset, "") if offset else "UTC",
        "Z": _zone(offset, ":") if offset else "Z",
    }  # fmt: skip
    if token not in parts:
        raise FunctionError(f'invalid date format verb "{token[:20]}"', 0)
    return parts[token]
