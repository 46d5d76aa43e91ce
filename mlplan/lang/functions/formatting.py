"""format and formatlist: the verbs of Terraform's `format` (%s %q %d %f %g %e %b %o %x %t %v %#v)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.functions.encoding import to_json
from mlplan.lang.functions.registry import Family, FunctionError, Parameter
from mlplan.lang.functions.text import graphemes
from mlplan.lang.numbers import Coarse, expanded, shortest, whole
from mlplan.lang.scope import Scope
from mlplan.lang.types import ANY, BOOL, NUMBER, STRING, ListType, Type
from mlplan.lang.values import ListValue, SetValue, Value, is_null

_family = Family()
FUNCTIONS = _family.functions
_VERB = re.compile(
    r"%(?:%|(?P<flags>[-+# 0]*)(?P<width>[0-9]+)?(?:\.(?P<precision>[0-9]+)?)?(?:\[(?P<index>[0-9]+)\])?(?P<mode>[A-Za-z])?)"
)
_MAX_WIDTH = 1024
_BASES = {"b": ("b", "0b"), "d": ("d", ""), "o": ("o", "0"), "x": ("x", "0x"), "X": ("X", "0X")}


@dataclass(frozen=True, slots=True)
class _Verb:
    """One verb of a template, as %-8.2[1]f. precision, index: None where they are not written. bare: its letter is all of it."""

    raw: str
    at: int
    mode: str
    flags: str
    width: int
    precision: int | None
    index: int | None = None
    bare: bool = False


@_family.add(("format", STRING), rest=Parameter("args", ANY, null=True), result=STRING, scoped=True)
def format_(scope: Scope, template: str, *args: Value) -> Value:
    """Return the template with each verb replaced by an argument."""
    return _formatted(scope, template, args)


@_family.add(("format", STRING), rest=Parameter("args", ANY, null=True), result=ListType(STRING), scoped=True)
def formatlist(scope: Scope, template: str, *args: Value) -> Value:
    """Return `format` for every position of the lists among the arguments; other arguments are used each time."""
    columns = [_column(arg) for arg in args]
    lengths = {len(column) for column in columns if column is not None}
    if len(lengths) > 1:
        first = next(i for i, c in enumerate(columns) if c is not None and len(c) != max(lengths))
        raise FunctionError("lists of different lengths were given; all must have the same length", first + 1)
    count = lengths.pop() if lengths else 1
    rows = []
    for row in range(count):
        scope.budget.step(1 + len(args))
        taken = [arg if column is None else column[row] for arg, column in zip(args, columns, strict=True)]
        try:
            rows.append(_formatted(scope, template, taken))
        except FunctionError as error:
            raise FunctionError(f"in turn {row}: {error}", at=error.at) from None
    return ListValue(tuple(rows), STRING)


def _column(arg: Value) -> Sequence[Value] | None:
    if isinstance(arg, tuple):
        return arg
    return arg.items if isinstance(arg, (ListValue, SetValue)) else None


def _formatted(scope: Scope, template: str, args: Sequence[Value]) -> str:
    out: list[str] = []
    highest = following = 0
    for piece in _pieces(template):
        if isinstance(piece, str):
            out.append(piece)
            continue
        if isinstance(piece, FunctionError):
            raise FunctionError(str(piece), at=0)
        index = following if piece.index is None else piece.index
        following = index + 1
        highest = max(highest, following)
        if not 0 <= index < len(args):
            detail = f'not enough arguments for "{piece.raw}" at {piece.at}: need index {index + 1} but have {len(args)} total'
            raise FunctionError(detail, at=0)
        try:
            text = _plain(piece, args[index])
        except ConversionError as error:
            raise FunctionError(f'unsupported value for "{piece.raw}" at {piece.at}: {error}', at=index + 1) from None
        scope.budget.produce(len(text))
        out.append(text)
    if highest < len(args):
        raise FunctionError(f"too many arguments; only {highest} used by format string", highest + 1)
    return "".join(out)


@lru_cache(maxsize=256)
def _pieces(template: str) -> tuple[str | _Verb | FunctionError, ...]:
    """Return texts and verbs of a template; at the first verb that is none, what is wrong with it."""
    found: list[str | _Verb | FunctionError] = []
    position = 0
    for match in _VERB.finditer(template):
        found.append(template[position : match.start()])
        position = match.end()
        try:
            found.append("%" if match.group() == "%%" else _verb(match, template))
        except FunctionError as error:
            return (*found, error)
    return (*found, template[position:])


def _verb(match: re.Match[str], template: str) -> _Verb:
    if not match["mode"]:
        rest = template[match.end() : match.end() + 1]
        if not rest:
            raise FunctionError("unrecognized format: the template ends in the middle of a verb", 0)
        raise FunctionError(f'unrecognized format character "{rest}" at offset {match.end()}', 0)
    width = int(match["width"] or -1) if len(match["width"] or "") < 6 else _MAX_WIDTH + 1
    dotted = "." in match.group()
    precision = (
        (int(match["precision"] or 0) if len(match["precision"] or "") < 6 else _MAX_WIDTH + 1) if dotted else None
    )
    if width > _MAX_WIDTH or (precision or 0) > _MAX_WIDTH:
        raise FunctionError(f"width and precision must be at most {_MAX_WIDTH}", 0)
    index = int(match["index"]) - 1 if match["index"] else None
    bare = match.end() - match.start() == 2
    return _Verb(match.group(), match.start(), match["mode"], match["flags"], width, precision, index, bare)


def _plain(verb: _Verb, value: Value) -> str:
    if verb.bare and verb.mode == "s" and value.__class__ is str:
        return str(value)
    if verb.mode == "v":
        if "#" not in verb.flags and isinstance(value, str):
            return _padded(verb, value)
        if "#" not in verb.flags and isinstance(value, Decimal):
            return _padded(verb, _general(value, None, "e"))
        return _padded(verb, to_json(value))
    if verb.mode == "t":
        return "true" if _required(value, BOOL) else "false"
    if verb.mode in "sq":
        return _text(verb, _required(value, STRING))
    if verb.mode in _BASES:
        number = _required(value, NUMBER)
        assert isinstance(number, Decimal)
        return _integer(verb, number)
    if verb.mode in "eEfgG":
        number = _required(value, NUMBER)
        assert isinstance(number, Decimal)
        return _real(verb, number)
    raise FunctionError(f'unsupported format verb "{verb.mode}" in "{verb.raw}" at offset {verb.at}', at=0)


def _required(value: Value, of: Type) -> Value:
    if is_null(value):
        raise ConversionError("null value cannot be formatted")
    return convert(value, of)


def _text(verb: _Verb, value: Value) -> str:
    assert isinstance(value, str)
    text = "".join(graphemes(value)[: verb.precision]) if verb.precision else value
    return _padded(verb, to_json(text) if verb.mode == "q" else text)


def _padded(verb: _Verb, text: str) -> str:
    missing = verb.width - len(graphemes(text))
    if missing <= 0:
        return text
    padding = ("0" if "0" in verb.flags else " ") * missing
    return text + padding if "-" in verb.flags else padding + text


def _sign(verb: _Verb, negative: bool) -> str:
    if negative:
        return "-"
    return "+" if "+" in verb.flags else " " if " " in verb.flags else ""


def _integer(verb: _Verb, number: Decimal) -> str:
    exact = whole(number)
    if exact is None:
        raise ConversionError("an integer is required")
    base, prefix = _BASES[verb.mode]
    sign = _sign(verb, exact < 0) + (prefix if "#" in verb.flags else "")
    digits = format(abs(exact), base)
    if verb.precision is not None:
        digits = "" if exact == 0 and verb.precision == 0 else digits.rjust(verb.precision, "0")
        if not digits:
            return ""
    return _filled(verb, sign, digits, zeros="0" in verb.flags and verb.precision is None)


def _filled(verb: _Verb, sign: str, digits: str, zeros: bool) -> str:
    missing = max(verb.width - len(sign) - len(digits), 0)
    if "-" in verb.flags:
        return sign + digits + " " * missing
    return sign + "0" * missing + digits if zeros else " " * missing + sign + digits


def _real(verb: _Verb, number: Decimal) -> str:
    if number.is_infinite():
        sign = "-" if number < 0 else " " if " " in verb.flags else "+"
        return _filled(verb, sign, "Inf", zeros=False)
    size = number.copy_abs() if verb.mode in "gG" and verb.precision is None else expanded(number).copy_abs()
    if verb.mode in "gG" and isinstance(number, Coarse):
        size = shortest(number).copy_abs()
    if verb.mode == "f":
        digits = format(size, f".{6 if verb.precision is None else verb.precision}f")
    elif verb.mode in "eE":
        digits = _scientific(size, 6 if verb.precision is None else verb.precision, verb.mode)
    else:
        digits = _general(size, verb.precision, "e" if verb.mode == "g" else "E")
    return _filled(verb, _sign(verb, number.is_signed()), digits, zeros="0" in verb.flags)


def _scientific(number: Decimal, precision: int, letter: str) -> str:
    if not number:
        return "0" + ("." + "0" * precision if precision else "") + letter + "+00"
    mantissa, _, power = format(number, f".{precision}{letter}").partition(letter)
    return f"{mantissa}{letter}{power[0]}{power[1:].rjust(2, '0')}"


def _general(number: Decimal, precision: int | None, letter: str) -> str:
    """Return a number by %g: scientific from 21 digits on with all its digits (precision None), else from `precision` on."""
    if number.is_infinite():
        return "-Inf" if number < 0 else "+Inf"
    if not number:
        return "-0" if number.is_signed() else "0"
    if precision is None:
        number = shortest(number)
        digits = "".join(map(str, number.as_tuple().digits)).rstrip("0")
        limit, count = 6, len(digits)
    else:
        limit = count = precision or 1
        rounded = Decimal(format(number, f".{count - 1}e"))
        digits = "".join(map(str, rounded.as_tuple().digits)).rstrip("0")
        limit = len(digits) if limit > len(digits) >= rounded.adjusted() + 1 else limit
        number = rounded
    exponent = number.adjusted()
    if exponent < -4 or exponent >= limit:
        return ("-" if number < 0 else "") + _scientific(number.copy_abs(), max(len(digits) - 1, 0), letter)
    return format(number, f".{max(len(digits) - 1 - exponent, 0)}f")
