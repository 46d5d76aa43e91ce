"""String functions, except `format` (see `formatting`) and regular expressions (see `regex`)."""

from __future__ import annotations

from decimal import Decimal

from mlplan.lang.functions import formatting, regex
from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.functions.text import capitalize_words, graphemes
from mlplan.lang.numbers import NOT_COUNTABLE, countable
from mlplan.lang.scope import Scope
from mlplan.lang.types import BOOL, NUMBER, STRING, ListType
from mlplan.lang.values import ListValue, Value, is_null

_family = Family()
_SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
FUNCTIONS = [*formatting.FUNCTIONS, *regex.FUNCTIONS]


@_family.add(("str", STRING), result=STRING)
def chomp(text: str) -> Value:
    """Return text without the newlines at its end."""
    return text.rstrip("\r\n")


@_family.add(("str", STRING), result=STRING)
def lower(text: str) -> Value:
    """Return text in lower case, letter by letter."""
    return text.lower() if text.isascii() else "".join(char.lower()[0] for char in text)


@_family.add(("str", STRING), result=STRING)
def upper(text: str) -> Value:
    """Return text in upper case, letter by letter."""
    return text.upper() if text.isascii() else "".join(c.upper() if len(c.upper()) == 1 else c for c in text)


@_family.add(("str", STRING), result=STRING)
def title(text: str) -> Value:
    """Return text with the first letter of every word in upper case."""
    return capitalize_words(text)


@_family.add(("str", STRING), ("suffix", STRING), result=BOOL)
def endswith(text: str, suffix: str) -> Value:
    """Tell whether text ends so."""
    return text.endswith(suffix)


@_family.add(("str", STRING), ("prefix", STRING), result=BOOL)
def startswith(text: str, prefix: str) -> Value:
    """Tell whether text begins so."""
    return text.startswith(prefix)


@_family.add(("str", STRING), ("substr", STRING), result=BOOL)
def strcontains(text: str, part: str) -> Value:
    """Tell whether text contains a part."""
    return part in text


@_family.add(("spaces", NUMBER), ("str", STRING), result=STRING, scoped=True)
def indent(scope: Scope, spaces: Decimal, text: str) -> Value:
    """Return text with spaces after every newline."""
    count = countable(spaces)
    if count is None or not 0 <= count <= 10_000:
        raise FunctionError("must be a whole number from 0 to 10000", 0)
    scope.budget.produce(count * text.count("\n"))
    return text.replace("\n", "\n" + " " * count)


@_family.add(("separator", STRING), rest=("lists", ListType(STRING)), result=STRING, scoped=True)
def join(scope: Scope, separator: str, *lists: ListValue) -> Value:
    """Return the elements of all lists, with the separator between them."""
    if not lists:
        raise FunctionError("at least two arguments are required")
    parts: list[str] = []
    for number, one in enumerate(lists):
        for position, item in enumerate(one.items):
            if is_null(item):
                raise FunctionError(f"element {position} is null; cannot concatenate null values", number + 1)
            assert isinstance(item, str)
            parts.append(item)
    scope.budget.produce(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


@_family.add(("separator", STRING), ("str", STRING), result=ListType(STRING))
def split(separator: str, text: str) -> Value:
    """Return the parts of text between separators."""
    parts = text.split(separator) if separator else graphemes(text)
    return ListValue(tuple(parts), STRING)


@_family.add(("str", STRING), ("substr", STRING), ("replace", STRING), result=STRING, scoped=True)
def replace(scope: Scope, text: str, part: str, replacement: str) -> Value:
    """Return text with a part replaced everywhere; /…/ is a regular expression."""
    if len(part) > 1 and part.startswith("/") and part.endswith("/"):
        return regex.replace(scope, text, part[1:-1], replacement)
    scope.budget.produce(text.count(part) * len(replacement))
    return text.replace(part, replacement)


@_family.add(("str", STRING), result=STRING)
def strrev(text: str) -> Value:
    """Return text backwards."""
    return "".join(reversed(graphemes(text)))


@_family.add(("str", STRING), ("offset", NUMBER), ("length", NUMBER), result=STRING)
def substr(text: str, offset: Decimal, length: Decimal) -> Value:
    """Return a part of text; offset from the end when negative, to the end when length is -1."""
    start, count = countable(offset), countable(length)
    if start is None or count is None:
        raise FunctionError(NOT_COUNTABLE, 1 if start is None else 2)
    letters = graphemes(text)
    start = max(start + len(letters), 0) if start < 0 else start
    end = len(letters) if count < 0 else start + count
    return "".join(letters[start:end])


@_family.add(("str", STRING), ("cutset", STRING), result=STRING)
def trim(text: str, characters: str) -> Value:
    """Return text without the given characters at both ends."""
    return text.strip(characters) if characters else text


@_family.add(("str", STRING), ("prefix", STRING), result=STRING)
def trimprefix(text: str, prefix: str) -> Value:
    """Return text without a prefix."""
    return text.removeprefix(prefix)


@_family.add(("str", STRING), ("suffix", STRING), result=STRING)
def trimsuffix(text: str, suffix: str) -> Value:
    """Return text without a suffix."""
    return text.removesuffix(suffix)


@_family.add(("str", STRING), result=STRING)
def trimspace(text: str) -> Value:
    """Return text without blanks at both ends."""
    return text.strip(_SPACES)


FUNCTIONS += _family.functions
