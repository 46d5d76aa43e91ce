"""CSV headers, read here and not guessed by the engine: which columns each file has, and whether its first bytes are text.

The dialect is RFC 4180 in UTF-8 with a header. Nothing is skipped: a guess that leaves out a line would lose rows silently.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, cast

from mlplan.data.failure import QueryFailed

LONGEST_LINE = 4 * 2**20
"""Bytes of the longest line that is read."""

_LONGEST_HEADER = LONGEST_LINE
_CHUNK = 2**20
_ZSTD_CHUNK = 1024
"""Packed bytes a step: a kilobyte unpacks to 32 MiB at most."""
_MOST_COLUMNS = 20_000
_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32"}
_MAGICS = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip archive or spreadsheet",
    b"\x89PNG": "an image",
    b"%PDF": "a PDF",
}

Headers = Mapping[tuple[str, ...], Sequence[Path]]
"""Column names in their order -> the files that have them, in order."""


def delimiter(path: Path) -> str:
    """Return what separates values: a tab in .tsv files, otherwise a comma."""
    return "\t" if ".tsv" in path.name.lower() else ","


def headers_of(paths: Sequence[Path]) -> Headers:
    """Return the headers of files. Raises QueryFailed (kind "read") naming the file that has no usable one."""
    found: dict[tuple[str, ...], list[Path]] = {}
    for path in paths:
        try:
            found.setdefault(_header(path), []).append(path)
        except (OSError, EOFError, zlib.error) as error:
            raise QueryFailed("read", f"the file cannot be read: {error}", path) from error
        except ValueError as error:
            raise QueryFailed("read", str(error), path) from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # not imported where no file is packed so
                raise
            raise QueryFailed("read", f"the file cannot be read: {error}", path) from error
    return found


def column_names(header: Sequence[str]) -> list[str]:
    """Return what the columns of a header are called: without spaces around; one without a name, as the row numbers that
    R and pandas write, is `column_N`, counted from 1.
    """
    return [name.strip() or f"column_{place}" for place, name in enumerate(header, 1)]


def is_compressed(path: Path) -> bool:
    """Tell whether a file's name says that it is compressed."""
    return path.suffix.lower() in (".gz", ".zst")


def _check_end(path: Path) -> None:
    """Refuse a last line that is too long: reading in parallel, the engine leaves it out without a word.
    A compressed file is read through for it, which also proves its checksum, to which the engine does not look.
    """
    if is_compressed(path):
        _check_lines(path)
        return
    size = path.stat().st_size
    if size <= LONGEST_LINE:
        return
    with path.open("rb") as file:
        file.seek(max(0, size - LONGEST_LINE - 3))
        end = file.read().rstrip(b"\r\n")
        if len(end) > LONGEST_LINE and b"\n" not in end and b"\r" not in end:
            raise ValueError(f"its last line is longer than {LONGEST_LINE // 2**20} MiB; such a line is not read.")


def _opened(path: Path) -> IO[bytes]:
    """Return the text of a file as bytes, unpacked as its name says."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path))
    if suffix == ".zst":
        import zstandard

        return io.BufferedReader(cast("io.RawIOBase", zstandard.open(path, "rb")))
    return path.open("rb")


def _check_lines(path: Path) -> None:
    length = 0
    with _opened(path) as file:
        for chunk in _zstd_chunks(path) if path.suffix.lower() == ".zst" else iter(partial(file.read, _CHUNK), b""):
            first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
            length = length + len(chunk) if first < 0 else max(length + first, len(chunk) - last - 1)
            if length > LONGEST_LINE:
                raise ValueError(f"it has a line longer than {LONGEST_LINE // 2**20} MiB; such a line is not read.")
            length = length if first < 0 else len(chunk) - last - 1


def _zstd_chunks(path: Path) -> Iterator[bytes]:
    """Yield the text of a file packed by zstandard, a little at a time. Raises ValueError when its end is missing."""
    import zstandard

    unpacker = zstandard.ZstdDecompressor()
    frame = unpacker.decompressobj()
    with path.open("rb") as file:
        while packed := file.read(_ZSTD_CHUNK):
            while packed:
                if frame.eof:
                    frame = unpacker.decompressobj()
                if text := frame.decompress(packed):
                    yield text
                packed = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise ValueError("its end is missing: it was cut off.")


def _header(path: Path) -> tuple[str, ...]:
    text = _first_text(path)
    _check_end(path)
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter(path), strict=True), None)
    except csv.Error as error:
        raise ValueError(f"its header cannot be read: {error}.") from error
    if not names:
        raise ValueError("it begins with an empty line instead of a header with the names of its columns.")
    names = column_names(names)
    if len(names) > _MOST_COLUMNS:
        raise ValueError(f"its header has {len(names):,} columns; at most {_MOST_COLUMNS:,} are read.")
    lower = [name.lower() for name in names]
    twice = sorted({name for name in names if lower.count(name.lower()) > 1}) if len(set(lower)) < len(lower) else []
    if twice:
        raise ValueError(
            f"its header names a column twice: {', '.join(twice[:5])}. Give every column its own name; upper and lower case are not told apart."
        )
    return tuple(names)


def _first_text(path: Path) -> str:
    """Return the file's beginning with the whole header in it. Raises ValueError when it is no UTF-8 text."""
    with _opened(path) as file:
        data = file.readline(_LONGEST_HEADER)
        while data.count(b'"') % 2 and len(data) < _LONGEST_HEADER and (more := file.readline(_LONGEST_HEADER)):
            data += more  # a name in quotes may hold a line break
    for magic, what in (*_BOMS.items(), *_MAGICS.items()):
        if data.startswith(magic):
            raise ValueError(
                f"it is {what}, not text in UTF-8." if magic in _MAGICS else f"it is text in {what}; write it in UTF-8."
            )
    if b"\0" in data:
        raise ValueError("its first line has a zero byte, so it is not text in UTF-8.")
    if len(data) >= _LONGEST_HEADER:
        raise ValueError(f"its first line is longer than {_LONGEST_HEADER // 2**20} MiB, so it is no header.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} of its header is not UTF-8; write the file in UTF-8.") from error
