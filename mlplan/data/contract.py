"""The data contract as a value: what its columns, rows and quality rules must be. Decoding is in `decode`, measuring in
`scan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from mlplan.data.metrics import Metric
from mlplan.data.types import LogicalType, parse_type
from mlplan.lang.diagnostic import Diagnostic
from mlplan.ledger.evidence import digest_of

Bound = int | float | str | None
"""One end of a range: a number, an ISO 8601 day or moment, or None for open."""

Severity = Literal["block", "warn"]


@dataclass(frozen=True)
class Column:
    """One column.

    type: canonical text, "decimal(12,2)"; `logical` has it parsed. between, length: closed ranges with open ends as
    None. matches: a regular expression found anywhere in the value unless anchored. pii: never shown, logged or
    profiled.
    """

    name: str
    type: str
    nullable: bool = False
    unique: bool = False
    between: tuple[Bound, Bound] | None = None
    one_of: tuple[Any, ...] | None = None
    matches: str | None = None
    length: tuple[int | None, int | None] | None = None
    pii: bool = False
    label: bool = False
    description: str = ""
    severity: Severity = "block"

    @cached_property
    def logical(self) -> LogicalType:
        """Return the parsed type."""
        return parse_type(self.type)


@dataclass(frozen=True)
class ColumnReference:
    """A column of another contract: `data_contract.merchants.column.merchant_id`."""

    address: str
    column: str

    def __str__(self) -> str:
        return f"{self.address}.column.{self.column}"


@dataclass(frozen=True)
class QualityRule:
    """One quality rule: a metric with bounds, a row rule that holds in a share of the rows, or a reference to another
    contract.

    where: a row rule; only rows in which it holds are looked at. at_least of a row rule: share of rows, all when left
    out.
    """

    name: str
    metric: Metric | None = None
    rule: str | None = None
    references: ColumnReference | None = None
    column: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    where: str | None = None
    severity: Severity = "block"


@dataclass(frozen=True)
class Contract:
    """A decoded `data_contract`.

    Units: `fresh_within` seconds. source: as written. missing: texts that mean "no value" in CSV files, besides the
    empty one. accept: whether an unattended run may take a new snapshot. drift: rules as decoded, for the kind and the
    judge. engine: what runs the checks; it decides nothing of what they find. spark: its master and settings.
    """

    address: str
    source: str
    description: str = ""
    owner: str = ""
    format: str | None = None
    key: tuple[str, ...] = ()
    time: str | None = None
    fresh_within: float | None = None
    min_rows: int | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    strict: bool = False
    missing: tuple[str, ...] = ()
    quality: Mapping[str, QualityRule] = field(default_factory=dict)
    drift: Mapping[str, Any] = field(default_factory=dict)
    accept: str = "reviewed"
    engine: str = "duckdb"
    spark: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str | None:
        """Return the name of the label column."""
        return next((c.name for c in self.columns.values() if c.label), None)

    @property
    def references(self) -> tuple[str, ...]:
        """Return the addresses of the contracts whose data a check needs."""
        named = (rule.references.address for rule in self.quality.values() if rule.references)
        return tuple(dict.fromkeys(named))

    def definition(self) -> dict[str, Any]:
        """Return everything that decides what the checks measure and say, as plain JSON; words for people are left out."""
        columns = {
            c.name: {
                "type": c.type, "nullable": c.nullable, "unique": c.unique, "between": _listed(c.between), "one_of": _listed(c.one_of),
                "matches": c.matches, "length": _listed(c.length), "severity": c.severity, "pii": c.pii, "label": c.label,
            }
            for c in self.columns.values()
        }  # fmt: skip
        quality = {
            r.name: {
                "metric": str(r.metric) if r.metric else None, "rule": r.rule, "column": r.column, "where": r.where,
                "references": str(r.references) if r.references else None,
                "at_least": r.at_least, "at_most": r.at_most, "severity": r.severity,
            }
            for r in self.quality.values()
        }  # fmt: skip
        return {
            "format": self.format, "key": list(self.key), "time": self.time, "fresh_within": self.fresh_within,
            "min_rows": self.min_rows, "strict": self.strict, "missing": list(self.missing), "columns": columns, "quality": quality,
        }  # fmt: skip

    def digest(self) -> str:
        """Return the digest of `definition`, an input of every piece of evidence."""
        return digest_of(self.definition())


def contract_from(arguments: Mapping[str, object], address: str) -> tuple[Contract | None, list[Diagnostic]]:
    """Return the contract of a decoded `data_contract` block, or None when its diagnostics hold an error.

    Diagnostics: unknown-column-type, invalid-contract-argument, unknown-contract-column, invalid-quality-rule.
    """
    from mlplan.data.decode import decode_contract  # it builds these values, so it imports this module

    return decode_contract(arguments, address)


def _listed(value: tuple[Any, ...] | None) -> list[Any] | None:
    return None if value is None else list(value)
