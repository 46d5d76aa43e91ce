"""Units, jobs and traffic on this machine: processes, files and Envoy. The embedded default provider.

Everything lives below `<root>/.mlplan/local/` and in the job folders that callers give; nothing is written elsewhere, and
processes outlive the command that started them. Helper processes import this package without site-packages, so that
nothing heavy, and nothing outside the standard library, may be imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlplan_local.provider import LocalProvider

__all__ = ["LocalProvider"]


def __getattr__(name: str) -> Any:
    if name == "LocalProvider":
        from mlplan_local.provider import LocalProvider

        return LocalProvider
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
