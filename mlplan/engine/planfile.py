"""Saved plans: data, signed, used once. A plan file holds the steps and the digests of what they were made from.

It is no archive of configuration: `apply` compares the digests with what is there and refuses when anything moved.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from mlplan.engine.plain import plain
from mlplan.engine.types import Plan
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.values import Unknown
from mlplan.ledger.records import State

FORMAT = 1
MOST_BYTES = 64 * 1024 * 1024


def project_key(folder: Path) -> bytes:
    """Return the key that signs this project's plans, made on first use, readable for its owner only."""
    path = folder / "key"
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        key = secrets.token_bytes(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")
        return key
    except ValueError as error:
        detail = f"{path} is not a key. Plans signed with it cannot be checked; remove it and plan again."
        raise DiagnosticError(Diagnostic("plan-key-damaged", "The project's key cannot be read", detail)) from error


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain JSON: unknown values as marks with their origin, secrets as marks."""
    document = plain(_frozen(plan))
    assert isinstance(document, dict)
    return document


def _frozen(value: Any) -> Any:
    """Return dataclasses as dicts without copying unknown values into parts."""
    if isinstance(value, Unknown):
        return value
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: _frozen(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_frozen(item) for item in value]
    return value


def write_plan(plan: Plan, path: Path, key: bytes) -> None:
    """Write a signed plan file, readable for its owner only."""
    body = orjson.dumps(plan_document(plan), option=orjson.OPT_SORT_KEYS)
    document = {"mlplan_plan": FORMAT, "signature": _signature(body, key), "plan": body.decode()}
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(document))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_plan(path: Path, key: bytes) -> Plan:
    """Return the plan of a file. Raises: DiagnosticError (plan-unreadable, plan-tampered)."""
    from pydantic import TypeAdapter, ValidationError

    try:
        if path.stat().st_size > MOST_BYTES:
            raise _unreadable(path, "it is larger than 64 MiB")
        document = orjson.loads(path.read_bytes())
        body = document["plan"].encode()
        signature = document["signature"]
        version = document["mlplan_plan"]
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, "it is not a plan file") from error
    if version != FORMAT:
        raise _unreadable(path, f"it has format {version}, this mlplan reads {FORMAT}")
    if not isinstance(signature, str) or not hmac.compare_digest(_signature(body, key), signature):
        detail = (
            f"The signature of {path} does not fit its content, or it was made in another project. Nothing in it is "
            "carried out. Plan again."
        )
        raise DiagnosticError(Diagnostic("plan-tampered", "The plan file was changed", detail))
    try:
        return TypeAdapter(Plan).validate_python(_marked(orjson.loads(body)))
    except ValidationError as error:
        raise _unreadable(path, f"{error.error_count()} fields do not fit") from error


def check_fresh(plan: Plan, state: State, head: str, config: str, pins: str) -> None:
    """Refuse a plan that was used before or made from something else than what is there now.

    Raises: DiagnosticError (plan-stale).
    """
    moved = []
    if plan.lineage != state.lineage:
        moved.append("it was made for another state")
    elif plan.id in state.used_plans:
        moved.append("it was applied before; a plan is used once")
    elif plan.head != head:
        moved.append("the state changed")
    if plan.config != config:
        moved.append("the files or variables changed")
    if plan.pins != pins:
        moved.append("the lock file changed")
    if moved:
        detail = f"The saved plan cannot be applied: {'; '.join(moved)}. Plan again and review what it says now."
        raise DiagnosticError(Diagnostic("plan-stale", "The saved plan is stale", detail))


def _signature(body: bytes, key: bytes) -> str:
    return hmac.new(key, b"mlplan-plan-1\n" + body, hashlib.sha256).hexdigest()


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"$unknown"}:
            return Unknown(origin=value["$unknown"])
        return {key: _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list) else value


def _unreadable(path: Path, why: str) -> DiagnosticError:
    return DiagnosticError(Diagnostic("plan-unreadable", "The plan file cannot be read", f"{path}: {why}."))
