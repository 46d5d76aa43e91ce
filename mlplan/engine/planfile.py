"""Saved plans: data, signed, used once. A plan file holds the steps and the digests of what they were made from.

It is no archive of configuration: `apply` compares the digests with what is there and refuses when anything moved. Secrets are not
in it, not even as digests; a variable with a sensitive value is named and must be given again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mlplan.engine.plain import plain
from mlplan.engine.types import Plan
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.values import Secret, Unknown
from mlplan.ledger.keys import Keyring, Place, is_sealed
from mlplan.ledger.records import State
from mlplan.spi.store import StoreDamaged, StoreError

FORMAT = 2
MOST_BYTES = 256 * 1024 * 1024
KEY_VARIABLE = "MLPLAN_PLAN_KEY"
"""Holds the project's key as hex digits where plan and apply run on different machines."""


@dataclass(frozen=True)
class Present:
    """What is there when a saved plan is about to be applied; the plan must have been made from the same.

    head, config, pins: digests. programs: name -> version of mlplan and of the plug-ins.
    """

    state: State
    head: str
    config: str
    pins: str
    workspace: str
    programs: Mapping[str, str]


def project_key(folder: Path, environment: Mapping[str, str] | None = None) -> bytes:
    """Return the key that signs this project's plans, made on first use, readable for its owner only.

    Raises: DiagnosticError (plan-key-damaged).
    """
    given = (environment or {}).get(KEY_VARIABLE)
    if given is not None:
        return _key(given, f"The environment variable {KEY_VARIABLE}")
    path = folder / "key"
    try:
        return _key(path.read_text(encoding="ascii"), str(path))
    except UnicodeDecodeError:
        return _key("", str(path))
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        key = secrets.token_bytes(32)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another run of this project made it just now
            return _key(path.read_text(encoding="ascii"), str(path))
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")
        return key


def _key(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) < 16:
        detail = f"{where} is no key: it must be at least 32 hex digits. Plans signed with it cannot be checked."
        raise DiagnosticError(Diagnostic("plan-key-damaged", "The project's key cannot be read", detail))
    return key


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain JSON: unknown values as marks with their origin, secrets as marks."""
    document = plain(_frozen(plan))
    assert isinstance(document, dict)
    return document


def _frozen(value: Any) -> Any:
    """Return dataclasses as dicts without copying unknown values into parts."""
    if isinstance(value, Unknown | Secret):
        return value
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: _frozen(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_frozen(item) for item in value]
    return value


def write_plan(plan: Plan, path: Path, key: bytes, keys: Keyring | None = None) -> None:
    """Write a signed plan file, readable for its owner only; with keys, encrypted. Raises: DiagnosticError (plan-unwritable)."""
    body = orjson.dumps(plan_document(plan), option=orjson.OPT_SORT_KEYS)
    document = {"mlplan_plan": FORMAT, "key": _key_name(key), "signature": _signature(body, key), "plan": body.decode()}
    data = orjson.dumps(document)
    if keys is not None:
        data = keys.seal(data, Place(plan.lineage, "plan", 0))
    temporary = path.with_name(path.name + ".tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        detail = f"{path}: {error.strerror or error}. The plan was made, but is not saved."
        raise DiagnosticError(Diagnostic("plan-unwritable", "The plan file cannot be written", detail)) from error


def read_plan(path: Path, key: bytes, keys: Keyring | None = None) -> Plan:
    """Return the plan of a file. Raises: DiagnosticError (plan-unreadable, plan-foreign, plan-tampered)."""
    from pydantic import TypeAdapter, ValidationError

    document = _document(path, keys)
    if document.get("mlplan_plan") != FORMAT:
        made = document.get("mlplan_plan")
        raise _unreadable(path, f"it has format {made}, this mlplan reads {FORMAT}; plan again with this one")
    body, signature = document.get("plan"), document.get("signature")
    if not isinstance(body, str) or not isinstance(signature, str):
        raise _tampered(path, "parts of it are missing")
    if not hmac.compare_digest(_signature(body.encode("utf-8", "surrogatepass"), key), signature):
        if document.get("key") not in (None, _key_name(key)):
            detail = (
                f"{path} was signed with another project's key. Plans are applied where they were made; where plan and "
                f"apply run on different machines, give both the same {KEY_VARIABLE}. Nothing was done."
            )
            raise DiagnosticError(Diagnostic("plan-foreign", "The plan was made in another project", detail))
        raise _tampered(path, "the signature does not fit its content")
    try:
        return TypeAdapter(Plan).validate_python(_marked(orjson.loads(body)))
    except (ValidationError, orjson.JSONDecodeError) as error:
        raise _unreadable(path, f"its content does not fit ({type(error).__name__})") from error


def _document(path: Path, keys: Keyring | None) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _unreadable(path, f"it is larger than {MOST_BYTES // 2**20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    data = _opened(path, data, keys)
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if b'"mlplan_plan"' in data[:40]:
            raise _tampered(path, "it is cut off or damaged") from error
        raise _unreadable(path, "it is not a plan file") from error
    if not isinstance(document, dict) or "mlplan_plan" not in document:
        raise _unreadable(path, "it is not a plan file")
    return document


def _opened(path: Path, data: bytes, keys: Keyring | None) -> bytes:
    """Return the content of a plan file that may be encrypted. Raises: DiagnosticError."""
    if not is_sealed(data):
        if keys is not None and keys.enforced:
            raise _unreadable(path, "it is not encrypted, and the block encryption says enforced = true")
        return data
    if keys is None:
        raise _unreadable(path, "it is encrypted, and these files name no key (mlplan { encryption { key = … } })")
    try:
        return keys.open(data, "plan")[0]
    except StoreDamaged as error:
        raise _tampered(path, error.detail.rstrip(".")) from error
    except StoreError as error:
        raise _unreadable(path, f"{error.summary}. {error.detail}".rstrip(".")) from error


def check_fresh(plan: Plan, present: Present) -> None:
    """Refuse a plan that was used before or made from something else than what is there now.

    Raises: DiagnosticError (plan-stale).
    """
    moved = []
    if plan.workspace != present.workspace:
        moved.append(f'it was made in the workspace "{plan.workspace}", this is "{present.workspace}"')
    elif plan.lineage != present.state.lineage:
        moved.append(
            f"it was made for another state (lineage {plan.lineage[:8]}, this one has {present.state.lineage[:8]})"
        )
    elif plan.id in present.state.used_plans:
        moved.append("it was applied before; a plan is used once")
    elif plan.head != present.head:
        moved.append(f"the state changed since (then serial {plan.serial}, now {present.state.serial})")
    if plan.config != present.config:
        moved.append("the files or variables changed")
        if plan.given.withheld:
            names = ", ".join(f"--var {name}=..." for name in plan.given.withheld)
            moved[-1] += f" (sensitive variables are not kept in the plan; give them again: {names})"
    if plan.pins != present.pins:
        moved.append("the lock file changed")
    for name, version in sorted(plan.given.programs.items()):
        now = present.programs.get(name)
        if now != version:
            moved.append(f"{name} was {version} and is {now or 'gone'}")
    if moved:
        detail = f"The saved plan cannot be applied: {'; '.join(moved)}. Plan again and review what it says now."
        raise DiagnosticError(Diagnostic("plan-stale", "The saved plan is stale", detail))


def _signature(body: bytes, key: bytes) -> str:
    return hmac.new(key, b"mlplan-plan-2\n" + body, hashlib.sha256).hexdigest()


def _key_name(key: bytes) -> str:
    """Return what tells keys apart without telling anything of them."""
    return hashlib.sha256(b"mlplan-plan-key\n" + key).hexdigest()[:16]


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"$unknown"}:
            return Unknown(origin=str(value["$unknown"]))
        if value == {"$secret": True}:
            return Secret(None)
        return {key: _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list) else value


def _unreadable(path: Path, why: str) -> DiagnosticError:
    return DiagnosticError(Diagnostic("plan-unreadable", "The plan file cannot be read", f"{path}: {why}."))


def _tampered(path: Path, why: str) -> DiagnosticError:
    detail = f"{path}: {why}. It was changed after it was signed. Nothing in it is carried out. Plan again."
    return DiagnosticError(Diagnostic("plan-tampered", "The plan file was changed", detail))
