"""What a change of a contract's rules means for the models that learn from it. Compares definitions; reads no data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mlplan.data.changes import ContractChange, changes, class_of
from mlplan.engine.kind import Context, View
from mlplan.engine.types import Desired
from mlplan.kinds.data_contract.reading import contract_of, unknown_in
from mlplan.ledger.records import Record

MOST_SHOWN = 12
_WORDS = {
    "compatible": "compatible",
    "data": "breaking for data that kept the old rules",
    "readers": "breaking for models that use it",
    "both": "breaking for models that use it and for data that kept the old rules",
}


@dataclass(frozen=True)
class Reader:
    """A model that learns from a contract. used: columns that its accepted version needs; None when that is not known."""

    address: str
    version: str
    used: frozenset[str] | None

    def hurt_by(self, found: Collection[ContractChange]) -> list[ContractChange]:
        """Return the changes for which it must be trained again."""
        return [change for change in found if change.hurts(self.used)]


def keep_definition(desired: Desired, context: Context) -> None:
    """Store a contract's definition under its digest, so that a later plan can say what changed."""
    definition = contract_of(desired).definition()
    # the digest of a contract is that of these bytes, so the record needs no further key
    data = orjson.dumps(definition, option=orjson.OPT_SORT_KEYS)
    context.put_blob(_key(contract_of(desired).digest()), data)


def definition_of(digest: Any, view: View) -> Mapping[str, Any] | None:
    """Return a kept definition; None when there is none, as in a state that an older program wrote."""
    data = view.blob(_key(str(digest))) if digest else None
    found: Mapping[str, Any] | None = orjson.loads(data) if data is not None else None
    return found


def _key(digest: str) -> str:
    return digest.removeprefix("sha256:")


def rule_changes(desired: Desired, before: Any, view: View) -> list[ContractChange] | None:
    """Return what changed since the definition with the digest `before`; None when that is not known."""
    old = definition_of(before, view)
    if old is None or unknown_in(desired.arguments):
        return None
    return changes(old, contract_of(desired).definition())


def readers_of(address: str, view: View) -> list[Reader]:
    """Return the models with an accepted version that learn from a contract."""
    found = []
    for model in view.desired.values():
        if model.kind != "model":
            continue
        data: Mapping[str, Any] = (model.arguments.get("train") or {}).get("data") or {}
        record = view.record(model.address)
        version = record.attributes.get("version") if record is not None else None
        if record is not None and version and any(reference.address == address for reference in data.values()):
            found.append(Reader(model.address, str(version), used_columns(record)))
    return found


def used_columns(record: Record) -> frozenset[str] | None:
    """Return the columns that the accepted version of a model is asked with; None when it does not say."""
    versions: Mapping[str, Any] = record.attributes.get("versions") or {}
    features = (versions.get(str(record.attributes.get("version"))) or {}).get("features")
    return frozenset(map(str, features)) if features else None


def rule_notes(found: Sequence[ContractChange] | None, address: str, view: View) -> list[tuple[str, str]]:
    """Return the lines of a plan about changed rules: each with its class, then what each model has of it."""
    if not found:
        return []
    readers = readers_of(address, view)
    ordered = sorted(found, key=lambda change: not change.breaking)
    notes = [("rule", f"{change} ({_class(change)})") for change in ordered[:MOST_SHOWN]]
    if len(found) > MOST_SHOWN:
        notes.append(("rule", f"and {len(found) - MOST_SHOWN} more"))
    return notes + [("reader", reader_words(reader, found)) for reader in readers]


def reader_words(reader: Reader, found: Sequence[ContractChange]) -> str:
    """Return what changed rules mean for a model."""
    hurt = reader.hurt_by(found)
    if hurt:
        places = "; ".join(str(change) for change in hurt[:3]) + (
            f"; and {len(hurt) - 3} more" if len(hurt) > 3 else ""
        )
        return f"{reader.address} must be trained again: {places}"
    unseen = [c for c in found if c.unseen and (reader.used is None or c.column in reader.used)]
    words = f"{reader.address} v{reader.version} can stay: nothing that it uses breaks"
    if unseen:
        names = ", ".join(dict.fromkeys(str(c.column) for c in unseen))
        words += f"; it keeps to its own rules of {names} and has not learned from values beyond them"
    return words


def change_summary(found: Sequence[ContractChange]) -> str:
    """Return the reason of a contract whose rules changed."""
    if not found:
        return "the rules are written differently and mean the same"
    breaking = sum(change.breaking for change in found)
    counts = [f"{breaking} breaking"] if breaking else []
    counts += [f"{len(found) - breaking} compatible"] if len(found) > breaking else []
    return f"the rules changed ({', '.join(counts)})"


def _class(change: ContractChange) -> str:
    if change.readers:
        return _WORDS["both" if change.writers else "readers"]
    return _WORDS["data" if change.writers else class_of([change])]
