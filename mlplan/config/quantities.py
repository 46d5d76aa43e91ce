"""Durations, sizes, rates and fractions: the only place where they are read and written."""

from __future__ import annotations

import re
from typing import Any

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.spi.schema import Rate

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
BYTES = {
    "": 1, "B": 1,
    "k": 10**3, "K": 10**3, "kB": 10**3, "KB": 10**3, "M": 10**6, "MB": 10**6, "G": 10**9, "GB": 10**9, "T": 10**12, "TB": 10**12,
    "Ki": 2**10, "KiB": 2**10, "Mi": 2**20, "MiB": 2**20, "Gi": 2**30, "GiB": 2**30, "Ti": 2**40, "TiB": 2**40,
}  # fmt: skip
PERIODS = {
    "s": 1.0, "second": 1.0, "m": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0,
    "week": 604800.0, "month": 30 * 86400.0, "year": 365 * 86400.0,
}  # fmt: skip
_NUMBER = r"(\d{1,15}(?:\.\d{1,9})?)"
_PART = re.compile(_NUMBER + r"(ms|s|m|h|d|w)")
_SIZE = re.compile(_NUMBER + r"\s*([A-Za-z]{0,3})")
_RATE = re.compile(_NUMBER + r"\s*/\s*([a-z]+)")
_PERCENT = re.compile(_NUMBER + r"\s*%")


def parse_duration(value: Any) -> float:
    """Return seconds of "90s", "30m", "7d", "1h30m". Raises: DiagnosticError (invalid-quantity)."""
    text = str(value).strip()
    parts = list(_PART.finditer(text))
    if not parts or "".join(p[0] for p in parts) != text:
        raise _invalid(value, "a duration", '"90s", "30m", "26h", "7d" or "1h30m"')
    return sum(float(p[1]) * SECONDS[p[2]] for p in parts)


def parse_size(value: Any) -> int:
    """Return bytes of "1Gi", "200MiB", "10GB" or a plain number. Raises: DiagnosticError (invalid-quantity)."""
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or match[2] not in BYTES:
        raise _invalid(value, "a size", '"1Gi", "200MiB" or "10GB"')
    return int(float(match[1]) * BYTES[match[2]])


def parse_rate(value: Any) -> Rate:
    """Return the rate of "50/s", "4/month". A month is 30 days, a year 365. Raises: DiagnosticError (invalid-quantity)."""
    match = _RATE.fullmatch(str(value).strip())
    if match is None or match[2] not in PERIODS:
        raise _invalid(value, "a rate", '"50/s", "10/day" or "4/month"')
    return Rate(float(match[1]), PERIODS[match[2]])


def parse_fraction(value: Any) -> float:
    """Return 0.05 of 0.05, "0.05" or "5%". Raises: DiagnosticError (invalid-quantity)."""
    text = str(value).strip()
    percent = _PERCENT.fullmatch(text)
    try:
        number = float(percent[1]) / 100 if percent else float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise _invalid(value, "a fraction between 0 and 1", '0.05 or "5%"')
    return number


def duration_text(seconds: float) -> str:
    """Return seconds as people write them: 90 -> "1m30s"."""
    if seconds < 1 and seconds > 0:
        return f"{seconds * 1000:g}ms"
    parts, rest = [], seconds
    for unit in ("d", "h", "m"):
        whole = int(rest // SECONDS[unit])
        if whole:
            parts.append(f"{whole}{unit}")
            rest -= whole * SECONDS[unit]
    if rest or not parts:
        parts.append(f"{rest:g}s")
    return "".join(parts)


def size_text(count: float) -> str:
    """Return bytes as people write them: 209715200 -> "200 MiB"."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count >= BYTES[unit]:
            return f"{count / BYTES[unit]:.4g} {unit}"
    return f"{count:g} B"


def _invalid(value: Any, what: str, examples: str) -> DiagnosticError:
    detail = f'"{value}" is not {what}. Write it like {examples}.'
    return DiagnosticError(Diagnostic("invalid-quantity", "A quantity cannot be read", detail))
