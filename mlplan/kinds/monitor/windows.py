"""Windows over counters that only grow: what was counted at earlier looks is remembered in the cache folder, and taken off.

A cache that is lost costs precision, never correctness: the window is longer then, at most as old as the counters.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from mlplan.spi.capabilities import Histogram, VersionCounters

KEPT = 100


def window_of(path: Path, counters: VersionCounters, now: float, length: float) -> VersionCounters:
    """Return what was counted since the newest look that is at least `length` seconds old; everything when there is none.

    Remembers this look. Units: `now` seconds since the epoch.
    """
    looks = _read(path)
    _write(path, [*looks, _look(counters, now)][-KEPT:])
    same = [
        look
        for look in looks
        if look["epoch"] == counters.epoch and len(look["counts"]) == len(counters.latency.counts)
    ]
    past = [look for look in same if look["at"] <= now - length]
    return _since(counters, past[-1]) if past else counters


def _look(counters: VersionCounters, now: float) -> dict[str, Any]:
    return {
        "at": now,
        "epoch": counters.epoch,
        "requests": counters.requests,
        "errors": counters.errors,
        "counts": list(counters.latency.counts),
        "total": counters.latency.total,
    }


def _since(counters: VersionCounters, look: Mapping[str, Any]) -> VersionCounters:
    latency = counters.latency
    counts = tuple(max(new - old, 0) for new, old in zip(latency.counts, look["counts"], strict=True))
    return replace(
        counters,
        requests=max(counters.requests - look["requests"], 0),
        errors=max(counters.errors - look["errors"], 0),
        latency=Histogram(latency.edges, counts, max(latency.total - look["total"], 0)),
    )


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return []  # a cache may be damaged at will
    return [look for look in found if isinstance(look, dict)] if isinstance(found, list) else []


def _write(path: Path, looks: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(orjson.dumps(looks))
    temporary.replace(path)
