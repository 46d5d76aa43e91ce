"""Keep secret values out of a stream of bytes, also where a value is split over two reads.

Masks the value itself and the spellings in which programs usually print it: inside JSON, a URL or HTML, in base64, hexadecimal
or UTF-16, backwards, and line by line. A value that a program encodes or cuts in another way cannot be found; the guides say so.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

REPLACEMENT = b"(secret)"
_SHORTEST_LINE = 8


class Masker:
    """Replaces secret values in chunks of one stream."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._needles = sorted(_spellings(secrets), key=len, reverse=True)
        self._longest = max((len(needle) for needle in self._needles), default=0)
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return what can be written now; the end is held back as long as it may be the beginning of a secret."""
        data = self._held + chunk
        out = bytearray()
        position = 0
        while position < len(data):
            found = self._next(data, position)
            if found is None:
                break
            start, needle = found
            out += data[position:start] + REPLACEMENT
            position = start + len(needle)
        keep = self._open_end(data, position)
        out += data[position : len(data) - keep]
        self._held = data[len(data) - keep :] if keep else b""
        return bytes(out)

    def close(self) -> bytes:
        """Return what was held back: the stream ended, so that it is no secret, unless it is most of one."""
        held, self._held = self._held, b""
        return held

    def _next(self, data: bytes, position: int) -> tuple[int, bytes] | None:
        """Return the first secret from `position` on, the longest where several begin; None when there is none, or when the
        first one may still grow into a longer one that begins no later."""
        hits = [(at, -len(needle), needle) for needle in self._needles if (at := data.find(needle, position)) >= 0]
        if not hits:
            return None
        start, _, needle = min(hits)
        keep = self._open_end(data, position)
        if keep and len(data) - keep <= start and keep > len(needle):
            return None
        return start, needle

    def _open_end(self, data: bytes, position: int) -> int:
        """Return the length of the longest end of `data[position:]` that is a true beginning of a secret."""
        most = min(self._longest - 1, len(data) - position)
        for size in range(most, 0, -1):
            end = data[len(data) - size :]
            if any(len(needle) > size and needle.startswith(end) for needle in self._needles):
                return size
        return 0


def _spellings(secrets: Iterable[str]) -> set[bytes]:
    found: set[bytes] = set()
    for secret in secrets:
        texts = {
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1],
            quote(secret, safe=""),
            quote(secret),
            quote_plus(secret),
            html.escape(secret),
            secret[::-1],
        }
        texts |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
        found |= {text.encode("utf-8", "surrogatepass") for text in texts}
        if len(secret) >= _SHORTEST_LINE:  # shorter ones would meet innocent text
            found |= _encoded(secret.encode("utf-8", "surrogatepass"))
            found |= {secret.encode(name, "surrogatepass") for name in ("utf-16-le", "utf-16-be")}
    return {text for text in found if text}


def _encoded(data: bytes) -> set[bytes]:
    """Return data in hexadecimal and in base64, also as it looks inside a longer base64 text."""
    found = {data.hex().encode(), data.hex().upper().encode()}
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + data)
        # The first and the last digits also depend on what stands before and behind.
        first = -(-offset * 8 // 6)
        last = (offset + len(data)) * 8 // 6
        found |= {text[first:last], text[first:last].translate(bytes.maketrans(b"+/", b"-_"))}
    return found
