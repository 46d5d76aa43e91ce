"""Check requests against the contract, in one pass: the schema becomes a msgspec struct when the server starts.

Types, nulls, missing and extra columns are always errors. `one_of` and `between` follow the column's policy: reject,
warn or pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec

from mlplan.artifact.frame import Array, array_of
from mlplan.artifact.schema import Column, RequestSchema
from mlplan.serve.problems import RequestProblem
from mlplan.serve.settings import MAX_ROWS

Values = dict[str, Sequence[Any]]
"""Column name to one value a row, all columns of the contract; None is a missing value."""

_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "timestamp": datetime,
    "date": date,
}
_NUMERIC = ("integer", "number")
_PLACE = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)
_NOT_A_FIELD = re.compile(r'["\\\x00-\x1f]')
_FIELD = re.compile(r"(missing required|unknown) field `(?P<name>.*)`")


class Contract:
    """The checker of one artifact's requests."""

    def __init__(self, schema: RequestSchema, features: Sequence[str]) -> None:
        self.schema = schema
        self.features = tuple(column for name in features if (column := schema.column(name)) is not None)
        self._names = schema.names
        self._spoken = _spoken(schema.names)
        self._meant = {spoken: name for name, spoken in self._spoken.items()}
        fields = {f"f{i}": column for i, column in enumerate(schema.columns)}
        row = msgspec.defstruct(
            "Row",
            [
                (f, _type(c)) if c.required else (f, _type(c), None)
                for f, c in sorted(fields.items(), key=lambda i: not i[1].required)
            ],
            rename={f: self._spoken.get(c.name, c.name) for f, c in fields.items()},
            forbid_unknown_fields=schema.strict,
            gc=False,
        )
        self._order = tuple(c.name for _, c in sorted(fields.items(), key=lambda i: not i[1].required))
        rows = Annotated[list[row], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]  # type: ignore[valid-type]
        instances = msgspec.defstruct("Instances", [("instances", rows)])
        self._decoder = msgspec.json.Decoder(instances)
        self._later = tuple((c, check) for c in schema.columns if (check := _later_check(c)) is not None)

    def decode(self, body: bytes | bytearray) -> tuple[Values, int, list[tuple[str, str]]]:
        """Return values, the number of rows, and warnings as (column, reason), from `{"instances": [{…}]}`.

        Raises: RequestProblem 400 for what is not JSON, 422 for what breaks the contract.
        """
        try:
            if self._spoken:
                return self.convert(_PLAIN.decode(body).instances)
            request: Any = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise self._problem(error) from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise RequestProblem(
                400, "malformed-body", f"The body is not JSON that can be read: {str(error)[:200]}."
            ) from None
        return self._columns(request.instances)

    def convert(
        self, rows: Sequence[Mapping[str, Any]], *, from_text: bool = False
    ) -> tuple[Values, int, list[tuple[str, str]]]:
        """Do the same for rows that are decoded already; from_text: numbers and truth values may be text (CSV)."""
        if self._spoken:
            rows = [{self._spoken.get(name, name): value for name, value in row.items()} for row in rows]
        try:
            request: Any = msgspec.convert({"instances": rows}, self._decoder.type, strict=not from_text)
        except msgspec.ValidationError as error:
            raise self._problem(error) from None
        return self._columns(request.instances)

    def arrays(self, values: Values) -> dict[str, Array]:
        """Return the features as the model sees them."""
        return {column.name: array_of(values[column.name], column) for column in self.features}

    def _columns(self, rows: Sequence[Any]) -> tuple[Values, int, list[tuple[str, str]]]:
        astuple = msgspec.structs.astuple
        values: Values = dict(zip(self._order, zip(*map(astuple, rows), strict=True), strict=True))
        return values, len(rows), self._check_later(values) if self._later else []

    def _check_later(self, values: Values) -> list[tuple[str, str]]:
        """Apply what a struct cannot say. Raises: RequestProblem 422 where the policy is reject."""
        warnings = []
        for column, (reason, is_bad) in self._later:
            for row, value in enumerate(values[column.name]):
                if value is None or not is_bad(value):
                    continue
                if column.on_violation == "reject":
                    path = f"$.instances[{row}].{column.name}"
                    message = f'The value of "{column.name}" is not allowed by the contract ({reason}).'
                    raise RequestProblem(422, "contract", message, reason=reason, path=path, column=column.name)
                warnings.append((column.name, reason))
        return warnings

    def _problem(self, error: msgspec.ValidationError) -> RequestProblem:
        """Return the answer for the first thing that is wrong."""
        found = _PLACE.match(str(error))
        message, path = (found["message"], found["path"] or "$") if found else (str(error), "$")
        field = _FIELD.search(message)
        name = field["name"] if field else path.rpartition(".")[2]
        reason = "type"
        if field:
            reason = "missing" if field[1].startswith("missing") else "extra"
            path = f"{path}.{name}"
        elif "null" in message and "got `null`" in message:
            reason = "null"
        elif "enum value" in message:
            reason = "one_of"
        elif ">=" in message or "<=" in message:
            reason = "between"
        for spoken, meant in self._meant.items():
            message, path, name = (text.replace(spoken, meant) for text in (message, path, name))
        column = name if name in self._names else ""
        return RequestProblem(
            422, "contract", f"{message[:300]} at {path[:200]}.", reason=reason, path=path[:200], column=column
        )


class _Plain(msgspec.Struct):
    """A request whose rows are not looked into yet."""

    instances: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]


_PLAIN = msgspec.json.Decoder(_Plain)


def _spoken(names: Sequence[str]) -> dict[str, str]:
    """Return columns whose names msgspec cannot have as fields (quotes, backslashes, control characters) -> what stands for
    them inside: their place, between characters of private use.
    """
    return {name: f"\ue000{i}\ue001" for i, name in enumerate(names) if _NOT_A_FIELD.search(name)}


def _type(column: Column) -> Any:
    """Return the msgspec type of a column, with those limits that msgspec can check and the policy rejects."""
    base = _TYPES[column.kind]
    if column.on_violation == "reject" and _is_literal(column):
        base = Literal[tuple(column.one_of or ())]
    elif column.kind in _NUMERIC:
        bounds = column.between if column.between is not None and column.on_violation == "reject" else (None, None)
        base = _bounded(column, *bounds)
    return base | None if column.nullable else base


def _bounded(column: Column, low: float | None, high: float | None) -> Any:
    """Return a number type with limits."""
    number = Annotated[float, msgspec.Meta(ge=low, le=high)]
    if column.kind == "number":
        return number
    least = -(2**63) if low is None else math.ceil(low)
    most = 2**63 - 1 if high is None else math.floor(high)
    whole = Annotated[int, msgspec.Meta(ge=least, le=most)]
    if not column.nullable:
        return whole
    # clients that keep missing values beside numbers send 3.0 for 3; the model sees floats here anyway
    return whole | Annotated[float, msgspec.Meta(ge=low, le=high, multiple_of=1.0)]


def _is_literal(column: Column) -> bool:
    """Tell whether `one_of` can be a Literal of one type, which msgspec looks up by hash."""
    wanted = {"string": str, "integer": int}.get(column.kind)
    return bool(column.one_of) and wanted is not None and all(type(value) is wanted for value in column.one_of or ())


def _later_check(column: Column) -> tuple[str, Callable[[Any], bool]] | None:
    """Return (reason, is bad) for a limit that `_type` did not take; None when there is none."""
    rejects = column.on_violation == "reject"
    if column.on_violation == "pass":
        return None
    if column.one_of is not None and not (rejects and _is_literal(column)):
        allowed = frozenset(column.one_of)
        return "one_of", lambda value: value not in allowed
    if column.between is not None and not (rejects and column.kind in _NUMERIC):
        low, high = (_limit(bound, column) for bound in column.between)
        return "between", lambda value: (low is not None and value < low) or (high is not None and value > high)
    return None


def _limit(bound: Any, column: Column) -> Any:
    """Return a limit in the type of the column's values."""
    if bound is None or column.kind not in ("timestamp", "date"):
        return bound
    moment = datetime.fromisoformat(str(bound))
    return moment.date() if column.kind == "date" else moment
