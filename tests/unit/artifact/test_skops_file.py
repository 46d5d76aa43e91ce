"""Rewriting skops files: addresses and times go, meaning stays."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io

from mlplan.artifact import skops_file
from mlplan.artifact.errors import ArtifactError


def rewritten(value: Any, folder: Path, name: str = "a") -> tuple[Path, str]:
    source, target = folder / f"{name}.raw", folder / f"{name}.skops"
    skops.io.dump(value, source)
    return target, skops_file.rewrite(source, target)


def test_the_value_survives(tmp_path: Path) -> None:
    shared = np.arange(3.0)
    value = {"a": shared, "b": [shared, {"x", "y"}, b"bytes", (1, None)], "c": np.float64(2.5)}
    path, _ = rewritten(value, tmp_path)
    back = skops.io.load(path)
    assert back["b"][1:] == value["b"][1:]
    assert back["a"] is back["b"][0], "shared objects stay shared"
    np.testing.assert_array_equal(back["a"], shared)


def test_equal_values_are_equal_bytes_whatever_the_order_of_sets(tmp_path: Path) -> None:
    first, one = rewritten({"s": {"alpha", "beta", "gamma"}, "a": np.ones(4)}, tmp_path, "a")
    # the same set, filled in another order with collisions removed, and other objects at other addresses
    other = {"s": {"delta", "gamma", "beta", "alpha"} - {"delta"}, "a": np.ones(4)}
    second, two = rewritten(other, tmp_path, "b")
    assert one == two
    assert first.read_bytes() == second.read_bytes()


def test_rewriting_twice_changes_nothing(tmp_path: Path) -> None:
    path, digest = rewritten([np.ones(2), "x"], tmp_path)
    assert skops_file.rewrite(path, tmp_path / "again") == digest
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_the_content_digest_does_not_depend_on_compression(tmp_path: Path) -> None:
    path, digest = rewritten(np.zeros(1000), tmp_path)
    packed = tmp_path / "packed"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert skops_file.rewrite(packed, tmp_path / "again") == digest


def test_another_number_is_another_digest(tmp_path: Path) -> None:
    assert (
        rewritten(np.array([1.0, 2.0]), tmp_path, "a")[1] != rewritten(np.array([1.0, 2.0 + 1e-15]), tmp_path, "b")[1]
    )


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skops_file, "MAX_UNPACKED", 2**20)
    bomb = tmp_path / "bomb"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        archive.writestr("zeros.npy", b"\0" * 2**22)
    assert bomb.stat().st_size < 2**14
    with pytest.raises(ArtifactError) as caught:
        skops_file.rewrite(bomb, tmp_path / "out")
    assert caught.value.code == "model-too-large"


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06" + b"\0" * 18])
def test_other_files_are_neither_skops_nor_dangerous(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert not skops_file.is_skops(path)
    assert skops_file.unsafe_kind(path) is None
