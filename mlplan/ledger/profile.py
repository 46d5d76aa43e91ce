"""A compact summary of a data set's distributions, small enough to keep with every snapshot and artifact.

Made by `data`, compared by `judge`; it lives here because neither of them may import the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class ColumnProfile:
    """The distribution of one column.

    numeric: `edges` are the B+1 sorted bin edges (quantiles of the reference), `counts` has B+2 entries: below the first edge,
    the B bins [edge_i, edge_i+1) (the last one closed), above the last edge. categorical: `categories` are the most frequent
    values as text, `counts` has one entry each plus a last one for all others. nulls are in neither; n counts all rows.
    """

    name: str
    type: Literal["numeric", "categorical"]
    n: int
    nulls: int
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    mean: float | None = None
    deviation: float | None = None


@dataclass(frozen=True)
class Profile:
    """Profiles of the columns of one snapshot or window. source: its digest, or a description of the window."""

    source: str
    rows: int
    columns: Mapping[str, ColumnProfile] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Profile:
        """Return the profile of a JSON document."""
        columns = {
            name: ColumnProfile(
                **{**c, "counts": tuple(c["counts"]), "edges": tuple(c["edges"]), "categories": tuple(c["categories"])}
            )
            for name, c in document["columns"].items()
        }
        return Profile(document["source"], document["rows"], columns)
