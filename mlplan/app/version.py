"""`version --json`: what is installed. Loads no plug-in: an entry point tells its distribution without being imported."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

from mlplan import __version__


def version() -> dict[str, Any]:
    """Return the versions of mlplan and Python, the platform, and the plug-ins with the versions of their distributions."""
    return {
        "mlplan": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()}_{platform.machine()}".lower(),
        "providers": _installed("mlplan.providers"),
        "stores": _installed("mlplan.stores"),
    }


def _installed(group: str) -> dict[str, str]:
    points = sorted(importlib.metadata.entry_points(group=group), key=lambda point: point.name)
    return {point.name: point.dist.version if point.dist is not None else "" for point in points}
