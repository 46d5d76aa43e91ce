"""State to a sealed, readable JSON document and back. Where the document is kept is the store's business.

The seal is a SHA-256 over the canonical JSON of everything else, so blanks and order of keys do not matter and every
change of meaning does. `parent` is the checksum of the snapshot before: the snapshots form a chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from mlplan.ledger.audit import line_from, line_json
from mlplan.ledger.damage import NewerFormat, damaged
from mlplan.ledger.evidence import Evidence
from mlplan.ledger.plain import canonical, plain
from mlplan.ledger.records import FORMAT, Operation, Record, State
from mlplan.ledger.upgrades import UPGRADES
from mlplan.spi.store import StoreError

LAYOUT = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
"""As we write documents: one line a value, so that two of them compare line by line."""


@dataclass(frozen=True)
class Snapshot:
    """A decoded document: the state, its checksum, and the checksum of the snapshot before (None at serial 0)."""

    state: State
    checksum: str
    parent: str | None


def encode(state: State, parent: str | None = None) -> bytes:
    """Return the sealed document. Raises: ValueError when the state holds what JSON cannot keep (a bug of
    whoever put it there).
    """
    document = to_document(state, parent)
    checksum = checksum_of(document)
    sealed = {"format": document.pop("format"), "serial": document.pop("serial"), "checksum": checksum, **document}
    return orjson.dumps(sealed, option=LAYOUT)


def decode(data: bytes) -> Snapshot:
    """Return the state of a sealed document. Raises: StoreDamaged (with repair options), NewerFormat."""
    document = parse(data)
    checksum = document.pop("checksum", None)
    if not isinstance(checksum, str):
        raise damaged("The document has no checksum.")
    _refuse_newer(document)
    if _checksum_or_none(document) != checksum:
        raise damaged("The document does not match its checksum: it was edited or partly overwritten.")
    document = upgrade(document)
    return Snapshot(from_document(document), checksum, document["parent"])


def parse(data: bytes) -> dict[str, Any]:
    """Return the JSON object of a document without checking its seal. Raises: StoreDamaged."""
    if not data.strip():
        raise damaged("The document is empty. A state that was initialised is never empty.")
    if not data.strip(b"\0 \r\n\t"):
        raise damaged("The document holds only zero bytes, as a file system leaves them after a power loss.")
    try:
        document = orjson.loads(data)
        if orjson.dumps(document, option=LAYOUT) != data:
            strict(data)  # laid out by somebody else: only then may it hold what orjson does not see, like a key twice
    except orjson.JSONDecodeError as error:
        raise damaged(
            f"The document is no JSON (line {error.lineno}, column {error.colno}): it was cut or edited."
        ) from None
    if not isinstance(document, dict):
        raise damaged("The document is no JSON object.")
    if "mlplan_encrypted" in document:
        raise StoreError(
            "State is encrypted",
            'These files name no key. Add to them:\n    mlplan { encryption { key = "env:MLPLAN_STATE_KEY" } }',
        )
    return document


def strict(data: bytes) -> dict[str, Any]:
    """Return a JSON object that people may have written. Raises: StoreDamaged for duplicate keys, NaN, text
    that is no JSON.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                raise damaged(f'The document has the key "{key}" twice in one object.')
            found[key] = value
        return found

    def constant(word: str) -> Any:
        raise damaged(f"The document holds {word}, which is no JSON number.")

    try:
        document = json.loads(data, object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise damaged(f"The document is no JSON: {error}.") from None
    if not isinstance(document, dict):
        raise damaged("The document is no JSON object.")
    return document


def upgrade(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document in the present format. Raises: StoreDamaged, NewerFormat."""
    _refuse_newer(document)
    while document["format"] < FORMAT:
        step = UPGRADES.get(document["format"])
        if step is None:
            raise damaged(f"The document has the format {document['format']}, which no mlplan ever wrote.")
        document = step(document)
    return document


def _refuse_newer(document: Mapping[str, Any]) -> None:
    found = document.get("format")
    if not isinstance(found, int) or isinstance(found, bool):
        raise damaged("The document does not say its format.")
    if found > FORMAT:
        raise NewerFormat(found, FORMAT)


def checksum_of(document: Mapping[str, Any]) -> str:
    """Return the seal of a document without its checksum. Raises: ValueError."""
    return "sha256:" + hashlib.sha256(canonical(document)).hexdigest()


def _checksum_or_none(document: Mapping[str, Any]) -> str | None:
    try:
        return checksum_of(document)
    except ValueError:  # an integer beyond 2^53: we never wrote that
        return None


def to_document(state: State, parent: str | None) -> dict[str, Any]:
    """Return the state as plain JSON, sorted by address so that two documents compare line by line. Raises:
    ValueError.
    """
    document = {
        "format": FORMAT,
        "serial": state.serial,
        "lineage": state.lineage,
        "parent": parent,
        "open_run": state.open_run,
        "outputs": dict(sorted(state.outputs.items())),
        "records": {address: record_json(state.records[address]) for address in sorted(state.records)},
        "operations": {address: operation_json(state.operations[address]) for address in sorted(state.operations)},
        "generations": dict(sorted(state.generations.items())),
        "evidence": {digest: state.evidence[digest].to_json() for digest in sorted(state.evidence)},
        "history": [line_json(happening) for happening in state.history],
        "used_plans": list(state.used_plans),
        "unswept": list(state.unswept),
        "audit": state.audit,
    }
    checked: dict[str, Any] = plain(document, "state")
    return checked


def from_document(document: Mapping[str, Any]) -> State:
    """Return the state of a document in the present format. Raises: StoreDamaged when a field is missing or unknown."""
    try:
        return State(
            lineage=document["lineage"],
            serial=document["serial"],
            records={address: record_from(record) for address, record in document["records"].items()},
            operations={address: Operation(**operation) for address, operation in document["operations"].items()},
            evidence={digest: Evidence.from_json(evidence) for digest, evidence in document["evidence"].items()},
            outputs=document["outputs"],
            history=tuple(line_from(happening) for happening in document["history"]),
            open_run=document["open_run"],
            used_plans=tuple(document["used_plans"]),
            generations=document["generations"],
            unswept=tuple(document["unswept"]),
            audit=document["audit"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(f"The document lacks a field or has one that nobody wrote ({error}).") from None


def vars_of(value: Record | Operation) -> dict[str, Any]:
    """Return the fields of a flat frozen dataclass, without the deep copy that `asdict` makes of plain JSON."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def record_json(record: Record) -> dict[str, Any]:
    """Return a record as JSON types."""
    return vars_of(record)


def operation_json(operation: Operation) -> dict[str, Any]:
    """Return an operation as JSON types."""
    return vars_of(operation)


def record_from(document: Mapping[str, Any]) -> Record:
    """Return the record of its JSON. Raises: TypeError, KeyError for wrong fields."""
    known = dict(document)
    known["evidence"] = tuple(known["evidence"])
    known["dependencies"] = tuple(known["dependencies"])
    return Record(**known)
