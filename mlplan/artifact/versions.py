"""What a model was made with.

The distributions really imported, Python, the platform, BLAS. Compared again before serving.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from mlplan.artifact.errors import ArtifactError


def observed() -> dict[str, Any]:
    """Return the versions of this process, without anything that differs between equal machines (kernel, host name)."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{platform.system().lower()}-{platform.machine()}",
        "libc": "-".join(part for part in platform.libc_ver() if part),
        "modules": _imported(),
        "blas": _blas(),
    }


def _imported() -> dict[str, str]:
    """Return distribution -> version of every top-level module that was imported."""
    top = {name.partition(".")[0] for name in list(sys.modules)}
    owners = metadata.packages_distributions()
    names = {owner for module in top for owner in owners.get(module, ())}
    return {name.lower(): metadata.version(name) for name in sorted(names, key=str.lower)}


def _blas() -> list[dict[str, str]]:
    """Return the linear algebra and OpenMP libraries in use."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    found = {
        (str(item.get("user_api") or ""), str(item.get("internal_api") or ""), str(item.get("version") or ""))
        for item in threadpool_info()
    }
    return [{"kind": kind, "name": name, "version": version} for kind, name, version in sorted(found)]


def mismatches(recorded: Mapping[str, Any], requirements: Sequence[str]) -> list[str]:
    """Return a sentence for each required distribution that is not installed in the version of training."""
    problems = []
    modules = recorded.get("modules", {})
    for name in requirements:
        wanted = modules.get(name)
        if wanted is None:
            continue  # training did not import it, so the model cannot need it
        try:
            present = metadata.version(name)
        except metadata.PackageNotFoundError:
            present = "not installed"
        if present != wanted:
            problems.append(f"{name} is {present} here and was {wanted} in training")
    return problems


def require_same(recorded: Mapping[str, Any], requirements: Sequence[str]) -> None:
    """Refuse a model that was trained with other libraries. Raises: ArtifactError `version-mismatch`."""
    problems = mismatches(recorded, requirements)
    if problems:
        raise ArtifactError(
            "version-mismatch",
            "The libraries differ from those of training",
            f"{'; '.join(problems)}. A model may answer differently, without an error, under other versions. Install "
            "the versions of "
            "training, or train again with those that are installed.",
        )
