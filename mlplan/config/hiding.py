"""Where secrets may stand: only in arguments that are sensitive by their schema. All others are compared, shown and kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.source import Span
from mlplan.lang.values import Secret


def refuse_secret(decoded: Any, name: str, span: Span) -> None:
    """Raise DiagnosticError (secret-not-here) when a decoded value is or holds a secret."""
    if _hides(decoded):
        detail = (
            f"{name} is compared, shown and kept in the state, so it takes no sensitive value. A script gets secrets by "
            "train { secrets = { NAME = … } }, as environment variables; nonsensitive() says that a value is no secret."
        )
        raise DiagnosticError(Diagnostic("secret-not-here", "A secret cannot stand here", detail, span=span))


def _hides(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_hides, value.values()))
    return isinstance(value, Secret) or (isinstance(value, tuple) and any(map(_hides, value)))
