"""Files that are broken or made to hurt: a clear reason, and never a row less without a word."""

from __future__ import annotations

import gzip
import struct
from typing import Any

import pytest
import zstandard

from mlplan.data.csv_files import LONGEST_LINE

TWO = {"a": "string", "b": "string"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1,2\n3\n", "line 3 has 1 values and the header names 2 columns"),
        (b"a,b\n1,2,3\n", "line 2 has 3 values"),
        (b'a,b\n1,2\n3,"abc\n4,5\n', "line 3 has a quote that is never closed"),
        (b'a,b\n1,"x"y\n', "line 2 has a quote"),
        ("a,b\n1,ü\n".encode("latin-1"), "line 2 is not text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"a,a\n1,2\n", "names a column twice: a"),
        (b"a,A\n1,2\n", "upper and lower case are not told apart"),
        (b"report\na,b\n1,2\n", "the header names 1 columns"),
        (b"PAR1xxxx", "a Parquet file"),
        (b"a\0,b\n1,2\n", "zero byte"),
    ],
)
def test_broken_csv(folder: Any, content: bytes, said: str) -> None:
    folder.write("d.csv", content)
    assert said in folder.unreadable("d.csv", TWO)


def test_a_column_without_a_name_is_called_by_its_place(folder: Any) -> None:
    folder.write("d.csv", '"","a"\n"1",2\n')
    report = folder.check("d.csv", {"column_1": {"type": "int"}, "a": {"type": "int"}})
    assert report.rows == 1
    assert not [e for e in report.evidence if e.blocks]


def test_nothing_that_looks_like_a_comment_is_left_out(folder: Any) -> None:
    folder.write("d.csv", "a,b\n#1,2\n\n3,4\n")
    assert folder.check("d.csv", TWO).rows == 2


@pytest.mark.parametrize("tail", [b"", b"\n", b"\n3,4\n"])
@pytest.mark.parametrize("times", [1.1, 2.5])
def test_a_line_that_is_too_long_is_never_dropped(folder: Any, times: float, tail: bytes) -> None:
    folder.write("d.csv", b"a,b\n1,2\n" + b"x" * int(times * LONGEST_LINE) + b",9" + tail)
    assert "line" in folder.unreadable("d.csv", TWO)


def test_files_packed_by_zstandard_are_read_and_their_long_lines_refused(folder: Any) -> None:
    folder.write("d.csv.zst", zstandard.compress(b"a,b\n1,2\n3,4\n"))
    assert folder.check("d.csv.zst", TWO).rows == 2
    folder.write("d.csv.zst", zstandard.compress(b"a,b\n" + b"0" * 30 * 2**20))
    assert "a line longer than 4 MiB" in folder.unreadable("d.csv.zst", TWO)
    packed = zstandard.compress(b"a,b\n" + b"1,2\n" * 100_000)
    folder.write("d.csv.zst", packed[: len(packed) // 2])
    assert "d.csv.zst" in folder.unreadable("d.csv.zst", TWO)


def test_a_long_line_that_never_ends_inside_of_a_small_gzip_file(folder: Any) -> None:
    folder.write("d.csv.gz", gzip.compress(b"a,b\n" + b"0" * 30 * 2**20, 1))
    assert "a line longer than 4 MiB" in folder.unreadable("d.csv.gz", TWO)


@pytest.mark.parametrize("name", ["d.csv.gz", "d.csv.zst", "d.json.gz"])
def test_what_is_not_compressed_as_its_name_says(folder: Any, name: str) -> None:
    folder.write(name, b"a,b\n1,2\n")
    assert name in folder.unreadable(name, TWO)


def test_a_gzip_file_that_was_cut_off(folder: Any) -> None:
    folder.write("d.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)[:-30])
    assert "d.csv.gz" in folder.unreadable("d.csv.gz", TWO)


def test_a_gzip_file_whose_checksum_is_wrong(folder: Any) -> None:
    data = bytearray(gzip.compress(b"a,b\n" + b"1,2\n" * 1_000))
    data[-6] ^= 1
    folder.write("d.csv.gz", bytes(data))
    assert "CRC check failed" in folder.unreadable("d.csv.gz", TWO)


@pytest.mark.parametrize("length", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_parquet_footer_that_lies_about_its_length(folder: Any, length: int) -> None:
    good = folder.write("d.parquet", {"a": ["1"], "b": ["2"]}).read_bytes()
    folder.write("d.parquet", good[:-8] + struct.pack("<I", length) + b"PAR1")
    assert "d.parquet" in folder.unreadable("d.parquet", TWO)


@pytest.mark.parametrize("content", [b"hello", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_parquet(folder: Any, content: bytes) -> None:
    folder.write("d.parquet", content)
    assert "d.parquet" in folder.unreadable("d.parquet", TWO)


@pytest.mark.parametrize("content", ['{"a":1}\n{"a":\n', "1\n2\n", '{"a":' + "[" * 5_000 + "]" * 5_000 + "}\n"])
def test_broken_json(folder: Any, content: str) -> None:
    folder.write("d.jsonl", content)
    assert "d.jsonl" in folder.unreadable("d.jsonl", {"a": "int"})


def test_control_characters_are_shown_and_not_sent_to_a_terminal(folder: Any) -> None:
    folder.write("d.csv", "a,b\n1,\x1b[31mred\u202e\n2,=cmd()\n")
    (failure,) = folder.fails("d.csv", {"a": "int", "b": {"type": "string", "matches": "^[a-z]+$"}}).values()
    assert "\x1b" not in str(failure.to_json())
    assert "\\u001b[31mred\\u202e" in failure.message


def test_two_thousand_columns(folder: Any) -> None:
    names = [f"c{i}" for i in range(2_000)]
    folder.write("d.csv", ",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    assert folder.fails("d.csv", dict.fromkeys(names, "int")) == {}
