"""What an address is before and after a change, by name; and changed fields in the words of the files.

A kind keeps what it needs of its arguments, in its own way. So "before" holds arguments only where they are known for certain: when
nothing changed, or when the kind says field by field what did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlplan.config.quantities import duration_text
from mlplan.engine.types import Action, Change, Desired, FieldChange
from mlplan.lang.values import Secret, Unknown
from mlplan.ledger.records import Record
from mlplan.spi.schema import ArgumentType, BlockSchema, Rate


def before(
    change: Change, desired: Desired | None, record: Record | None, schema: BlockSchema
) -> dict[str, Any] | None:
    """Return what is remembered of an address; None when there is no record."""
    if record is None:
        return None
    found = {name: record.attributes[name] for name in schema.computed if name in record.attributes}
    if desired is None:
        return found
    changed = {field.name: field.before for field in change.fields}
    own = changed.keys() & (schema.arguments.keys() | schema.blocks.keys())
    if change.action in (Action.KEEP, Action.MOVE) or own:
        found = {**desired.arguments, **found}
    return {**found, **{name: changed[name] for name in own}}


def after(change: Change, desired: Desired, schema: BlockSchema) -> dict[str, Any]:
    """Return what an address will be: arguments as the files give them, and what is computed."""
    return {**desired.arguments, **{name: change.planned[name] for name in schema.computed if name in change.planned}}


def worded(fields: tuple[FieldChange, ...], schema: BlockSchema) -> tuple[FieldChange, ...]:
    """Return fields with values in the words of the files, where the schema says what they are."""
    return tuple(_field(field, schema) for field in fields)


def _field(field: FieldChange, schema: BlockSchema) -> FieldChange:
    if field.name in schema.blocks:
        nested = schema.blocks[field.name]
        before, after = (_block(value, nested.schema, nested.labels) for value in (field.before, field.after))
        return replace(field, before=before, after=after, labels=nested.labels)
    argument = schema.arguments.get(field.name)
    if argument is None:
        return field
    return replace(field, before=_value(field.before, argument.type), after=_value(field.after, argument.type))


def _block(value: Any, schema: BlockSchema, labels: int) -> Any:
    if isinstance(value, list | tuple):
        return [_block(item, schema, labels) for item in value]
    if not isinstance(value, Mapping):
        return value
    if labels:
        return {label: _block(item, schema, 0) for label, item in value.items()}
    words = {}
    for name, item in value.items():
        if name in schema.blocks:
            nested = schema.blocks[name]
            words[name] = _block(item, nested.schema, nested.labels)
        else:
            argument = schema.arguments.get(name)
            words[name] = _value(item, argument.type) if argument is not None else item
    return words


def _value(value: Any, type_: ArgumentType) -> Any:
    if value is None or isinstance(value, Unknown | Secret):
        return value
    if type_.semantic == "duration" and isinstance(value, int | float):
        return duration_text(value)
    if type_.semantic == "rate" and isinstance(value, Rate):
        return f"{value.count:g}/{duration_text(value.per)}"
    if type_.semantic == "list" and type_.of is not None and isinstance(value, list | tuple):
        return [_value(item, type_.of) for item in value]
    if type_.semantic == "map" and type_.of is not None and isinstance(value, Mapping):
        return {key: _value(item, type_.of) for key, item in value.items()}
    if type_.semantic == "object" and isinstance(value, Mapping):
        return {
            key: _value(item, type_.fields[key].type) if key in type_.fields else item for key, item in value.items()
        }
    return value
