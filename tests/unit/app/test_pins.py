"""Pins are written from many threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlplan.app.compose import LockPins


def test_pins_of_many_contracts_at_once(tmp_path: Path) -> None:
    """A project's contracts are pinned, and later dropped, at the same moment: none is lost, and nothing falls over."""
    pins = LockPins(tmp_path)
    addresses = [f"data_contract.c{number}" for number in range(40)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda a: pins.put(a, {"snapshot": a}), addresses))
    assert all(LockPins(tmp_path).get(a) == {"snapshot": a} for a in addresses)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(pins.drop, addresses[1:]))
    assert LockPins(tmp_path).get(addresses[0]) is not None
    assert LockPins(tmp_path).get(addresses[5]) is None
