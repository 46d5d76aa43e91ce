"""Regular expressions in the syntax of RE2, as Terraform has them: regex, regexall, and `replace` with /…/."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.scope import Scope
from mlplan.lang.types import ANY, STRING, ListType, ObjectType, TupleType, Type
from mlplan.lang.values import ListValue, Value

_family = Family()
FUNCTIONS = _family.functions
_MAX_PATTERN = 2_000
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z",
    "word": r"0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_TRANSLATE = re.compile(
    r"\\Q(.*?)(?:\\E|\Z)|\\z|\\[pP](?:\{\^?\w+\}|\w)|\\C|\\x\{([0-9A-Fa-f]+)\}|\[:(\w+):\]|\(\?<(?=[A-Za-z])|\\.",
    re.DOTALL,
)
_UNSUPPORTED = re.compile(r"\(\?(?:<?[=!]|P=|\(|#|>)|\\[1-9]|[*+?}]\+")
_LETTERS = {"L": r"[^\W\d_]", "Lu": "[A-ZÀ-ÖØ-Þ]", "Ll": "[a-zß-öø-ÿ]", "N": r"\d", "Nd": r"\d", "P": r"[^\w\s]"}


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern. Raises FunctionError."""
    if len(pattern) > _MAX_PATTERN:
        raise FunctionError(f"the pattern is longer than {_MAX_PATTERN} characters", 0)
    bad = _UNSUPPORTED.search(re.sub(r"\\[^1-9]", "..", pattern))
    if bad is not None:
        raise FunctionError(f'invalid regexp pattern: "{bad.group()}" is not supported', 0)
    try:
        return re.compile(_TRANSLATE.sub(_translated, pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise FunctionError(f"invalid regexp pattern: {error}", 0) from None


def _translated(match: re.Match[str]) -> str:
    text = match.group()
    if text.startswith("\\Q"):
        return re.escape(match.group(1))
    if text == "\\z":
        return r"\Z"
    if match.group(2):
        return re.escape(chr(min(int(match.group(2), 16), 0x10FFFF)))
    if match.group(3):
        name = match.group(3)
        if name not in _CLASSES:
            raise FunctionError(f'invalid regexp pattern: there is no character class "{name}"', 0)
        return _CLASSES[name]
    if text.startswith(("\\p", "\\P")) and len(text) > 2:
        name = text[2:].strip("{}")
        if name not in _LETTERS or text.startswith("\\P"):
            raise FunctionError(f'invalid regexp pattern: the character class "{text}" is not supported', 0)
        return _LETTERS[name]
    return "(?P<" if text == "(?<" else text


def _captures(found: re.Match[str]) -> Value:
    names = found.re.groupindex
    if names:
        if len(names) != found.re.groups:
            raise FunctionError("invalid regexp pattern: cannot mix named and unnamed capture groups", 0)
        return {name: found.group(name) for name in sorted(names)}
    if found.re.groups:
        return tuple(found.groups())
    return found.group()


@_family.add(("pattern", STRING), ("string", STRING))
def regex(pattern: str, text: str) -> Value:
    """Return the first match: text, or a tuple or object of its capture groups."""
    from mlplan.lang.functions.guard import guarded

    found = guarded(compile_pattern(pattern), text, lambda compiled: compiled.search(text))
    if found is None:
        raise FunctionError("pattern did not match any part of the given string")
    return _captures(found)


@_family.add(("pattern", STRING), ("string", STRING), result=ListType(ANY), scoped=True)
def regexall(scope: Scope, pattern: str, text: str) -> Value:
    """Return every match, as `regex` returns one."""
    from mlplan.lang.functions.guard import guarded

    compiled = compile_pattern(pattern)
    matches: list[Any] = guarded(compiled, text, lambda one: list(one.finditer(text)))
    scope.budget.produce(64 * len(matches))
    return ListValue(tuple(map(_captures, matches)), _capture_type(compiled))


def _capture_type(compiled: re.Pattern[str]) -> Type:
    if compiled.groupindex:
        return ObjectType(dict.fromkeys(sorted(compiled.groupindex), STRING))
    return TupleType((STRING,) * compiled.groups) if compiled.groups else STRING


def replace(scope: Scope, text: str, pattern: str, replacement: str) -> Value:
    """Return text with every match replaced; $1, ${1} and ${name} stand for capture groups."""
    from mlplan.lang.functions.guard import guarded

    compiled = compile_pattern(pattern)

    def expand(match: re.Match[str]) -> str:
        done = re.sub(r"\$(?:(\$)|(\w+)|\{(\w+)\})", lambda ref: _group(match, ref), replacement)
        scope.budget.produce(len(done))
        return done

    return str(guarded(compiled, text, lambda one: one.sub(expand, text)))


def _group(match: re.Match[str], reference: re.Match[str]) -> str:
    if reference.group(1):
        return "$"
    name = reference.group(2) or reference.group(3)
    try:
        return match.group(int(name) if name.isdigit() else name) or ""
    except IndexError:
        return ""
