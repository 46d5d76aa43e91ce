"""Decodes one column of a contract: its type and what its values must be."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from mlplan.data.contract import Bound, Column
from mlplan.data.mistakes import Mistakes
from mlplan.data.types import LogicalType, parse_type
from mlplan.lang.diagnostic import suggestion

_ARGUMENTS = (
    "type", "nullable", "unique", "between", "one_of", "matches", "length", "pii", "label", "description", "severity", "name",
)  # fmt: skip
_UNPORTABLE = re.compile(r"\(\?(?:[=!]|<[=!]|P=|\()|(?<!\\)\\[1-9]")
_LONGEST_PATTERN = 1_000


def decode_column(name: str, body: object, mistakes: Mistakes) -> Column | None:
    """Return the column, or None when its type cannot be read; what else is wrong is noted and left out."""
    place = f"columns.{name}"
    if isinstance(body, str):  # columns = { amount = "float" } says all there is to say
        body = {"type": body}
    if not isinstance(body, Mapping):
        mistakes.argument(place, 'must be an object such as { type = "string" }')
        return None
    given = {argument: value for argument, value in body.items() if value is not None}
    for unknown in sorted(set(given) - set(_ARGUMENTS)):
        mistakes.argument(
            f"{place}.{unknown}", f"is not an argument of a column. {suggestion(unknown, _ARGUMENTS) or ''}".strip(" .")
        )
    try:
        logical = parse_type(str(given.get("type", "")))
    except ValueError as error:
        mistakes.add("unknown-column-type", f'Column "{name}": {error}')
        return None
    severity = given.get("severity", "block")
    if severity not in ("block", "warn"):
        mistakes.argument(f"{place}.severity", f'is "{severity}"; it is "block" or "warn"')
    return Column(
        name=name,
        type=str(logical),
        nullable=bool(given.get("nullable", False)),
        unique=bool(given.get("unique", False)),
        between=_between(given.get("between"), logical, place, mistakes),
        one_of=_one_of(given.get("one_of"), logical, place, mistakes),
        matches=_matches(given.get("matches"), logical, place, mistakes),
        length=_length(given.get("length"), logical, place, mistakes),
        pii=bool(given.get("pii", False)),
        label=bool(given.get("label", False)),
        description=str(given.get("description", "")),
        severity=severity,
    )


def _between(value: object, logical: LogicalType, place: str, mistakes: Mistakes) -> tuple[Bound, Bound] | None:
    if value is None:
        return None
    place = f"{place}.between"
    if not logical.ordered:
        mistakes.argument(place, f"cannot be said of type {logical}, which has no order")
        return None
    if not isinstance(value, list | tuple) or len(value) != 2:
        mistakes.argument(place, "must be a list of two ends such as [0, 100]; null leaves an end open")
        return None
    if any(end is not None and not _is_value(end, logical) for end in value):
        mistakes.argument(place, f"has an end that is not of type {logical}: {value[0]}, {value[1]}")
        return None
    low, high = value
    if low is not None and high is not None and _sortable(low) > _sortable(high):
        mistakes.argument(place, f"begins at {low}, after its end {high}")
        return None
    return (low, high)


def _sortable(value: Any) -> Any:
    """Return a number as it is, and an ISO day or moment as a moment; without a zone it is in UTC, as in the data."""
    if isinstance(value, int | float):
        return value
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _is_value(value: object, logical: LogicalType) -> bool:
    """Tell whether a literal of the contract can be a value of a column of this type."""
    if logical.numeric:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return False
        return bool(logical.name != "int" or value == int(value))
    if logical.name == "bool":
        return isinstance(value, bool)
    if not isinstance(value, str):
        return False
    if logical.temporal:
        parse = date.fromisoformat if logical.name == "date" else datetime.fromisoformat
        try:
            parse(value)
        except ValueError:
            return False
    return True


def _one_of(value: object, logical: LogicalType, place: str, mistakes: Mistakes) -> tuple[Any, ...] | None:
    if value is None:
        return None
    place = f"{place}.one_of"
    if not isinstance(value, list | tuple | set | frozenset) or not value:
        mistakes.argument(place, "must be a list of at least one value")
        return None
    if not logical.scalar:
        mistakes.argument(place, f"cannot be said of type {logical}")
        return None
    wrong = [item for item in value if not _is_value(item, logical)]
    if wrong:
        mistakes.argument(place, f"has a value that is not of type {logical}: {wrong[0]!r}")
        return None
    return tuple(value) if isinstance(value, list | tuple) else tuple(sorted(value, key=str))


def _matches(value: object, logical: LogicalType, place: str, mistakes: Mistakes) -> str | None:
    if value is None:
        return None
    place = f"{place}.matches"
    if logical.name != "string":
        mistakes.argument(place, f"cannot be said of type {logical}; only strings have patterns")
        return None
    pattern = str(value)
    try:
        re.compile(pattern)
    except re.error as error:
        mistakes.argument(place, f"is not a regular expression: {error}")
        return None
    if len(pattern) > _LONGEST_PATTERN or _UNPORTABLE.search(pattern):
        mistakes.argument(
            place,
            f"must stay under {_LONGEST_PATTERN} characters and without lookaround or back-references, which engines do not share",
        )
        return None
    return pattern


def _length(
    value: object, logical: LogicalType, place: str, mistakes: Mistakes
) -> tuple[int | None, int | None] | None:
    if value is None:
        return None
    place = f"{place}.length"
    if logical.name not in ("string", "list"):
        mistakes.argument(place, f"cannot be said of type {logical}")
        return None
    ends = (value, value) if isinstance(value, int) else value
    if not isinstance(ends, list | tuple) or len(ends) != 2 or any(not _is_length(end) for end in ends):
        mistakes.argument(place, "must be a whole number or a list of two such as [1, 20]; null leaves an end open")
        return None
    low, high = ends
    if low is not None and high is not None and low > high:
        mistakes.argument(place, f"begins at {low}, after its end {high}")
        return None
    return (low, high)


def _is_length(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)
