"""Seal what a training job left into a content-addressed folder.

Which version it becomes, and whether it is good, is decided elsewhere.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mlplan.artifact import manifest as layout
from mlplan.artifact import probe
from mlplan.artifact.card import model_card
from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.flavor import TASKS, Flavor, ModelInfo, Predictor, Task, flavor_named, flavor_names
from mlplan.artifact.manifest import Manifest, canonical, read_document, sha256_of
from mlplan.artifact.schema import RequestSchema
from mlplan.artifact.skops_file import unsafe_kind
from mlplan.artifact.versions import require_same

MODEL_DOCUMENT = "model.json"
_TEMPORARY = ".sealing-"
_ABANDONED = 86_400.0
"""Seconds after which a folder that is being built is nobody's."""


@dataclass(frozen=True)
class SealRequest:
    """What to seal.

    output: the job's output folder. store: the artifact store. model: its address. schema: request schema, without the
    label. probe: rows of plain values that keep the contract. card: heading -> text. trust: types allowed by the user's
    configuration. lock: text of the environment's lock file.
    """

    output: Path
    store: Path
    model: str
    task: str
    schema: RequestSchema
    probe: Sequence[Mapping[str, Any]]
    card: Mapping[str, Any] = field(default_factory=dict)
    trust: Sequence[str] = ()
    lock: str = ""


@dataclass(frozen=True)
class Artifact:
    """A sealed artifact. digest: "sha256:…". Units: `size` bytes."""

    digest: str
    path: Path
    size: int
    manifest: Manifest


def seal(request: SealRequest) -> Artifact:
    """Build, verify and store an artifact; the same content gives the same digest and is stored once.

    Raises: ArtifactError `no-model`, `unsafe-model-file`, `not-a-model`, `untrusted-types`, `unreadable-model`,
    `unknown-feature`, `model-failed`, `wrong-classes`, `bad-probe`, `version-mismatch`, `unknown-task`.
    """
    if request.task not in TASKS:
        raise ArtifactError(
            "unknown-task", "Unknown task", f'The task "{request.task}" is not one of {", ".join(TASKS)}.'
        )
    if not 1 <= len(request.probe) <= probe.MAX_ROWS:
        raise ArtifactError(
            "bad-probe",
            "The probe set cannot be used",
            f"It has {len(request.probe)} rows; 1 to {probe.MAX_ROWS} are used.",
        )
    request.store.mkdir(parents=True, exist_ok=True)
    _sweep(request.store)
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=request.store))
    try:
        manifest = _build(request, temporary)
        return _store(request.store, temporary, manifest)
    finally:
        if temporary.exists():
            remove(temporary)


def keep_sealed(folder: Path, store: Path) -> Artifact:
    """Copy a sealed folder from elsewhere into a store, and verify the copy. Raises: ArtifactError `not-an-artifact`."""
    store.mkdir(parents=True, exist_ok=True)
    manifest = layout.read_manifest(folder)
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=store))
    try:
        shutil.copytree(folder, temporary, symlinks=True, dirs_exist_ok=True, copy_function=shutil.copyfile)
        for root, _, _ in os.walk(temporary):
            Path(root).chmod(0o755)  # sealed folders are read-only, and this one has to be moved
        problems = layout.verify(temporary, "sha256:" + sha256_of(folder / layout.MANIFEST))
        if problems:
            raise ArtifactError(
                "not-an-artifact", "This folder is not a sealed artifact", f"{folder}: {'; '.join(problems[:3])}"
            )
        return _store(store, temporary, manifest)
    finally:
        if temporary.exists():
            remove(temporary)


def _sweep(store: Path) -> None:
    """Delete what killed processes left; young folders may belong to a process that is sealing now."""
    for folder in store.glob(f"{_TEMPORARY}*"):
        if time.time() - folder.stat().st_mtime > _ABANDONED:
            remove(folder)


def _build(request: SealRequest, folder: Path) -> Manifest:
    document = _model_document(request.output)
    source, flavor = _find_model(request.output, document)
    content = _normalise(flavor, source, folder / flavor.file)
    features = tuple(document.get("features") or request.schema.names)
    info = ModelInfo(
        flavor.name, flavor.file, cast("Task", request.task), features, tuple(document.get("classes") or ())
    )
    require_same(document.get("versions", {}), flavor.requirements())
    predictor = flavor.load(folder / flavor.file, info, request.trust)
    schema = request.schema.for_features(predictor.info.features)
    expected = probe.answer(predictor, schema, request.probe)
    info = _checked(predictor, expected)
    (folder / "env").mkdir()
    texts = {
        layout.CONTRACT: canonical(schema.to_json()),
        layout.PROBE: canonical({"rows": [dict(row) for row in request.probe], "expected": expected}),
        layout.VERSIONS: canonical(document.get("versions", {})),
        layout.CARD: model_card(request.model, info, schema, request.card).encode(),
        **({layout.LOCK: request.lock.encode()} if request.lock else {}),
    }
    for relative, text in texts.items():
        (folder / relative).write_bytes(text)
    files = {
        relative: {"sha256": sha256_of(folder / relative), "size": (folder / relative).stat().st_size}
        for relative in sorted([flavor.file, *texts])
    }
    manifest = Manifest(request.model, info, files, content, probe.prediction_digest(expected))
    (folder / layout.MANIFEST).write_bytes(canonical(manifest.to_json()))
    return manifest


def _model_document(output: Path) -> dict[str, Any]:
    """Return what `mlplan.job` wrote beside the model; empty for a plain script that wrote only a model file."""
    path = output / MODEL_DOCUMENT
    return read_document(path) if path.is_file() else {}


def _find_model(output: Path, document: Mapping[str, Any]) -> tuple[Path, Flavor]:
    """Return the model file and its flavor, by content."""
    named = document.get("file")
    candidates = [output / Path(named).name] if isinstance(named, str) else sorted(output.glob("model.*"))
    candidates = [
        path for path in candidates if path.is_file() and not path.is_symlink() and path.name != MODEL_DOCUMENT
    ]
    for path in candidates:
        for name in flavor_names():
            flavor = flavor_named(name)
            if flavor.recognises(path):
                return path, flavor
    for path in candidates:
        kind = unsafe_kind(path)
        if kind is not None:
            raise ArtifactError(
                "unsafe-model-file",
                "This kind of model file can run code when it is opened",
                f"{path.name} is {kind}. Such files are refused whatever their name. Save the model with "
                "`mlplan.job.load().save(model)`, which writes a file that holds data only.",
            )
    found = ", ".join(path.name for path in candidates) or "no file named model.*"
    raise ArtifactError(
        "no-model",
        "The training job left no model",
        f"The output folder has {found}, and no model of a known kind ({', '.join(flavor_names())}). The training "
        "script must call "
        "`mlplan.job.load().save(model)`, or write a model file into the folder that MLPLAN_OUTPUT names.",
    )


def _normalise(flavor: Flavor, source: Path, target: Path) -> str:
    try:
        return flavor.normalise(source, target)
    except ArtifactError:
        raise
    except Exception as error:  # a damaged file makes the container's reader raise anything
        raise ArtifactError(
            "unreadable-model",
            "The model file cannot be read",
            f"{source.name} is damaged: {type(error).__name__}: {str(error)[:300]}",
        ) from error


def _checked(predictor: Predictor, expected: Mapping[str, Sequence[Any]]) -> ModelInfo:
    """Return the model's info after its answers to the probe were found usable."""
    info = predictor.info
    if info.task == "binary_classification" and len(info.classes) != 2:
        raise ArtifactError(
            "wrong-classes",
            "The model's classes do not fit its task",
            f"The task is binary classification, but the model knows {len(info.classes)} classes: "
            f"{list(info.classes)[:10]}. Give a "
            "classifier fitted on two classes, or correct `task`.",
        )
    for name, values in expected.items():
        flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
        if any(isinstance(item, float) and item - item != 0 for item in flat):  # NaN or infinite
            raise ArtifactError(
                "model-failed",
                "The model fails on rows of its own data",
                f"Its {name} is not a finite number for some of the probe rows.",
            )
    return info


def _store(store: Path, temporary: Path, manifest: Manifest) -> Artifact:
    """Move the folder to its place, durably, and make it read-only."""
    digest = "sha256:" + sha256_of(temporary / layout.MANIFEST)
    name = digest.removeprefix("sha256:")
    target = store / name[:2] / name
    target.parent.mkdir(exist_ok=True)
    if target.exists() and layout.verify(target, digest):
        remove(target)  # damaged since it was sealed: these are the right bytes
    if not target.exists():
        _sync(temporary)
        try:
            temporary.rename(target)
        except OSError:
            if layout.verify(target, digest):  # not another process that sealed the same content first
                raise
        _sync_folder(target.parent)
    _make_read_only(target)
    return Artifact(digest, target, manifest.size + (target / layout.MANIFEST).stat().st_size, manifest)


def _sync(folder: Path) -> None:
    for root, _, files in os.walk(folder):
        for name in files:
            with Path(root, name).open("rb") as file:
                os.fsync(file.fileno())
        _sync_folder(Path(root))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_read_only(folder: Path) -> None:
    for root, _, files in os.walk(folder):
        for name in files:
            Path(root, name).chmod(0o444)
        Path(root).chmod(0o555)


def remove(folder: Path) -> None:
    """Delete a sealed folder, which is read-only."""
    for root, _, _ in os.walk(folder):
        Path(root).chmod(0o755)
    shutil.rmtree(folder)
