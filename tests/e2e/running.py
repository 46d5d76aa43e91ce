"""Runs the command as a user does: a process of its own, in a folder, with an environment that says nothing of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def mlplan(
    *words: str, folder: Path, given: str = "", environment: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Return what a run of the command left: exit code, stdout, stderr."""
    return subprocess.run(
        [sys.executable, "-m", "mlplan.cli.main", *words],
        input=given, text=True, capture_output=True, cwd=folder, timeout=timeout, check=False,
        env=plain_environment() | (environment or {}),
    )  # fmt: skip


def plain_environment() -> dict[str, str]:
    """Return what a command needs to run and nothing that changes what it says."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME")}
    return {**kept, "LANG": "C.UTF-8"}
