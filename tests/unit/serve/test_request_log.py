"""The prediction log."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from mlplan.serve.request_log import Entry, RequestLog


def entry(request_id: str = "r", rows: int = 1) -> Entry:
    return Entry(1.5, request_id, {"a": list(range(rows)), "secret": ["s"] * rows}, {"prediction": [True] * rows}, rows)


def written(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def test_one_line_a_row_with_the_given_columns_only(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "new", "v3", ["a"])
    log.start()
    log.add(entry(rows=2))
    log.close()
    assert written(tmp_path / "new") == [
        {"at": 1.5, "request_id": "r", "version": "v3", "inputs": {"a": row}, "outputs": {"prediction": True}}
        for row in (0, 1)
    ]


def test_files_are_rotated_by_size_under_final_names(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, "v3", ["a"], rotate_bytes=1000)
    log.start()
    for number in range(1200):
        log.add(entry(f"r{number}"))
    log.close()
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) >= 3
    assert all(name.startswith("v3-") and name.endswith(".jsonl") for name in names)
    assert sorted(line["request_id"] for line in written(tmp_path)) == sorted(f"r{number}" for number in range(1200))


def test_files_are_rotated_by_age(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, "v3", ["a"], rotate_seconds=0.0)
    log.start()
    log.add(entry())
    until = time.monotonic() + 5
    while not list(tmp_path.glob("v3-*.jsonl")) and time.monotonic() < until:
        time.sleep(0.02)
    assert len(list(tmp_path.glob("v3-*.jsonl"))) == 1
    log.close()


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    dropped: list[int] = []
    log = RequestLog(tmp_path, "v3", ["a"], capacity=3, on_drop=dropped.append)
    for _ in range(5):
        log.add(entry())
    assert sum(dropped) == 2
    log.start()
    log.close()
    assert len(written(tmp_path)) == 3


def test_a_disk_that_refuses_drops_and_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dropped: list[int] = []
    log = RequestLog(tmp_path / "log", "v3", ["a"], on_drop=dropped.append)
    log.start()
    (tmp_path / "log").rmdir()
    for _ in range(3):
        log.add(entry())
    log.close()
    assert sum(dropped) == 3
    assert caplog.text.count("cannot be written") == 1


def test_sampling_is_by_the_request_and_about_right(tmp_path: Path) -> None:
    kept = []
    for attempt in range(2):
        log = RequestLog(tmp_path / str(attempt), "v3", ["a"], sample=0.25)
        log.start()
        for number in range(4000):
            log.add(entry(f"request-{number}"))
        log.close()
        kept.append({line["request_id"] for line in written(tmp_path / str(attempt))})
    assert kept[0] == kept[1]
    assert 0.2 < len(kept[0]) / 4000 < 0.3


def test_nothing_is_logged_at_sample_zero(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, "v3", ["a"], sample=0.0)
    log.start()
    log.add(entry())
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_half_a_line_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[int] = []
    log = RequestLog(tmp_path, "v3", ["a"], on_drop=dropped.append)
    log._append(b'{"request_id": "first"}\n')
    real = log._file
    assert real is not None

    class Short:
        """Writes half of what it gets, as a full disk does."""

        truncate, close = real.truncate, real.close

        def write(self, data: bytes) -> int:
            return real.write(data[: len(data) // 2])

    log._file = Short()  # type: ignore[assignment]
    log.add(entry("lost"))
    log._write()
    log._file = real
    log.add(entry("last"))
    log._write()
    assert dropped == [1]
    assert [line["request_id"] for line in written(tmp_path)] == ["first", "last"]
    real.close()


def test_a_value_that_cannot_be_written_does_not_end_the_log(tmp_path: Path) -> None:
    dropped: list[int] = []
    log = RequestLog(tmp_path, "v3", ["a"], on_drop=dropped.append)
    log.start()
    log.add(Entry(1.0, "bad", {"a": [object()]}, {}, 1))
    time.sleep(0.3)
    log.add(entry("good"))
    log.close()
    assert dropped == [1]
    assert [line["request_id"] for line in written(tmp_path)] == ["good"]
