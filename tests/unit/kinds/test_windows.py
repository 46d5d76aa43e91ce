"""Windows over counters that only grow."""

from __future__ import annotations

from pathlib import Path

from mlplan.kinds.monitor.windows import window_of
from mlplan.spi.capabilities import Histogram, VersionCounters


def _counted(requests: int, errors: int, epoch: str = "a") -> VersionCounters:
    return VersionCounters("v1", epoch, requests, errors, Histogram((10.0,), (requests - errors,), requests))


def test_an_old_burst_leaves_the_window(tmp_path: Path) -> None:
    path = tmp_path / "watches" / "u.json"
    assert window_of(path, _counted(100, 50), 1000.0, 60.0).errors == 50  # nothing older: all there is
    assert window_of(path, _counted(150, 50), 1030.0, 60.0).errors == 50  # the look before is not a window away
    found = window_of(path, _counted(400, 51), 1070.0, 60.0)
    assert (found.requests, found.errors) == (300, 1)
    assert (found.latency.counts, found.latency.total) == ((299,), 300)


def test_counters_that_began_again(tmp_path: Path) -> None:
    path = tmp_path / "u.json"
    window_of(path, _counted(100, 50), 1000.0, 60.0)
    found = window_of(path, _counted(10, 1, epoch="b"), 2000.0, 60.0)
    assert (found.requests, found.errors) == (10, 1)


def test_a_damaged_cache_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "u.json"
    path.write_bytes(b'{"at": ')
    assert window_of(path, _counted(5, 0), 1000.0, 60.0).requests == 5
    path.write_bytes(b"[1, 2]")
    assert window_of(path, _counted(5, 0), 1000.0, 60.0).requests == 5
