"""Finds files by pattern, inside one folder, within a budget. Links to folders are not followed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mlplan.lang.functions.registry import FunctionError
from mlplan.lang.scope import Budget

_MAX_DEPTH = 32


def glob_files(folder: Path, root: Path, pattern: str, budget: Budget) -> list[str]:
    """Return the files under `folder`, relative to it, that `pattern` names. Raises FunctionError."""
    compiled = [compile_glob(one) for one in _braces(pattern)]
    limit = _MAX_DEPTH if "**" in pattern else pattern.count("/")
    found = []
    for relative, entry in _walk(folder, "", limit, budget):
        if any(one.fullmatch(relative) for one in compiled) and _inside(entry, root):
            found.append(relative)
    return found


def _inside(entry: os.DirEntry[str], root: Path) -> bool:
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    target = Path(os.path.realpath(entry.path))
    return root in target.parents and target.is_file()


def _walk(folder: Path, prefix: str, depth: int, budget: Budget) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise FunctionError(f'"{prefix or "."}" cannot be listed: {os.strerror(error.errno or 0)}', 0) from None
    for entry in entries:
        budget.step(20)
        budget.produce(len(prefix) + len(entry.name))
        relative = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            if depth > 0:
                yield from _walk(Path(entry.path), relative + "/", depth - 1, budget)
        else:
            yield relative, entry


def _braces(pattern: str) -> list[str]:
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    done = []
    for choice in match.group(1).split(","):
        done.extend(_braces(pattern[: match.start()] + choice + pattern[match.end() :]))
        if len(done) > 256:
            raise FunctionError("the pattern has too many choices", 1)
    return done


def compile_glob(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern without braces. Raises FunctionError."""
    out = []
    index = 0
    if pattern.count("*") > 16:
        raise FunctionError("the pattern has too many stars", 1)
    while index < len(pattern):
        char = pattern[index]
        if pattern.startswith("**/", index):
            out.append("(?:[^/]+/)*")
            index += 3
            continue
        if pattern.startswith("**", index):
            out.append(".*")
            index += 2
            continue
        end = pattern.find("]", index + 2) if char == "[" else -1
        if char == "[" and end < 0:
            raise FunctionError(f'failed to glob pattern "{pattern[:60]}": syntax error in pattern', 1)
        if char == "[" and end > 0:
            inner = pattern[index + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out.append("[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]")
            index = end + 1
            continue
        out.append({"*": "[^/]*", "?": "[^/]"}.get(char) or re.escape(char))
        index += 1
    try:
        return re.compile("".join(out), re.DOTALL)
    except re.error as error:
        raise FunctionError(f"failed to glob pattern: {error}", 1) from None
