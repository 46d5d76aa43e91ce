"""`ignore_changes`: arguments are taken as they were when they were last applied, whatever the files say now.

What is remembered is plain JSON; the schema says what it was before. A secret is not remembered, so its change is never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlplan.config.addresses import Address, parse_address
from mlplan.engine.types import Desired
from mlplan.ledger.records import Record
from mlplan.spi.schema import ArgumentType, BlockSchema, Rate, Reference

SETTINGS = "settings"
"""Attribute of a record: the arguments it was last made from, in plain JSON."""
_ABSENT: Any = object()


def as_remembered(desired: Desired, record: Record | None, schema: BlockSchema) -> Desired:
    """Return what is wanted, with arguments whose changes are ignored as the record remembers them."""
    settings = record.attributes.get(SETTINGS) if record is not None else None
    if not desired.ignored or not isinstance(settings, Mapping):
        return desired
    arguments: Any = dict(desired.arguments)
    before = _block(settings, schema)
    for path in desired.ignored:
        arguments = _put(arguments, path, _at(before, path))
    return replace(desired, arguments=arguments)


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _put(value: Any, path: tuple[str | int, ...], old: Any) -> Any:
    """Return `value` with `old` at a path; what was absent there is taken out. What is hidden, or leads nowhere, stays."""
    if not path:
        return _merged(old, value) if old is not _ABSENT else value
    key, rest = path[0], path[1:]
    if isinstance(value, Mapping):
        if not rest and old is _ABSENT:
            return {name: item for name, item in value.items() if name != key}
        if key not in value:
            return value if old is _ABSENT or rest else {**value, key: old}
        return {**value, key: _put(value[key], rest, old)}
    if isinstance(value, tuple) and isinstance(key, int) and key < len(value):
        return (*value[:key], _put(value[key], rest, old), *value[key + 1 :])
    return value


def _merged(old: Any, new: Any) -> Any:
    """Return what was, with what is now where it was a secret."""
    if old is _ABSENT:
        return new
    if isinstance(old, Mapping):
        others = new if isinstance(new, Mapping) else {}
        found = {name: _merged(item, others.get(name, _ABSENT)) for name, item in old.items()}
        return {name: item for name, item in found.items() if item is not _ABSENT}
    return old


def _block(value: Any, schema: BlockSchema, labels: int = 0) -> Any:
    if isinstance(value, list):
        return tuple(_block(item, schema, labels) for item in value)
    if not isinstance(value, Mapping):
        return value
    if labels:
        return {label: _block(item, schema) for label, item in value.items()}
    found: dict[str, Any] = {}
    for name, item in value.items():
        if name in schema.blocks:
            nested = schema.blocks[name]
            found[name] = _block(item, nested.schema, nested.labels)
        else:
            argument = schema.arguments.get(name)
            found[name] = _value(item, argument.type if argument is not None else schema.open_arguments)
    return found


def _value(value: Any, type_: ArgumentType | None) -> Any:
    """Return a value as it was decoded."""
    if isinstance(value, Mapping) and ("$secret" in value or "$unknown" in value):
        return _ABSENT
    if type_ is None or value is None:
        return value
    if type_.semantic == "reference":
        return _reference(value) if isinstance(value, str) else value
    if type_.semantic == "rate" and isinstance(value, Mapping):
        return Rate(float(value["count"]), float(value["per"]))
    if type_.semantic == "list" and isinstance(value, list):
        return tuple(_value(item, type_.of) for item in value)
    if type_.semantic in ("map", "object") and isinstance(value, Mapping):
        types = {name: argument.type for name, argument in type_.fields.items()}
        return {name: _value(item, types.get(name, type_.of)) for name, item in value.items()}
    return value


def _reference(text: str) -> Reference | str:
    address = parse_address(text)
    if address is None or any(key is not None for _, key in address.rest):
        return text
    home = Address(address.modules, address.kind, address.name, address.key)
    return Reference(str(home), tuple(name for name, _ in address.rest))


def ignores(desired: Desired, *path: str) -> bool:
    """Tell whether changes at a path are ignored: it is named, or something that holds it is."""
    return any(path[: len(ignored)] == ignored for ignored in desired.ignored)
