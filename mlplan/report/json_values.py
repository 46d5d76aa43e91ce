"""Values as plan JSON shows them: the plain value, and beside it which parts are unknown and which are sensitive, as Terraform does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlplan.engine.plain import plain
from mlplan.lang.values import Secret, Unknown

SECRET_MARK = {"$secret": True}


def known(value: Any) -> Any:
    """Return the value with unknown parts left out of objects and null elsewhere, and sensitive parts null."""
    if isinstance(value, Unknown | Secret) or _is_mark(value):
        return None
    if isinstance(value, Mapping):
        return {str(k): known(v) for k, v in value.items() if not isinstance(v, Unknown) and not _is_unknown_mark(v)}
    if isinstance(value, list | tuple | set | frozenset):
        return [known(v) for v in value]
    return plain(value)


def unknown(value: Any) -> Any:
    """Return true where the value is unknown: true, an object or list of what has unknown parts, or false."""
    if isinstance(value, Unknown) or _is_unknown_mark(value):
        return True
    return _shape(value, unknown)


def sensitive(value: Any) -> Any:
    """Return true where the value is sensitive, in the same shapes as `unknown`."""
    if isinstance(value, Secret) or value == SECRET_MARK:
        return True
    return _shape(value, sensitive)


def origins(value: Any, path: str = "") -> dict[str, str]:
    """Return where each unknown part comes from, by its path: {"artifact": "known after training of model.fraud"}."""
    if isinstance(value, Unknown):
        return {path: value.origin or "known after apply"}
    if _is_unknown_mark(value):
        return {path: str(value["$unknown"]) or "known after apply"}
    found: dict[str, str] = {}
    if isinstance(value, Mapping):
        for key, item in value.items():
            found |= origins(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            found |= origins(item, f"{path}[{index}]")
    return found


def _shape(value: Any, of: Any) -> Any:
    if isinstance(value, Mapping):
        parts = {str(k): of(v) for k, v in value.items()}
        return {k: v for k, v in parts.items() if v not in (False, {})} or False
    if isinstance(value, list | tuple):
        items = [of(v) for v in value]
        return items if any(item not in (False, {}) for item in items) else False
    return False


def _is_mark(value: Any) -> bool:
    return bool(value == SECRET_MARK or _is_unknown_mark(value))


def _is_unknown_mark(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and "$unknown" in value
