"""Metrics of quality rules as text, such as `quantile(amount, 0.99)`: reading and checking them. Measuring is
`aggregates`' part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class MetricKind:
    """What a metric needs and says. columns: how many; numbers: how many after them; fraction: it is a share of rows."""

    columns: int
    meaning: str
    numbers: int = 0
    fraction: bool = False
    numeric: bool = False
    """Columns must be numeric."""
    history: bool = False
    """It looks at earlier snapshots, at as many as it is given."""


METRICS = {
    "rows": MetricKind(0, "number of rows"),
    "rows_change": MetricKind(
        0, "rows against the previous snapshot, or the median of that many: 0.1 is ten percent more", history=True
    ),
    "null_fraction": MetricKind(1, "share of missing values", fraction=True),
    "true_fraction": MetricKind(1, "share of true among the values that are there", fraction=True),
    "mean": MetricKind(1, "mean", numeric=True),
    "deviation": MetricKind(1, "standard deviation", numeric=True),
    "sum": MetricKind(1, "sum", numeric=True),
    "min": MetricKind(1, "smallest value", numeric=True),
    "max": MetricKind(1, "largest value", numeric=True),
    "median": MetricKind(1, "median", numeric=True),
    "quantile": MetricKind(1, "value below which a share of the rows lies", numbers=1, numeric=True),
    "distinct_count": MetricKind(1, "number of different values"),
    "correlation": MetricKind(2, "Pearson correlation of two columns", numeric=True),
}
"""Metric name -> what it is."""

MOST_SNAPSHOTS = 24
"""Earlier snapshots whose rows are remembered."""

_CALL = re.compile(r"\s*([a-z_]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_ARGUMENT = re.compile(r'\s*(?:"([^"]+)"|([^\s,"()]+))\s*')


@dataclass(frozen=True)
class Metric:
    """A metric with its columns. quantile: the share of `quantile` and `median`. snapshots: how many earlier ones count."""

    name: str
    columns: tuple[str, ...] = ()
    quantile: float | None = None
    snapshots: int = 1

    @property
    def kind(self) -> MetricKind:
        """Return what this metric needs."""
        return METRICS[self.name]

    def __str__(self) -> str:
        numbers = [f"{self.quantile:g}"] if self.name == "quantile" else []
        numbers += [str(self.snapshots)] if self.snapshots > 1 else []
        inside = ", ".join((*self.columns, *numbers))
        return f"{self.name}({inside})" if inside else self.name


def parse_metric(text: str) -> Metric:
    """Return the metric that `text` names; ValueError says in a sentence what is wrong with it."""
    match = _CALL.fullmatch(text)
    kind = METRICS.get(match[1]) if match else None
    if match is None or kind is None:
        raise ValueError(f'"{text}" is not a metric. Metrics are {", ".join(METRICS)}.')
    name, arguments = match[1], _arguments(match[2] or "")
    if kind.history and len(arguments) == 1:
        return Metric(name, snapshots=_count(arguments[0]))
    if len(arguments) != kind.columns + kind.numbers:
        raise ValueError(f"{name} takes {_takes(kind)}; {len(arguments)} given.")
    quantile = 0.5 if name == "median" else None
    if kind.numbers:
        quantile = _share(arguments[-1])
    return Metric(name, tuple(arguments[: kind.columns]), quantile)


def _takes(kind: MetricKind) -> str:
    columns = {0: "no column", 1: "one column", 2: "two columns"}[kind.columns]
    return columns + (" and a number between 0 and 1" if kind.numbers else "")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_SNAPSHOTS:
        raise ValueError(f'"{text}" is not a whole number of snapshots, 1 to {MOST_SNAPSHOTS}.')
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise ValueError(f'"{text}" is not a number between 0 and 1.')
    return share


def _arguments(text: str) -> list[str]:
    found: list[str] = []
    position = 0
    while position < len(text):
        match = _ARGUMENT.match(text, position)
        if match is None or (match.end() < len(text) and text[match.end()] != ","):
            raise ValueError(f'"{text}" is not a list of column names.')
        found.append(match[1] or match[2])
        position = match.end() + 1
    return found
