"""Regular expressions in the syntax of RE2, as Terraform has them: regex, regexall, and `replace` with /…/."""

from __future__ import annotations

import re
from functools import lru_cache, partial

from mlplan.lang.functions.guard import Regions, find
from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.scope import Scope
from mlplan.lang.types import ANY, STRING, ListType, ObjectType, TupleType, Type
from mlplan.lang.values import ListValue, Null, Value

_family = Family()
FUNCTIONS = _family.functions
_MAX_PATTERN = 2_000
_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
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


def _captures(compiled: re.Pattern[str], text: str, regions: Regions) -> Value:
    names = compiled.groupindex
    if names:
        if len(names) != compiled.groups:
            raise FunctionError("invalid regexp pattern: cannot mix named and unnamed capture groups", 0)
        return {name: _region(text, regions[names[name]]) for name in sorted(names)}
    if compiled.groups:
        return tuple(_region(text, region) for region in regions[1:])
    return _region(text, regions[0])


def _region(text: str, region: list[int]) -> Value:
    return text[region[0] : region[1]] if region[0] >= 0 else Null(STRING)


@_family.add(("pattern", STRING), ("string", STRING))
def regex(pattern: str, text: str) -> Value:
    """Return the first match: text, or a tuple or object of its capture groups."""
    compiled = compile_pattern(pattern)
    found = find(compiled, text, first=True)
    if not found:
        raise FunctionError("pattern did not match any part of the given string")
    return _captures(compiled, text, found[0])


@_family.add(("pattern", STRING), ("string", STRING), result=ListType(ANY), scoped=True)
def regexall(scope: Scope, pattern: str, text: str) -> Value:
    """Return every match, as `regex` returns one."""
    compiled = compile_pattern(pattern)
    found = find(compiled, text)
    scope.budget.produce(64 * len(found))
    return ListValue(tuple(_captures(compiled, text, regions) for regions in found), _capture_type(compiled))


def _capture_type(compiled: re.Pattern[str]) -> Type:
    if compiled.groupindex:
        return ObjectType(dict.fromkeys(sorted(compiled.groupindex), STRING))
    return TupleType((STRING,) * compiled.groups) if compiled.groups else STRING


def replace(scope: Scope, text: str, pattern: str, replacement: str) -> Value:
    """Return text with every match replaced; $1, ${1} and ${name} stand for capture groups."""
    compiled = compile_pattern(pattern)
    out: list[str] = []
    position = 0
    for regions in find(compiled, text):
        taken = partial(_group, compiled, text, regions)
        done = _REFERENCE.sub(taken, replacement)
        scope.budget.produce(len(done))
        out += (text[position : regions[0][0]], done)
        position = regions[0][1]
    return "".join((*out, text[position:]))


def _group(compiled: re.Pattern[str], text: str, regions: Regions, reference: re.Match[str]) -> str:
    if reference.group(1):
        return "$"
    name = reference.group(2) or reference.group(3)
    number = int(name) if name.isdigit() and len(name) < 4 else compiled.groupindex.get(name, -1)
    start, end = regions[number] if 0 <= number < len(regions) else (0, 0)
    return text[start:end] if start >= 0 else ""
