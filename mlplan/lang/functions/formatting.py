"""format and formatlist: the verbs of Terraform's `format` (%s %q %d %f %g %e %b %o %x %t %v %#v)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.functions.encoding import to_json
from mlplan.lang.functions.registry import Family, FunctionError, Parameter
from mlplan.lang.functions.text import graphemes
from mlplan.lang.numbers import format_number, whole
from mlplan.lang.scope import Scope
from mlplan.lang.show import quote
from mlplan.lang.types import ANY, BOOL, NUMBER, STRING, ListType
from mlplan.lang.values import ListValue, SetValue, Value, is_null

_family = Family()
FUNCTIONS = _family.functions
_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>[0-9]+|\*)?(?:\.(?P<precision>[0-9]+)?)?(?:\[(?P<index>[0-9]+)\])?(?P<verb>.?)",
    re.DOTALL,
)
_MAX_WIDTH = 1024


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
        rows.append(_formatted(scope, template, taken))
    return ListValue(tuple(rows), STRING)


def _column(arg: Value) -> Sequence[Value] | None:
    if isinstance(arg, tuple):
        return arg
    return arg.items if isinstance(arg, (ListValue, SetValue)) else None


def _formatted(scope: Scope, template: str, args: Sequence[Value]) -> str:
    out: list[str] = []
    position = highest = following = 0
    for match in _VERB.finditer(template):
        out.append(template[position : match.start()])
        position = match.end()
        if match["verb"] == "%":
            out.append("%")
            continue
        if not match["verb"]:
            raise FunctionError("unrecognized format: the template ends in the middle of a verb", 0)
        index = int(match["index"]) - 1 if match["index"] else following
        following = index + 1
        highest = max(highest, following)
        if not 0 <= index < len(args):
            missing = f"not enough arguments for {match.group()!r} at {match.start()}: need index {index + 1} but have {len(args)} total"
            raise FunctionError(missing.replace("'", '"'), 0)
        text = _verb(match, args[index], index)
        scope.budget.produce(len(text))
        out.append(text)
    if highest < len(args):
        raise FunctionError(f"too many arguments; only {highest} used by format string", highest + 1)
    out.append(template[position:])
    return "".join(out)


def _verb(match: re.Match[str], value: Value, index: int) -> str:
    verb, flags = match["verb"], match["flags"]
    width = int(match["width"]) if match["width"] and match["width"] != "*" else 0
    if width > _MAX_WIDTH or int(match["precision"] or 0) > _MAX_WIDTH:
        raise FunctionError(f"width and precision must be at most {_MAX_WIDTH}", 0)
    dotted = "." in match.group()
    precision = int(match["precision"] or 0) if dotted else None
    try:
        text = _plain(verb, flags, precision, value)
    except ConversionError as error:
        raise FunctionError(f'unsupported value for "{match.group()}" at {match.start()}: {error}', index + 1) from None
    missing = width - len(graphemes(text))
    if missing <= 0:
        return text
    if "-" in flags:
        return text + " " * missing
    if "0" in flags and verb not in "sqvt":
        sign = text[:1] if text[:1] in "+-" else ""
        return sign + "0" * missing + text[len(sign) :]
    return ("0" if "0" in flags else " ") * missing + text


def _plain(verb: str, flags: str, precision: int | None, value: Value) -> str:
    if verb == "v":
        if "#" in flags:
            return to_json(value)
        if is_null(value):
            return "null"
        if isinstance(value, (str, bool, Decimal)):
            verb = {"str": "s", "bool": "t"}.get(type(value).__name__, "g")
        else:
            return to_json(value)
    if verb in "sq":
        return _text(verb, precision, _required(value, STRING))
    if verb == "t":
        return "true" if _required(value, BOOL) else "false"
    if verb in "bdoxXeEfFgG":
        number = _required(value, NUMBER)
        assert isinstance(number, Decimal)
        return _number(verb, flags, precision, number)
    raise FunctionError(f'unsupported format verb "{verb}"', 0)


def _required(value: Value, of: object) -> Value:
    if is_null(value):
        raise ConversionError("null value cannot be formatted")
    return convert(value, of)  # type: ignore[arg-type]


def _text(verb: str, precision: int | None, value: Value) -> str:
    assert isinstance(value, str)
    text = value if precision is None else "".join(graphemes(value)[:precision])
    return quote(text) if verb == "q" else text


def _number(verb: str, flags: str, precision: int | None, number: Decimal) -> str:
    sign = "+" if "+" in flags and number >= 0 else " " if " " in flags and number >= 0 else ""
    if verb in "bdoxX":
        exact = whole(number)
        if exact is None:
            raise ConversionError("an integer is required")
        if verb == "d":
            return sign + str(exact)
        return sign + format(exact, ("#" if "#" in flags and verb != "b" else "") + verb)
    if verb in "fF":
        return sign + format(number, f".{6 if precision is None else precision}f")
    if verb in "eE":
        return sign + _exponent(format(number, f".{6 if precision is None else precision}{verb}"))
    if precision is None:
        exponent = number.adjusted() if number else 0
        if -5 < exponent < 21:
            return sign + format_number(number)
        digits = format(number.normalize(), "e" if verb == "g" else "E")
        return sign + _exponent(digits)
    return sign + _exponent(_short(number, precision or 1, verb))


def _short(number: Decimal, precision: int, verb: str) -> str:
    exponent = int(format(number, f".{precision - 1}e").partition("e")[2])
    if -5 < exponent < precision:
        text = format(number, f".{max(precision - 1 - exponent, 0)}f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _, power = format(number, f".{precision - 1}e").partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}{'e' if verb == 'g' else 'E'}{power}"


def _exponent(text: str) -> str:
    """Return a number in scientific notation with at least two digits of exponent."""
    return re.sub(r"([eE][+-])([0-9])$", r"\g<1>0\2", text)
