"""Keep secret values out of a stream of bytes, also where a value is split over two reads.

Masks the value itself and the spellings in which programs usually print it: inside JSON, inside a URL, and line by line.
A value that a program encodes or cuts in another way cannot be found; the guides say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import quote

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
    texts: set[str] = set()
    for secret in secrets:
        texts |= {
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            quote(secret, safe=""),
        }
        texts |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
    return {text.encode("utf-8", "surrogatepass") for text in texts if text}
