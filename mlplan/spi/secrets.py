"""Secrets by reference: files and state hold where a secret is, never what it is. Resolved when an operation needs it.

`env:NAME` and `file:PATH` are known here; further forms (`aws-sm:NAME`, `k8s-secret:NAME/KEY`) are plug-ins of the entry point
group `mlplan.secrets`: functions from what follows the colon to the secret.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from mlplan.lang.hidden import remember

MOST_BYTES = 1024 * 1024
SecretSource = Callable[[str], str]
_REFERENCE = re.compile(r"([a-z][a-z0-9-]{1,30}):(.+)", re.DOTALL)


class SecretError(Exception):
    """A reference cannot be resolved. The text names the reference, never a value."""

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(f"{reference}: {why}")
        self.reference = reference
        self.why = why


def known_forms() -> list[str]:
    """Return the forms that can be used here, for messages."""
    return ["env:NAME", "file:PATH", *(f"{point.name}:…" for point in _plug_ins().values())]


def is_reference(text: str) -> bool:
    """Tell whether a text is a reference in a form that is known here."""
    match = _REFERENCE.fullmatch(text)
    return match is not None and (match[1] in ("env", "file") or match[1] in _plug_ins())


def resolve(reference: str, root: Path, environment: Mapping[str, str] | None = None) -> str:
    """Return the secret that a reference leads to; no sink shows it from then on.

    root: what a relative `file:` path begins at. Raises: SecretError.
    """
    secret = _resolved(reference, root, environment)
    remember(secret)
    return secret


def _resolved(reference: str, root: Path, environment: Mapping[str, str] | None = None) -> str:
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise SecretError("(not shown)", f"it is no reference. Known forms: {', '.join(known_forms())}")
    scheme, rest = match[1], match[2]
    if scheme == "env":
        value = (os.environ if environment is None else environment).get(rest)
        if value is None:
            raise SecretError(reference, f"the environment variable {rest} is not set")
        return value
    if scheme == "file":
        return _read(reference, root / rest)
    point = _plug_ins().get(scheme)
    if point is None:
        raise SecretError("(not shown)", f"it is no reference in a known form. Known forms: {', '.join(known_forms())}")
    try:
        source: SecretSource = point.load()
    except ImportError as error:
        raise SecretError(reference, f"it needs a package that is missing ({error.name})") from error
    try:
        return source(rest)
    except SecretError as error:
        raise SecretError(reference, error.why) from error


def _read(reference: str, path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SecretError(reference, "the file is larger than 1 MiB")
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretError(reference, "the file is not UTF-8") from None
    except OSError as error:
        raise SecretError(reference, error.strerror or type(error).__name__) from None


def _plug_ins() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group="mlplan.secrets")}
