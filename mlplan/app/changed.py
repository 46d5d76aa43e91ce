"""--changed-since: which addresses have changed files. Asks git; reads files and never runs anything of the repository.

An address counts as changed when the text of its block differs from the revision, when a file that it names (a script, a data
file, a pattern) differs, or when something differs that every block may read: variables, locals, files of variables, the lock file.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mlplan.app.compose import Project
from mlplan.config.program import Instance
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile
from mlplan.lang.syntax import Body

TIMEOUT = 60.0
SHARED = frozenset({"variable", "locals", "mlplan", "provider", "module"})
"""Blocks that any other block may depend on."""


def changed_since(project: Project, revision: str) -> tuple[str, ...]:
    """Return the addresses whose files changed since a git revision, in the order of the program.

    Raises: DiagnosticError (unknown-revision, no-git).
    """
    root, program = project.settings.root, project.program
    paths = _changed_paths(root, revision)
    blocks = {path for path in paths if path.endswith(".mlplan.hcl")}
    others = paths - blocks
    if any(path.endswith(".vars.hcl") or path == "mlplan.lock.hcl" for path in others):
        return tuple(i.address for i in program.instances)
    changed, shared = _changed_blocks(root, revision, blocks, program.sources)
    if shared:
        return tuple(i.address for i in program.instances)
    return tuple(i.address for i in program.instances if i.resource.address in changed or _names(project, i, others))


def _changed_blocks(
    root: Path, revision: str, paths: Iterable[str], sources: Mapping[str, SourceFile]
) -> tuple[set[str], bool]:
    """Return the addresses of blocks that differ, and whether a block differs that all others may read."""
    changed: set[str] = set()
    shared = False
    for path in paths:
        old = SourceFile(path, _git(root, "show", f"{revision}:./{path}", missing_ok=True))
        before = dict(_texts(old, parse(old)[0]))
        now = sources.get(path)
        after = dict(_texts(now, parse(now)[0])) if now is not None else {}
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                changed.add(".".join(name))
                shared = shared or name[0] in SHARED
    return changed, shared


def _texts(source: SourceFile, body: Body) -> Iterator[tuple[tuple[str, ...], str]]:
    for block in body.blocks:
        yield (block.type, *block.labels), source.text[block.span.start : block.span.end]


def _names(project: Project, instance: Instance, paths: set[str]) -> bool:
    """Tell whether an instance's arguments name one of the paths, as it is, as a folder, or by a pattern."""
    if not paths:
        return False
    arguments, _ = project.program.decode(instance, lambda _: None)
    return any(_covers(text, path) for text in _strings(arguments) for path in paths)


def _covers(text: str, path: str) -> bool:
    words = [word.removeprefix("./").rstrip("/") for word in text.split()] or [text]
    return any(
        word == path or path.startswith(word + "/") or ("*" in word and PurePosixPath(path).match(word))
        for word in words
        if word and not word.startswith("..")
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _changed_paths(root: Path, revision: str) -> set[str]:
    """Return changed and new files below the root, as paths from it."""
    if revision.startswith("-"):
        raise _unknown(revision, "a revision does not begin with a dash")
    known = _git(root, "diff", "--no-ext-diff", "--name-only", "--relative", "-z", revision, "--", ".")
    fresh = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    return {path for path in (known + "\0" + fresh).split("\0") if path}


def _git(root: Path, *arguments: str, missing_ok: bool = False) -> str:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)  # noqa: S603  (fixed words)
    except FileNotFoundError as error:
        detail = "--changed-since asks git which files changed, and git is not installed."
        raise DiagnosticError(Diagnostic("no-git", "Git cannot be asked", detail)) from error
    except subprocess.TimeoutExpired as error:
        raise DiagnosticError(
            Diagnostic("no-git", "Git cannot be asked", f"It gave no answer within {TIMEOUT:.0f} s.")
        ) from error
    if done.returncode != 0:
        if missing_ok:
            return ""
        raise _unknown(
            arguments[-3] if arguments[0] == "diff" else "HEAD", done.stderr.decode(errors="replace").strip()
        )
    return done.stdout.decode(errors="replace")


def _unknown(revision: str, why: str) -> DiagnosticError:
    detail = f'--changed-since {revision}: {why}. Name a commit, branch or tag of this repository, as in "origin/main".'
    return DiagnosticError(Diagnostic("unknown-revision", "Git does not know this revision", detail))
