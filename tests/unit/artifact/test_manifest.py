"""Verification: any change to a sealed folder is seen, and an altered artifact is never loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.manifest import canonical, verify
from mlplan.artifact.open import open_artifact


@pytest.fixture
def copy(sealed: Any, tmp_path: Path) -> Path:
    """Return a writable copy under its own name."""
    target = tmp_path / sealed.path.name
    shutil.copytree(sealed.path, target)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def forge(folder: Path) -> None:
    """Change the model and its manifest entry together."""
    from mlplan.artifact.manifest import sha256_of

    flip(folder / "model.skops")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.skops"]["sha256"] = sha256_of(folder / "model.skops")
    (folder / "manifest.json").write_bytes(canonical(manifest))


CHANGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a bit of the model": (lambda f: flip(f / "model.skops"), "model.skops was altered"),
    "a missing file": (lambda f: (f / "probe.json").unlink(), "probe.json is missing"),
    "an added file": (lambda f: (f / "env" / "x.py").write_text("x"), "env/x.py was added"),
    "an added folder": (lambda f: (f / "extra").mkdir(), "extra/ was added"),
    "a link": (lambda f: (f / "link").symlink_to("/etc/passwd"), "link is a link"),
    "the model and the manifest": (forge, "manifest.json was altered"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "cannot be read"),
    "a manifest of something else": (lambda f: (f / "manifest.json").write_text('{"files": 3}'), "not one of ours"),
    "an endless manifest": (lambda f: (f / "manifest.json").write_text("[" * 200_000), "cannot be read"),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_every_change_is_seen_and_refused(copy: Path, change: str) -> None:
    assert verify(copy) == []
    apply, said = CHANGES[change]
    apply(copy)
    assert said in " ".join(verify(copy))
    with pytest.raises(ArtifactError) as caught:
        open_artifact(copy)
    assert caught.value.code == "artifact-altered"


def test_a_copy_under_another_name_is_held_to_the_digest_it_is_given(sealed: Any, copy: Path) -> None:
    other = copy.rename(copy.parent / "model")
    assert verify(other) == []
    assert verify(other, sealed.digest) == []
    assert "should be sha256:" in verify(other, "sha256:" + "0" * 64)[0]


def test_a_link_to_the_folder_is_not_the_folder(copy: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(copy)
    assert verify(link) == [f"{link} is not a folder."]


def test_answers_other_than_the_sealed_ones_are_refused(sealed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_artifact(sealed.path)
    opened.check_probe()
    right = opened.predictor.predict
    monkeypatch.setattr(
        opened.predictor, "predict", lambda frame: {**right(frame), "score": right(frame)["score"] + 1e-5}
    )
    with pytest.raises(ArtifactError, match="should be") as caught:
        opened.check_probe()
    assert caught.value.code == "probe-mismatch"
