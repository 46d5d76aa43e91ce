"""Finding what a provider can do, with a message for the user when it cannot."""

from __future__ import annotations

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.spi.capabilities import Measures, Provider, Runs, Serves, Splits


def runs(provider: Provider) -> Runs:
    """Return the provider as one that runs jobs. Raises: DiagnosticError (missing-capability)."""
    if isinstance(provider, Runs):
        return provider
    raise _missing(provider, "run jobs")


def serves(provider: Provider) -> Serves:
    """Return the provider as one that serves models. Raises: DiagnosticError (missing-capability)."""
    if isinstance(provider, Serves):
        return provider
    raise _missing(provider, "serve models")


def splits(provider: Provider) -> Splits:
    """Return the provider as one that splits traffic. Raises: DiagnosticError (missing-capability)."""
    if isinstance(provider, Splits):
        return provider
    raise _missing(provider, "split traffic")


def measures(provider: Provider) -> Measures:
    """Return the provider as one that counts requests. Raises: DiagnosticError (missing-capability)."""
    if isinstance(provider, Measures):
        return provider
    raise _missing(provider, "count requests")


def _missing(provider: Provider, purpose: str) -> DiagnosticError:
    detail = f'Provider "{provider.name}" cannot {purpose}. Use another provider here.'
    return DiagnosticError(Diagnostic("missing-capability", "This provider cannot do that", detail))
