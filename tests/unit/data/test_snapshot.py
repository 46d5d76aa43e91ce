"""Hashes, snapshots and sources: exact bytes under one digest, what changed, and what a source names."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mlplan.data import hashing
from mlplan.data.arrivals import Arrival, column_words, late_words, new_files, small_words
from mlplan.data.hashing import ChangedWhileReading, hash_files
from mlplan.data.snapshot import FileEntry, Snapshot, difference, of_files, take, verify
from mlplan.data.sources import format_of, resolve
from mlplan.lang.diagnostic import DiagnosticError

OLD = 1_600_000_000


def write(path: Path, content: bytes, at: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (at, at))
    return path


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_SETTLED", -3600.0)  # the time of an inode's change cannot be set back in a test


def snapshot(folder: Path, text: str = "data") -> Snapshot:
    source, problems = resolve(text, folder)
    assert source is not None, problems
    return take(source, folder / "cache")


def test_hashes_are_those_of_the_bytes(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}", bytes([n]) * n * 700_000) for n in range(4)]
    expected = [(p.stat().st_size, hashlib.sha256(p.read_bytes()).hexdigest()) for p in paths]
    assert hash_files(paths, None) == expected
    assert hash_files(paths, tmp_path / "c") == expected
    assert hash_files(paths, tmp_path / "c") == expected


def test_the_cache_saves_reading_and_never_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", b"one")
    before = hash_files([path], tmp_path / "c")
    opened: list[Path] = []
    real = Path.open

    def noticed(self: Path, *words: Any, **more: Any) -> Any:
        if self == path and "r" in (words[0] if words else more["mode"]):
            opened.append(self)
        return real(self, *words, **more)

    monkeypatch.setattr(Path, "open", noticed)
    assert hash_files([path], tmp_path / "c") == before
    assert not opened, "an unchanged file is not read"
    write(path, b"two")  # the same size, the same time of change: the inode's own time tells
    after = hash_files([path], tmp_path / "c")
    assert after[0][1] == hashlib.sha256(b"two").hexdigest()
    opened.clear()
    assert hash_files([path], tmp_path / "c", use_cached=False) == after
    assert opened == [path]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"files": {"x": [1]}}', b'{"files": 3}', b"[]"])
def test_a_damaged_cache_is_no_cache(tmp_path: Path, damage: bytes) -> None:
    path = write(tmp_path / "a", b"one")
    expected = hash_files([path], tmp_path / "c")
    (tmp_path / "c" / "hashes.json").write_bytes(damage)
    assert hash_files([path], tmp_path / "c") == expected
    assert str(path) in json.loads((tmp_path / "c" / "hashes.json").read_bytes())["files"]


def test_a_file_written_a_moment_ago_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_SETTLED", 3600.0)
    path = write(tmp_path / "a", b"one")
    hash_files([path], tmp_path / "c")
    assert not (tmp_path / "c" / "hashes.json").exists()


def test_a_file_that_grows_while_it_is_read_is_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "data" / "a.csv", b"x\n1\n")
    counted = iter(range(100))
    monkeypatch.setattr(hashing, "_facts", lambda _: (next(counted), 0, 0, 0))
    with pytest.raises(ChangedWhileReading):
        hash_files([path], None)
    with pytest.raises(DiagnosticError) as error:
        snapshot(tmp_path)
    assert [d.code for d in error.value.diagnostics] == ["snapshot-moving"]


def test_a_digest_says_names_sizes_and_bytes_in_any_order() -> None:
    files = [FileEntry("b", 1, "x"), FileEntry("a", 2, "y")]
    made = of_files("csv", files)
    assert made.digest == of_files("csv", reversed(files)).digest
    assert [f.path for f in made.files] == ["a", "b"]
    others = [
        [FileEntry("b", 1, "x"), FileEntry("c", 2, "y")],
        [FileEntry("b", 1, "z"), FileEntry("a", 2, "y")],
        files[:1],
    ]
    assert len({made.digest, *(of_files("csv", o).digest for o in others)}) == 4
    assert Snapshot.from_json(json.loads(json.dumps(made.with_rows(3).to_json()))) == made.with_rows(3)


def test_verify_names_what_is_not_as_it_was(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / "data" / f"{name}.csv", b"x\n1\n")
    pinned = snapshot(tmp_path)
    assert verify(pinned, tmp_path, tmp_path / "cache") == []
    write(tmp_path / "data" / "a.csv", b"x\n2\n")
    write(tmp_path / "data" / "b.csv", b"x\n22\n")
    (tmp_path / "data" / "c.csv").unlink()
    (problem,) = verify(pinned, tmp_path, tmp_path / "cache")
    assert problem.code == "snapshot-changed"
    for words in (
        '"data/a.csv" has other bytes of the same size',
        '"data/b.csv" has 5 bytes and had 4',
        '"data/c.csv" is gone',
    ):
        assert words in problem.detail


def test_differences_in_words() -> None:
    before = of_files("csv", [FileEntry("a", 10, "1"), FileEntry("b", 10, "1"), FileEntry("c", 10, "1")]).with_rows(30)
    after = of_files(
        "csv", [FileEntry("a", 10, "1"), FileEntry("b", 12, "2"), *(FileEntry(f"n{i}", 1, "3") for i in range(5))]
    )
    found = difference(before, after.with_rows(40))
    assert found.words() == ["5 new files: n0, n1, n2 and 2 more", "1 changed file: b", "1 removed file: c", "+10 rows"]
    assert found.size == -3
    assert not difference(before, before)
    assert difference(before, after).rows is None
    assert difference(None, after).added


def test_new_files_alone() -> None:
    old = [FileEntry("a", 10, "1"), FileEntry("b", 10, "1")]
    before = of_files("csv", old)
    part = new_files(before, of_files("csv", [*old, FileEntry("c", 1, "1")]))
    assert part is not None
    assert [f.path for f in part.files] == ["c"]
    assert new_files(None, before) is None
    assert new_files(before, of_files("csv", [old[0], FileEntry("c", 1, "1")])) is None, "a file went as well"
    assert new_files(before, of_files("csv", [FileEntry("c", 1, "1")])) is None
    assert new_files(before, before) is None


def test_late_small_and_other_columns() -> None:
    found = [Arrival("a", 5, 0.0, 86_400.0), Arrival("b", 7, 0.0, 900_000.0), Arrival("c", 1)]
    assert late_words(found, 800_000.0).startswith(
        "a (5 rows, 1970-01-01 00:00 to 1970-01-02 00:00): all before 1970-01-10"
    )
    assert late_words(found, None) == ""
    old = [FileEntry(n, 1_000, "1") for n in "abc"]
    after = of_files("csv", [*old, FileEntry("d", 100, "1"), FileEntry("e", 900, "1")])
    assert (
        small_words(of_files("csv", old), after)
        == "d (100 bytes): the others have about 1,000; is it written to its end?"
    )
    assert small_words(of_files("csv", old[:2]), of_files("csv", [*old[:2], FileEntry("d", 1, "1")])) == "", (
        "too few to compare"
    )
    words = column_words({"a": "BIGINT", "b": "DOUBLE"}, {"a": "VARCHAR", "c": "DATE"})
    assert words == ["c came (DATE)", "b went", "a BIGINT → VARCHAR"]


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.parquet", "parquet"),
        ("A.CSV.GZ", "csv"),
        ("a.tsv.zst", "csv"),
        ("a.ndjson", "json"),
        ("a.txt", None),
        ("csv", None),
    ],
)
def test_formats_by_name(name: str, format: str | None) -> None:
    assert format_of(name) == format


def codes(folder: Path, text: str, format: str | None = None) -> list[str]:
    source, problems = resolve(text, folder, format, "data_contract.d")
    assert (source is None) == bool(problems)
    assert all(p.address == "data_contract.d" for p in problems)
    return [p.code for p in problems]


def test_what_a_source_names(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "deep/c.csv", "_SUCCESS", ".hidden.csv", "notes.txt"):
        write(tmp_path / "data" / name, b"x\n1\n")
    source, _ = resolve("data", tmp_path)
    assert source is not None
    assert [p.name for p in source.files] == ["a.csv", "b.csv", "c.csv"]
    source, _ = resolve("data/*.csv", tmp_path)
    assert source is not None
    assert [p.name for p in source.files] == ["a.csv", "b.csv"]
    assert codes(tmp_path, "data/notes.txt") == ["source-format"]
    assert codes(tmp_path, "data/notes.txt", "csv") == []


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path / "data" / "a.csv", b"")
    write(tmp_path / "mixed" / "a.csv", b"x\n")
    write(tmp_path / "mixed" / "b.parquet", b"PAR1")
    write(tmp_path / "odd" / "a[1].csv", b"x\n")
    os.mkfifo(tmp_path / "pipe.csv")
    assert codes(tmp_path, "data") == ["source-empty"]
    assert codes(tmp_path, "mixed") == ["source-format"]
    assert codes(tmp_path, "odd") == ["source-unreadable"]
    assert codes(tmp_path, "pipe.csv") == ["source-unreadable"]
    assert codes(tmp_path, "nothing/*.csv") == ["source-not-found"]
    assert codes(tmp_path, "gopher://x/y") == ["source-not-supported"]
    assert codes(tmp_path, "a\0b") == ["source-not-supported"]
