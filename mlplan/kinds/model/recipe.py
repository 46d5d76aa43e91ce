"""The recipe: a digest over everything that makes a model what it is, before training. Reads files, runs nothing."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlplan.engine.ignoring import ignores
from mlplan.engine.plain import plain
from mlplan.engine.types import Desired
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.evidence import digest_of

LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "requirements.txt")
CAPTURED = ("numpy", "pandas", "scikit-learn", "scipy", "skops")
MOST_CODE = 64 * 1024 * 1024
"""Bytes of one code file; a larger file is data, and belongs in a contract."""


@dataclass(frozen=True)
class Recipe:
    """A recipe in parts, so that a plan can say which part moved.

    schema: by the names of `train.data`, the digest of the contract's rules; that of the accepted version's while nothing
    that this version uses broke since.
    """

    code: Mapping[str, str]
    data: Mapping[str, str]
    params: Mapping[str, Any]
    seed: int
    command: str
    environment: Mapping[str, str]
    schema: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; without `schema` where there is none, as recipes were before it was a part."""
        parts = {
            "code": dict(self.code),
            "data": dict(self.data),
            "params": dict(self.params),
            "seed": self.seed,
            "command": self.command,
            "environment": dict(self.environment),
        }
        return {**parts, "schema": dict(self.schema)} if self.schema else parts

    @property
    def digest(self) -> str:
        """Return the digest of all parts."""
        return digest_of(self.to_json())


def recipe(
    arguments: Mapping[str, Any], snapshots: Mapping[str, str], root: Path, address: str,
    schema: Mapping[str, str] | None = None,
) -> Recipe:  # fmt: skip
    """Return the recipe of a model. snapshots, schema: by the names of `train.data`.

    Raises: DiagnosticError (code-missing, code-outside).
    """
    train = arguments["train"]
    return Recipe(
        code_files(train["code"], root, address),
        snapshots,
        plain(train.get("params") or {}),
        int(train.get("seed") or 0),
        str(train["run"]),
        environment_lock(root),
        schema or {},
    )


def unless_ignored(made: Recipe, desired: Desired, prior: Mapping[str, Any]) -> Recipe:
    """Return the recipe of the accepted version when only parts differ whose changes lifecycle.ignore_changes leaves out.

    Arguments are ignored before they come here; this is about what they point to, files and data. Once something else differs as
    well, it is trained on what is there now: files and data of then cannot be had again.
    """
    known = prior.get("recipe_parts")
    if not known or not desired.ignored:
        return made
    parts = {"code": ("train", "code"), "data": ("train", "data"), "schema": ("train", "data"), "environment": ()}
    kept: dict[str, Any] = {part: known.get(part) or {} for part, path in parts.items() if ignores(desired, *path)}
    then = replace(made, **kept)
    return then if then.digest == prior.get("recipe") else made


def code_files(globs: tuple[str, ...], root: Path, address: str) -> dict[str, str]:
    """Return path -> sha256 of every file that the globs name, below the root."""
    files: dict[str, str] = {}
    for pattern in globs:
        if pattern.startswith("/") or ".." in Path(pattern).parts:
            raise DiagnosticError(_problem("code-outside", f'train.code "{pattern}" leaves the project', address))
        found = [p for p in sorted(root.glob(pattern)) if p.is_file() and "__pycache__" not in p.parts]
        if not found:
            raise DiagnosticError(_problem("code-missing", f'train.code "{pattern}" matches no file', address))
        for path in found:
            if not path.resolve().is_relative_to(root.resolve()) or path.stat().st_size > MOST_CODE:
                detail = f"{path.relative_to(root)} leads out of the project or is larger than 64 MiB"
                raise DiagnosticError(_problem("code-outside", detail, address))
            files[path.relative_to(root).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files


def environment_lock(root: Path) -> dict[str, str]:
    """Return the digest of the project's lock file, or the versions that training would use here."""
    for name in LOCKS:
        path = root / name
        if path.is_file():
            return {name: hashlib.sha256(path.read_bytes()).hexdigest()}
    captured = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in CAPTURED:
        try:
            captured[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            captured[package] = "absent"
    return captured


def differences(
    before: Mapping[str, Any] | None, after: Recipe, words: Mapping[str, str], broken: Mapping[str, str]
) -> list[str]:
    """Return which parts moved, in words. words: what is new about a snapshot, broken: what a contract took away, by the
    names of `train.data`.
    """
    if not before:
        return ["not trained yet"]
    now = after.to_json()
    moved = []
    for part in ("data", "code", "params", "environment"):
        old, new = before.get(part) or {}, now[part]
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        if names and part == "data":
            moved += [f"train.data.{n} ({words.get(n) or 'new snapshot'})" for n in names]
        elif names and part == "params":
            moved.append(f"train.params ({', '.join(f'{n} {_shown(old, n)} -> {_shown(new, n)}' for n in names)})")
        elif names and part == "environment":
            moved.append(
                f"environment ({', '.join(f'{n} {_shown(old, n)[:14]} -> {_shown(new, n)[:14]}' for n in names)})"
            )
        elif names:
            moved.append(
                f"train.{part} ({', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''})"
            )
    moved += [f"the contract of train.data.{name} broke ({text})" for name, text in broken.items()]
    if before.get("seed") != now["seed"]:
        moved.append(f"train.seed ({before.get('seed')} -> {now['seed']})")
    if before.get("command") != now["command"]:
        moved.append("train.run")
    return moved


def _shown(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "unset"


def _problem(code: str, detail: str, address: str) -> Diagnostic:
    summary = "Training code is missing" if code == "code-missing" else "Training code is outside the project"
    return Diagnostic(
        code, summary, f'{detail}. Name files below the root, as in code = ["train.py", "src/**"].', address=address
    )
