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


def test_each_workspace_has_its_own_pins(tmp_path: Path) -> None:
    """What one workspace pins, moves or drops changes nothing for the others, also of those that were open meanwhile."""
    default, staging = LockPins(tmp_path), LockPins(tmp_path, "staging")
    default.put("data_contract.a", {"snapshot": "one"})
    staging.put("data_contract.a", {"snapshot": "two"})
    digest = default.digest()
    assert LockPins(tmp_path, "staging").get("data_contract.a") == {"snapshot": "two"}
    staging.move({"data_contract.a": "data_contract.b"})
    assert LockPins(tmp_path, "staging").get("data_contract.b") == {"snapshot": "two"}
    staging.clear()
    assert 'pin "data_contract.a" {' in (tmp_path / "mlplan.lock.hcl").read_text()
    assert LockPins(tmp_path).get("data_contract.a") == {"snapshot": "one"}
    assert LockPins(tmp_path).digest() == digest
    default.drop("data_contract.a")
    assert not (tmp_path / "mlplan.lock.hcl").exists()


def test_a_pin_of_another_workspace_is_written_with_its_name(tmp_path: Path) -> None:
    LockPins(tmp_path, "staging").put("data_contract.a", {"snapshot": "two"})
    assert 'pin "data_contract.a" "staging" {' in (tmp_path / "mlplan.lock.hcl").read_text()
    assert LockPins(tmp_path).get("data_contract.a") is None
