"""Fetches git modules for `mlplan init`: one commit each, into the project's own folder, without running anything of theirs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlplan.config.lock import COMMIT
from mlplan.config.module_sources import FOLDER, GitSource, package_folder
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

MOST_BYTES = 64 * 1024 * 1024
MOST_SECONDS = 120

# No hooks, no filters, no file-system monitor, no links out, no protocol but these; credentials stay git's own business.
_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.symlinks=false",
    "-c", "protocol.allow=never", "-c", "protocol.https.allow=always", "-c", "protocol.ssh.allow=always",
    "-c", "protocol.file.allow=always", "-c", "submodule.recurse=false", "-c", "fetch.fsckObjects=true",
    "-c", "core.autocrlf=false", "-c", "gc.auto=0", "-c", "advice.detachedHead=false",
)  # fmt: skip


def fetch(root: Path, source: GitSource, commit: str | None) -> str:
    """Put a repository at a commit where modules are read from, and return the commit. Safe to repeat.

    commit: the pinned one; None takes what the source's ref, or the default branch, is now.
    Raises: DiagnosticError (module-fetch-failed).
    """
    if commit is not None and package_folder(root, source, commit).is_dir():
        return commit
    modules = root / FOLDER
    modules.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=modules) as name:
        folder = Path(name) / "package"
        _git(source, Path(name), "init", "--quiet", "--template=", str(folder))
        found = _checked_out(source, folder, commit)
        shutil.rmtree(folder / ".git")
        _check_size(source, folder)
        target = package_folder(root, source, found)
        if not target.exists():
            folder.rename(target)
    return found


def _checked_out(source: GitSource, folder: Path, commit: str | None) -> str:
    wanted = commit or source.ref or "HEAD"
    try:
        _git(source, folder, "fetch", "--quiet", "--depth=1", "--no-tags", "--", source.url, wanted)
        name = "FETCH_HEAD"
    except DiagnosticError:
        # Servers give branches and tags by name, and not every one gives a commit: take all and look for it.
        if COMMIT.fullmatch(wanted) is None and not _is_short_commit(wanted):
            raise
        refs = ("+refs/heads/*:refs/remotes/o/*", "+refs/tags/*:refs/tags/*")
        _git(source, folder, "fetch", "--quiet", "--no-tags", "--", source.url, *refs)
        name = wanted
    found = _git(source, folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
    _git(source, folder, "checkout", "--quiet", "--force", "--detach", found)
    return found


def _is_short_commit(text: str) -> bool:
    return 7 <= len(text) < 40 and all(char in "0123456789abcdef" for char in text)


def _git(source: GitSource, folder: Path, *arguments: str) -> str:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "MLPLAN_VAR_"))},
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "LC_ALL": "C",
    }
    command: Sequence[str] = ("git", *_SAFE, *arguments)
    try:
        done = subprocess.run(  # noqa: S603  (an argument list of ours; source and ref are checked)
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=MOST_SECONDS, check=False
        )  # fmt: skip
    except FileNotFoundError:
        raise _failed(source, "the program git is not installed") from None
    except subprocess.TimeoutExpired:
        raise _failed(source, f"git did not end within {MOST_SECONDS} seconds") from None
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _failed(source, lines[-1][:300] if lines else f"git {arguments[0]} ended with {done.returncode}")
    return done.stdout.decode("utf-8", "replace")


def _check_size(source: GitSource, folder: Path) -> None:
    total = 0
    for path in folder.rglob("*"):
        total += path.lstat().st_size
        if total > MOST_BYTES:
            raise _failed(source, f"it is larger than {MOST_BYTES // (1024 * 1024)} MiB")
        if path.is_symlink():
            path.unlink()


def _failed(source: GitSource, why: str) -> DiagnosticError:
    detail = (
        f'"{source.text}" cannot be fetched: {why}. Look at the address and ?ref=, and whether git may read it here.'
    )
    return DiagnosticError(Diagnostic("module-fetch-failed", "A module cannot be fetched", detail))
