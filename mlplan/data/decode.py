"""From the decoded arguments of a `data_contract` block to a `Contract`, with every mistake reported at once. Reads no
data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from mlplan.data.columns import decode_column
from mlplan.data.contract import Column, ColumnReference, Contract, QualityRule
from mlplan.data.metrics import Metric, parse_metric
from mlplan.data.mistakes import Mistakes
from mlplan.lang.diagnostic import Diagnostic, suggestion
from mlplan.spi.schema import Reference

_COMPARE_TO = re.compile(
    r"training|previous|(\d+(\.\d+)?(ms|s|m|h|d|w))+|data_contract\.[A-Za-z_][\w-]*|sha256:[0-9a-f]{8,64}"
)
_QUALITY = ("metric", "rule", "references", "column", "at_least", "at_most", "where", "severity", "name", "description")
FORMATS = ("parquet", "csv", "json", "arrow")
"""Formats that can be read."""
ENGINES = ("duckdb", "spark")
"""What can run the checks."""


def decode_contract(arguments: Mapping[str, object], address: str) -> tuple[Contract | None, list[Diagnostic]]:
    """Return the contract, or None when there are errors, and the diagnostics."""
    given = {name: value for name, value in arguments.items() if value is not None}
    mistakes = Mistakes(address)
    columns = _columns(given.get("columns", {}), mistakes)
    contract = Contract(
        address=address,
        source=str(given.get("source", "")),
        description=str(given.get("description", "")),
        owner=str(given.get("owner", "")),
        format=_format(given.get("format"), mistakes),
        key=_key(given.get("key", ()), columns, mistakes),
        time=_time(given, columns, mistakes),
        fresh_within=_positive(given.get("fresh_within"), "fresh_within", mistakes),
        min_rows=_min_rows(given.get("min_rows"), mistakes),
        columns=columns,
        strict=bool(given.get("strict", False)),
        missing=tuple(str(text) for text in _sequence(given.get("missing", ()), "missing", mistakes)),
        quality=_quality(given.get("quality", {}), columns, mistakes),
        drift=_drift(given.get("drift", {}), columns, mistakes),
        accept=str(given.get("accept", "reviewed")),
        engine=_engine(given, mistakes),
        spark=_mapping(given.get("spark") or {}, "spark", mistakes),
    )
    if not contract.source:
        mistakes.add(
            "invalid-contract-argument", 'A contract needs a source, for example source = "data/flights/*.parquet".'
        )
    return (None if mistakes.found else contract), mistakes.diagnostics


def _engine(given: Mapping[str, Any], mistakes: Mistakes) -> str:
    engine = str(given.get("engine", "duckdb"))
    if engine not in ENGINES:
        mistakes.argument("engine", f'is "{engine}"; engines are {", ".join(ENGINES)}')
    if given.get("spark") and engine != "spark":
        mistakes.argument("spark", 'says how to reach Spark; it needs engine = "spark"')
    return engine


def _mapping(value: object, place: str, mistakes: Mistakes) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    mistakes.argument(place, "must be an object with one entry for each name")
    return {}


def _sequence(value: object, place: str, mistakes: Mistakes) -> tuple[Any, ...]:
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(value)
    mistakes.argument(place, "must be a list")
    return ()


def _columns(value: object, mistakes: Mistakes) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    spelled: dict[str, str] = {}
    for name, body in _mapping(value, "columns", mistakes).items():
        if name.lower() in spelled:
            other = spelled[name.lower()]
            mistakes.argument(
                f"columns.{name}",
                f'differs from column "{other}" only in upper and lower case, which engines do not tell apart',
            )
        spelled[name.lower()] = name
        column = decode_column(name, body, mistakes)
        if column is not None:
            columns[name] = column
    labels = [c.name for c in columns.values() if c.label]
    if len(labels) > 1:
        mistakes.argument("columns", f"name {len(labels)} labels ({', '.join(labels)}); a contract has one at most")
    return columns


def _declared(name: object, columns: Collection[str], place: str, mistakes: Mistakes) -> bool:
    if name in columns:
        return True
    close = suggestion(str(name), columns)
    mistakes.add(
        "unknown-contract-column", f'{place} names "{name}", which is not in columns.' + (f" {close}" if close else "")
    )
    return False


def _format(value: object, mistakes: Mistakes) -> str | None:
    if value is None or value in FORMATS:
        return None if value is None else str(value)
    mistakes.argument("format", f'is "{value}"; formats are {", ".join(FORMATS)}')
    return None


def _key(value: object, columns: Mapping[str, Column], mistakes: Mistakes) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else _sequence(value, "key", mistakes)
    return tuple(str(name) for name in names if _declared(name, columns, "key", mistakes))


def _time(given: Mapping[str, Any], columns: Mapping[str, Column], mistakes: Mistakes) -> str | None:
    name = given.get("time")
    if name is None:
        if given.get("fresh_within") is not None:
            mistakes.argument("fresh_within", "needs time, the column that says when a row happened")
        return None
    if not _declared(name, columns, "time", mistakes):
        return None
    if not columns[name].logical.temporal:
        mistakes.argument("time", f'names "{name}" of type {columns[name].type}; it must be a timestamp or date')
    return str(name)


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    return None


def _positive(value: object, place: str, mistakes: Mistakes) -> float | None:
    number = _number(value)
    if value is not None and (number is None or number <= 0):
        mistakes.argument(place, f"is {value}; it must be a positive number")
        return None
    return number


def _min_rows(value: object, mistakes: Mistakes) -> int | None:
    number = _number(value)
    if value is None:
        return None
    if number is None or number < 0 or number != int(number):
        mistakes.argument("min_rows", f"is {value}; it must be a whole number, zero or more")
        return None
    return int(number)


def _quality(value: object, columns: Mapping[str, Column], mistakes: Mistakes) -> dict[str, QualityRule]:
    rules = {}
    for name, body in _mapping(value, "quality", mistakes).items():
        body = {k: v for k, v in _mapping(body, f'quality "{name}"', mistakes).items() if v is not None}
        for unknown in sorted(set(body) - set(_QUALITY)):
            mistakes.quality(
                name, f'has an unknown argument "{unknown}". {suggestion(unknown, _QUALITY) or ""}'.strip()
            )
        rules[name] = _rule(name, body, columns, mistakes)
    return rules


def _rule(name: str, body: Mapping[str, Any], columns: Mapping[str, Column], mistakes: Mistakes) -> QualityRule:
    if sum(body.get(kind) is not None for kind in ("metric", "rule", "references")) != 1:
        mistakes.quality(name, "needs exactly one of metric, rule and references.")
    severity = body.get("severity", "block")
    if severity not in ("block", "warn"):
        mistakes.quality(name, f'has severity "{severity}"; it is "block" or "warn".')
    rule = QualityRule(
        name,
        metric=_metric(name, body.get("metric"), columns, mistakes),
        rule=_condition(name, "rule", body.get("rule"), columns, mistakes),
        references=_references(name, body, columns, mistakes),
        column=body.get("column"),
        at_least=_limit(name, "at_least", body, mistakes),
        at_most=_limit(name, "at_most", body, mistakes),
        where=_condition(name, "where", body.get("where"), columns, mistakes),
        severity=severity,
    )
    _check_limits(rule, mistakes)
    return rule


def _check_limits(rule: QualityRule, mistakes: Mistakes) -> None:
    if rule.metric is not None and rule.at_least is None and rule.at_most is None:
        mistakes.quality(rule.name, "measures a metric but has no limit: add at_least or at_most.")
    if rule.at_least is not None and rule.at_most is not None and rule.at_least > rule.at_most:
        mistakes.quality(
            rule.name, f"wants at least {rule.at_least:g} and at most {rule.at_most:g}, which nothing satisfies."
        )
    share = rule.metric.kind.fraction if rule.metric else True
    for limit in (rule.at_least, rule.at_most):
        if share and limit is not None and not 0 <= limit <= 1:
            mistakes.quality(rule.name, f"compares a share of rows with {limit:g}; a share is between 0 and 1.")
    if rule.where is not None and rule.metric is not None and rule.metric.name in ("rows_change", "distinct_count"):
        mistakes.quality(rule.name, f"cannot look at {rule.metric.name} with where.")


def _drift(value: object, columns: Mapping[str, Column], mistakes: Mistakes) -> dict[str, Any]:
    """Return drift rules as they are given, and note what nothing could ever be compared by."""
    rules = dict(_mapping(value, "drift", mistakes))
    for name, body in rules.items():
        place = f"drift.{name}"
        if not isinstance(body, Mapping):
            mistakes.argument(place, "must be an object")
            continue
        for column in body.get("columns") or ():
            if not _declared(column, columns, f'columns of drift "{name}"', mistakes):
                continue
            found = columns[column]
            if found.pii or not found.logical.scalar or found.logical.temporal:
                what = "is personal" if found.pii else f"is of type {found.type}"
                mistakes.argument(f"{place}.columns", f'names "{column}", which {what} and has no profile to compare')
        compare_to = str(body.get("compare_to") or "training")
        if not _COMPARE_TO.fullmatch(compare_to):
            mistakes.argument(
                f"{place}.compare_to",
                f'is "{compare_to}"; it is "training", "previous", a window such as "7d", "data_contract.NAME" or "sha256:…"',
            )
    return rules


def _limit(name: str, place: str, body: Mapping[str, Any], mistakes: Mistakes) -> float | None:
    value = body.get(place)
    number = _number(value)
    if value is not None and number is None:
        mistakes.quality(name, f"has {place} = {value}; it must be a number.")
    return number


def _metric(name: str, text: object, columns: Mapping[str, Column], mistakes: Mistakes) -> Metric | None:
    if text is None:
        return None
    try:
        metric = parse_metric(str(text))
    except ValueError as error:
        mistakes.quality(name, f"has an unusable metric: {error}")
        return None
    for column in metric.columns:
        if _declared(column, columns, f'metric of quality "{name}"', mistakes):
            logical = columns[column].logical
            if metric.kind.numeric and not logical.numeric:
                mistakes.quality(name, f'cannot take {metric.name} of column "{column}", whose type is {logical}.')
            if metric.name == "true_fraction" and logical.name != "bool":
                mistakes.quality(name, f'cannot take true_fraction of column "{column}", whose type is {logical}.')
    return metric


def _condition(name: str, place: str, text: object, columns: Mapping[str, Column], mistakes: Mistakes) -> str | None:
    if text is None:
        return None
    from mlplan.data.rules import parse_rule

    try:
        parse_rule(str(text), columns)
    except ValueError as error:
        mistakes.quality(name, f"has an unusable {place}: {error}")
        return None
    return str(text)


def _references(
    name: str, body: Mapping[str, Any], columns: Mapping[str, Column], mistakes: Mistakes
) -> ColumnReference | None:
    value = body.get("references")
    if value is None:
        return None
    address, path = (value.address, value.path) if isinstance(value, Reference) else _split_reference(str(value))
    if not _declared(body.get("column"), columns, f'column of quality "{name}"', mistakes):
        return None
    if len(path) != 2 or path[0] != "column":
        mistakes.quality(name, f"references {value}; write a column of a contract, data_contract.NAME.column.COLUMN.")
        return None
    return ColumnReference(address, path[1])


def _split_reference(text: str) -> tuple[str, tuple[str, ...]]:
    address, mark, column = text.rpartition(".column.")
    return (address, ("column", column)) if mark else (text, ())
