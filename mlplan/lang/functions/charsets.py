"""textencodebase64 and textdecodebase64: text in other character encodings, by their IANA names."""

from __future__ import annotations

import base64

from mlplan.lang.functions.encoding import from_base64
from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.types import STRING

_family = Family()
FUNCTIONS = _family.functions
_SAME = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "shift_jis",
    "euc-jp",
    "iso-2022-jp",
    "gbk",
    "gb18030",
    "big5",
    "euc-kr",
    "koi8-r",
    "koi8-u",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "windows-874",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-3",
    "iso-8859-4",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-9",
    "iso-8859-10",
    "iso-8859-13",
    "iso-8859-14",
    "iso-8859-15",
    "iso-8859-16",
    "ibm437",
    "ibm850",
    "ibm852",
    "ibm855",
    "ibm858",
    "ibm860",
    "ibm862",
    "ibm863",
    "ibm865",
    "ibm866",
    "ibm037",
    "cp437",
    "cp850",
    "cp852",
    "cp866",
    "latin1",
    "l1",
    "latin2",
    "latin3",
    "latin4",
    "latin5",
    "latin6",
    "sjis",
    "ms_kanji",
    "cp936",
    "greek",
    "hebrew",
    "arabic",
    "cyrillic",
]
_CODECS = {**{name: name for name in _SAME}, "macintosh": "mac-roman", "mac": "mac-roman", "hz-gb-2312": "hz"}
_CODECS |= {
    "utf8": "utf-8",
    "csutf8": "utf-8",
    "windows-31j": "cp932",
    "cskoi8r": "koi8-r",
    "l2": "latin2",
    "l5": "latin5",
}


@_family.add(("string", STRING), ("encoding", STRING), result=STRING)
def textencodebase64(text: str, encoding: str) -> str:
    """Return text in another encoding, in base64."""
    if encoding.lower() == "utf-16":
        return base64.b64encode(b"\xfe\xff" + text.encode("utf-16-be")).decode()
    try:
        return base64.b64encode(text.encode(_codec(encoding))).decode()
    except UnicodeEncodeError:
        raise FunctionError(
            f"the given string contains characters that cannot be represented in {encoding}", 0
        ) from None


@_family.add(("source", STRING), ("encoding", STRING), result=STRING)
def textdecodebase64(text: str, encoding: str) -> str:
    """Return the text that base64 writes in another encoding."""
    data = from_base64(text)
    if encoding.lower() == "utf-16":
        codec = "utf-16-le" if data.startswith(b"\xff\xfe") else "utf-16-be"
        data = data.removeprefix(b"\xff\xfe" if codec == "utf-16-le" else b"\xfe\xff")
    else:
        codec = _codec(encoding)
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        raise FunctionError(f"the given string contains symbols that are not defined for {encoding}", 0) from None


def _codec(name: str) -> str:
    found = _CODECS.get(name.lower())
    if found is None:
        raise FunctionError(f'"{name[:40]}" is not a supported IANA encoding name or alias', 1)
    return found
