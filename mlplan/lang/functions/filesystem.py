"""Files inside the project's folder, and no other: file, filebase64, fileexists, fileset, templatefile, and names of paths.

A path leads outside when, links followed, it ends outside the root. Only regular files up to 1 MiB are read.
"""

from __future__ import annotations

import base64
import os
import posixpath
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlplan.lang.diagnostic import DiagnosticError, is_too_costly
from mlplan.lang.functions.glob import glob_files
from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.reference import references
from mlplan.lang.scope import Scope
from mlplan.lang.source import SourceFile
from mlplan.lang.types import ANY, BOOL, STRING, SetType
from mlplan.lang.values import Entity, MapValue, SetValue, Unknown, Value

_family = Family()
FUNCTIONS = _family.functions
MAX_FILE_BYTES = 1024 * 1024


def locate(scope: Scope, path: str) -> Path:
    """Return where a path leads, links followed. Raises FunctionError when that is outside the root."""
    if scope.root is None or scope.folder is None:
        raise FunctionError("files cannot be read here: there is no project folder", 0)
    if "\x00" in path or path.startswith("~"):
        raise FunctionError("only files inside the project's folder can be read", 0)
    try:
        root = scope.root.resolve(strict=True)
        found = (scope.folder / path).resolve()
    except (OSError, RuntimeError, ValueError):
        raise FunctionError(f'"{path[:100]}" cannot be followed to a file', 0) from None
    if found != root and root not in found.parents:
        raise FunctionError(f'"{path[:100]}" leads outside the project\'s folder; only files inside it can be read', 0)
    return found


def read_bytes(scope: Scope, path: str) -> bytes:
    """Return the bytes of a file. Raises FunctionError."""
    found = locate(scope, path)
    try:
        handle = os.open(found, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise FunctionError(f'no file exists at "{path[:100]}"', 0) from None
    except OSError as error:
        raise FunctionError(f'"{path[:100]}" cannot be read: {os.strerror(error.errno or 0)}', 0) from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        what = "a folder, not a file" if stat.S_ISDIR(mode) else "no regular file"
        raise FunctionError(f'"{path[:100]}" is {what}', 0)
    with os.fdopen(handle, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise FunctionError(f'"{path[:100]}" is larger than 1 MiB, the limit for files read in expressions', 0)
    scope.budget.produce(len(data))
    return data


def read_text(scope: Scope, path: str) -> str:
    """Return the text of a UTF-8 file. Raises FunctionError."""
    try:
        return read_bytes(scope, path).decode()
    except UnicodeDecodeError:
        raise FunctionError(
            f'the contents of "{path[:100]}" are not valid UTF-8; use filebase64 for other files', 0
        ) from None


@_family.add(("path", STRING), result=STRING, scoped=True)
def file(scope: Scope, path: str) -> Value:
    """Return the text of a file."""
    return read_text(scope, path)


@_family.add(("path", STRING), result=STRING, scoped=True)
def filebase64(scope: Scope, path: str) -> Value:
    """Return the bytes of a file in base64."""
    return base64.b64encode(read_bytes(scope, path)).decode()


@_family.add(("path", STRING), result=BOOL, scoped=True)
def fileexists(scope: Scope, path: str) -> Value:
    """Tell whether a regular file is there."""
    found = locate(scope, path)
    if found.is_dir():
        raise FunctionError(f'"{path[:100]}" is a folder, not a file', 0)
    return found.is_file()


@_family.add(("path", STRING), ("pattern", STRING), result=SetType(STRING), scoped=True)
def fileset(scope: Scope, path: str, pattern: str) -> Value:
    """Return the files under a folder that a pattern (*, **, ?, [a-z], {a,b}) names, relative to it."""
    folder = locate(scope, path)
    if not folder.is_dir():
        itself = folder.is_file() and pattern in ("", ".")
        return SetValue((".",) if itself else (), STRING)
    root = scope.root.resolve() if scope.root is not None else folder
    found = glob_files(folder, root, pattern, scope.budget)
    return SetValue(tuple(sorted(found)), STRING)


@_family.add(("path", STRING), ("vars", ANY), scoped=True)
def templatefile(scope: Scope, path: str, variables: Value) -> Value:
    """Return the file as a template, in which the given variables are the only names."""
    from mlplan.lang.parse import parse_template

    text = read_text(scope, path)
    expr, problems = parse_template(SourceFile(path, text))
    if expr is None:
        source = SourceFile(path, text)
        first = problems[0]
        line = source.line_column(first.span.start)[0] if first.span else 1
        raise FunctionError(f"{path} line {line}: {first.summary}: {first.detail}", 0)
    return render(scope, expr, variables, "templatefile")


@_family.add(("template", ANY), ("vars", ANY), scoped=True)
def templatestring(scope: Scope, template: Value, variables: Value) -> Value:
    """Return text as a template, in which the given variables are the only names."""
    if not isinstance(template, str):
        raise FunctionError("invalid template value: a string is required", 0)
    from mlplan.lang.parse import parse_template

    expr, problems = parse_template(SourceFile("<templatestring argument>", template))
    if expr is None:
        raise FunctionError(f"{problems[0].summary}: {problems[0].detail}", 0)
    return render(scope, expr, variables, "templatestring")


_VARIABLE = re.compile(r"[^\W\d_][\w-]*")


def render(scope: Scope, expr: Any, variables: Value, name: str) -> Value:
    """Return a template's value with variables as its only names; a template cannot read further templates."""
    from mlplan.lang.convert import ConversionError, convert
    from mlplan.lang.evaluate import evaluate_inner

    if isinstance(variables, Unknown):
        return Unknown(STRING, variables.origin)
    pairs = variables.attributes if isinstance(variables, Entity) else variables
    pairs = pairs.items if isinstance(pairs, MapValue) else pairs
    if not isinstance(pairs, dict):
        raise FunctionError("a map or object of variables is required", 1)
    _check_names(expr, pairs)
    functions = {k: f for k, f in scope.functions.items() if k not in ("templatefile", "templatestring")}
    inner = Scope(pairs, functions=functions, root=scope.root, folder=scope.folder, now=scope.now, budget=scope.budget)
    try:
        value = evaluate_inner(expr, inner)
    except DiagnosticError as error:
        if is_too_costly(error):
            raise
        reason = " ".join(f"{d.summary}: {d.detail}" for d in error.diagnostics)
        raise FunctionError(f"in the template: {reason}".rstrip("."), at=0) from None
    try:
        return convert(value, STRING) if name == "templatestring" else value
    except ConversionError as error:
        raise FunctionError(f"the template must give text: {error}", 0) from None


def _check_names(expr: Any, pairs: Mapping[str, Value]) -> None:
    for wrong in (key for key in pairs if not _VARIABLE.fullmatch(key)):
        detail = (
            f'invalid template variable name "{wrong}": it begins with a letter, and goes on with letters, digits and _'
        )
        raise FunctionError(detail, 1)
    for one in references(expr):
        if one.root not in pairs:
            raise FunctionError(f'the template needs "{one.root}", which is not among the variables', 1)


@_family.add(("path", STRING), result=STRING)
def basename(path: str) -> Value:
    """Return the last part of a path."""
    stripped = path.rstrip("/")
    return posixpath.basename(stripped) or ("/" if path else ".")


@_family.add(("path", STRING), result=STRING)
def dirname(path: str) -> Value:
    """Return a path without its last part."""
    return posixpath.normpath(posixpath.dirname(path) or ".").replace("//", "/")


@_family.add(("path", STRING), result=STRING, scoped=True)
def abspath(scope: Scope, path: str) -> Value:
    """Return a path as absolute."""
    base = str(scope.folder.resolve()) if scope.folder is not None else os.getcwd()
    return posixpath.normpath(posixpath.join(base, path)).replace("//", "/")


@_family.add(("path", STRING), result=STRING)
def pathexpand(path: str) -> Value:
    """Return a path with ~ at its start replaced by the home folder."""
    return os.path.expanduser(path) if path == "~" or path.startswith("~/") else path
