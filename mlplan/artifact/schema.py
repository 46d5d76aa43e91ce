"""The request schema: which columns a model is asked with, their types and limits.

Checking requests is the server's business.

It is made from a data contract by the core, without the label, and travels inside the artifact as `contract.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from mlplan.artifact.errors import ArtifactError

Kind = Literal["string", "integer", "number", "boolean", "timestamp", "date"]
Policy = Literal["reject", "warn", "pass"]
POLICIES: tuple[Policy, ...] = ("reject", "warn", "pass")

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("string", "text", "varchar", "category", "uuid"), "string"),
    **dict.fromkeys(("integer", "int", "bigint", "smallint", "tinyint", "long"), "integer"),
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"), "integer"),
    **dict.fromkeys(("number", "float", "double", "real", "decimal", "numeric", "float32", "float64"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("timestamp", "datetime", "timestamptz"), "timestamp"),
    "date": "date",
}  # fmt: skip


@lru_cache(maxsize=1024)  # asked for every column of every request
def kind_of(type_name: str) -> Kind:
    """Return the kind of a contract's type name; "decimal(12,2)" is a number.

    Raises: ArtifactError `unknown-column-type`.
    """
    kind = _KINDS.get(_base(type_name))
    if kind is None:
        raise ArtifactError(
            "unknown-column-type",
            "Unknown column type",
            f'A model cannot be asked with a column of type "{type_name}". Types that can be served are string, '
            "integer, number, "
            "decimal(p,s), bool, timestamp and date; leave the column out of the model's features or convert it in "
            "the data.",
        )
    return kind


def is_servable(type_name: str) -> bool:
    """Tell whether a model can be asked with a column of this type."""
    return _base(type_name) in _KINDS


def _base(type_name: str) -> str:
    """Return the type without its parameters; a list of a type is not that type."""
    text = type_name.strip().lower()
    return text if text.endswith("]") else re.split(r"[(\s]", text, maxsplit=1)[0]


@dataclass(frozen=True)
class Column:
    """One column of a request.

    required: it must be given (a feature of the model); others may be given and are only logged. nullable: JSON null, a
    missing value, is allowed. between: (low, high), None for an open side. on_violation: what a value outside `one_of`
    or `between` does: "reject" the request, "warn" (count it and answer), "pass". pii: never written to the prediction
    log.
    """

    name: str
    type: str
    nullable: bool = False
    required: bool = True
    one_of: tuple[Any, ...] | None = None
    between: tuple[float | None, float | None] | None = None
    pii: bool = False
    on_violation: Policy = "reject"

    @property
    def kind(self) -> Kind:
        """Return what kind of values the column holds."""
        return kind_of(self.type)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, defaults left out, so that the same column always gives the same bytes."""
        document: dict[str, Any] = {"name": self.name, "type": self.type}
        if self.nullable:
            document["nullable"] = True
        if not self.required:
            document["required"] = False
        if self.one_of is not None:
            document["one_of"] = list(self.one_of)
        if self.between is not None:
            document["between"] = list(self.between)
        if self.pii:
            document["pii"] = True
        if self.on_violation != "reject":
            document["on_violation"] = self.on_violation
        return document

    @staticmethod
    def from_json(document: Mapping[str, Any], default_policy: Policy = "reject") -> Column:
        """Return the column of a JSON document; fields of a data contract that do not matter here are ignored.

        Raises: ArtifactError `bad-request-schema`. The type is judged by `kind`, when the column is really used.
        """
        name, type_name = document.get("name"), document.get("type")
        if not isinstance(name, str) or not name or not isinstance(type_name, str):
            raise ArtifactError(
                "bad-request-schema", "Bad request schema", f"A column needs a name and a type, not {document!r}."
            )
        policy = document.get("on_violation") or default_policy
        if policy not in POLICIES:
            raise ArtifactError(
                "bad-request-schema",
                "Bad request schema",
                f'Column "{name}" has on_violation = "{policy}"; it can be "reject", "warn" or "pass".',
            )
        one_of, between = document.get("one_of"), document.get("between")
        return Column(
            name=name,
            type=type_name,
            nullable=bool(document.get("nullable", False)),
            required=bool(document.get("required", True)),
            one_of=tuple(one_of) if one_of is not None else None,
            between=(between[0], between[1]) if between is not None else None,
            pii=bool(document.get("pii", False)),
            on_violation=policy,
        )


@dataclass(frozen=True)
class RequestSchema:
    """The columns of a request, in order. strict: an undeclared column is an error, otherwise it is ignored."""

    columns: tuple[Column, ...] = field(default_factory=tuple)
    strict: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Return all column names in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column | None:
        """Return a column by its name."""
        return next((column for column in self.columns if column.name == name), None)

    def for_features(self, features: Iterable[str]) -> RequestSchema:
        """Return the schema in which exactly the features are required; everything else may be given or not.

        Other columns whose type cannot be served are left out. Raises: ArtifactError `unknown-feature` when the model
        wants a column that the contract does not have, `unknown-column-type`.
        """
        wanted = tuple(features)
        missing = [name for name in wanted if self.column(name) is None]
        if missing:
            raise ArtifactError(
                "unknown-feature",
                "The model wants columns that the contract does not have",
                f"The model was saved with the features {_listed(missing)}, which the data contract does not declare "
                f"(it has {_listed(self.names)}). Declare the columns in the contract, or compute them inside the "
                "model's pipeline.",
            )
        columns = tuple(
            replace(column, required=column.name in wanted, nullable=column.nullable or column.name not in wanted)
            for column in self.columns
            if (column.name in wanted and column.kind) or is_servable(column.type)
        )
        return RequestSchema(columns, self.strict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"format": 1, "strict": self.strict, "columns": [column.to_json() for column in self.columns]}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> RequestSchema:
        """Return the schema of a JSON document. Columns marked `label` are left out.

        Raises: ArtifactError `bad-request-schema`.
        """
        policy = document.get("on_violation", "reject")
        columns = tuple(Column.from_json(c, policy) for c in document.get("columns", ()) if not c.get("label"))
        names = [column.name for column in columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ArtifactError(
                "bad-request-schema", "Bad request schema", f"Columns declared twice: {_listed(twice)}."
            )
        return RequestSchema(columns, bool(document.get("strict", True)))


def _listed(names: Iterable[str]) -> str:
    """Return names for a sentence: at most twelve, quoted."""
    every = list(names)
    shown = ", ".join(f'"{name}"' for name in every[:12])
    return f"{shown} and {len(every) - 12} more" if len(every) > 12 else shown
