"""Finding what a provider can do, with a message for the user when it cannot."""

from __future__ import annotations

from typing import TypeVar

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.spi.capabilities import Provider

Capability = TypeVar("Capability")


def capable(provider: Provider, capability: type[Capability], purpose: str) -> Capability:
    """Return the provider as a capability. Raises: DiagnosticError (missing-capability)."""
    if isinstance(provider, capability):
        return provider
    raise DiagnosticError(
        Diagnostic(
            "missing-capability",
            "This provider cannot do that",
            f'Provider "{provider.name}" cannot {purpose}. Use another provider in this environment.',
        )
    )
