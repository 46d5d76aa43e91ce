"""Regular expressions: regex, regexall, and `replace` with /…/. RE2 itself does the work, in linear time on any pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, TypeAlias

from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.scope import Scope
from mlplan.lang.types import ANY, STRING, ListType, ObjectType, TupleType, Type
from mlplan.lang.values import ListValue, Null, Value

_family = Family()
FUNCTIONS = _family.functions
_MAX_PATTERN = 5_000
_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
_BYTE = re.compile(r"(?:^|[^\\])(?:\\\\)*\\C")
Pattern: TypeAlias = Any
"""A compiled pattern of RE2; its package has no types."""
Match: TypeAlias = Any


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Pattern:
    """Return the compiled pattern. Raises FunctionError."""
    import re2

    if len(pattern) > _MAX_PATTERN:
        raise FunctionError(f"the pattern is longer than {_MAX_PATTERN} characters", 0)
    if _BYTE.search(pattern):
        raise FunctionError("invalid regexp pattern: invalid escape sequence in \\C", 0)
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "it is no regular expression"
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise FunctionError(f"invalid regexp pattern: {reason}", 0) from None


def matches(compiled: Pattern, text: str, scope: Scope) -> Iterator[Match]:
    """Yield every match; an empty one right behind another match does not count."""
    end = -1
    for match in compiled.finditer(text):
        scope.budget.step()
        if match.start() == match.end() == end:
            continue
        end = match.end()
        yield match


def _capturing(pattern: str) -> Pattern:
    """Return a pattern whose groups can be a result. Raises FunctionError."""
    compiled = compile_pattern(pattern)
    if compiled.groupindex and len(compiled.groupindex) != compiled.groups:
        raise FunctionError("invalid regexp pattern: cannot mix named and unnamed capture groups", 0)
    return compiled


def _captures(compiled: Pattern, match: Match) -> Value:
    names = compiled.groupindex
    if names:
        return {name: _group_value(match, names[name]) for name in sorted(names)}
    if compiled.groups:
        return tuple(_group_value(match, number) for number in range(1, compiled.groups + 1))
    found: str = match.group()
    return found


def _group_value(match: Match, number: int) -> Value:
    found: str | None = match.group(number)
    return Null(STRING) if found is None else found


@_family.add(("pattern", STRING), ("string", STRING))
def regex(pattern: str, text: str) -> Value:
    """Return the first match: text, or a tuple or object of its capture groups."""
    compiled = _capturing(pattern)
    found = compiled.search(text)
    if found is None:
        raise FunctionError("pattern did not match any part of the given string")
    return _captures(compiled, found)


@_family.add(("pattern", STRING), ("string", STRING), result=ListType(ANY), scoped=True)
def regexall(scope: Scope, pattern: str, text: str) -> Value:
    """Return every match, as `regex` returns one."""
    compiled = _capturing(pattern)
    found: list[Value] = []
    for match in matches(compiled, text, scope):
        scope.budget.produce(64)
        found.append(_captures(compiled, match))
    return ListValue(tuple(found), _capture_type(compiled))


def _capture_type(compiled: Pattern) -> Type:
    if compiled.groupindex:
        return ObjectType(dict.fromkeys(sorted(compiled.groupindex), STRING))
    return TupleType((STRING,) * compiled.groups) if compiled.groups else STRING


def replace(scope: Scope, text: str, pattern: str, replacement: str) -> Value:
    """Return text with every match replaced; $1, ${1} and ${name} stand for capture groups."""
    compiled = compile_pattern(pattern)
    out: list[str] = []
    position = 0
    for match in matches(compiled, text, scope):
        done = _REFERENCE.sub(partial(_reference, compiled, match), replacement)
        scope.budget.produce(len(done))
        out += (text[position : match.start()], done)
        position = match.end()
    return "".join((*out, text[position:]))


def _reference(compiled: Pattern, match: Match, reference: re.Match[str]) -> str:
    if reference.group(1):
        return "$"
    name = reference.group(2) or reference.group(3)
    number = int(name) if name.isdigit() and len(name) < 4 else compiled.groupindex.get(name, -1)
    return (match.group(number) or "") if 0 <= number <= compiled.groups else ""
