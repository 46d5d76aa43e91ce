"""What the id of an import means for a model: a sealed artifact, a model of an MLflow store, or a model file. Reads, opens no model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mlplan.kinds.model import mlflow_files
from mlplan.kinds.services import Services
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

FORMS = """\
    sha256:DIGEST                       an artifact in the store of this project
    FOLDER                              a sealed artifact (with manifest.json), or a folder that MLflow or training wrote
    FILE                                a model file (skops, or a pickle of scikit-learn)
    models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN/PATH
                                        in the MLflow store mlruns; another: mlflow:STORE#models:/NAME/VERSION
    mlflow:FOLDER                       a folder with an MLmodel file, or of a registered version
Any of them may end in #v7, the number of the version."""
_NUMBER = re.compile(r"(?P<id>.+)#v(?P<number>[1-9]\d{0,8})")
_URI = re.compile(r"(models|runs):/")


@dataclass(frozen=True)
class Source:
    """Where a model comes from. form: how it is read. path: folder of a sealed artifact, else the model file.

    digest: of what is there now, so that an apply takes what the plan saw.
    """

    form: Literal["sealed", "file"]
    path: Path
    digest: str
    number: int | None = None
    features: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    made: str | None = None


def source_of(identity: str, address: str, root: Path, services: Services) -> Source:
    """Return what an id names. Raises: DiagnosticError (cannot-import)."""
    match = _NUMBER.fullmatch(identity)
    name, number = (match["id"], int(match["number"])) if match else (identity, None)
    try:
        found = _found(name, root, services)
    except mlflow_files.NoSuchModelError as error:
        detail = f'"{identity}": {error}. An id of a model is one of:\n{FORMS}'
        raise DiagnosticError(
            Diagnostic("cannot-import", "This cannot be imported", detail, address=address)
        ) from error
    except OSError as error:
        detail = f'"{identity}" cannot be read: {error.strerror or error}.'
        raise DiagnosticError(
            Diagnostic("cannot-import", "This cannot be imported", detail, address=address)
        ) from error
    return Source(
        found.form, found.path, found.digest, number or found.number, found.features, found.versions, found.made
    )


def _found(name: str, root: Path, services: Services) -> Source:
    if name.startswith("sha256:"):
        return _stored(name.removeprefix("sha256:"), services)
    if _URI.match(name):
        return _mlflow(mlflow_files.find(root / "mlruns", name))
    if name.startswith("mlflow:"):
        place, mark, inner = name.removeprefix("mlflow:").partition("#")
        folder = _path(place, root)
        return _mlflow(mlflow_files.find(folder, inner) if mark else mlflow_files.at(folder))
    return _at(_path(name, root))


def _at(path: Path) -> Source:
    if path.is_file():
        return Source("file", path, _digest(path))
    if not path.is_dir():
        raise mlflow_files.NoSuchModelError(f"there is neither a file nor a folder {path}")
    if (path / "manifest.json").is_file():
        return _sealed(path)
    if (path / "MLmodel").is_file() or (path / "meta.yaml").is_file():
        return _mlflow(mlflow_files.at(path))
    files = sorted(p for p in path.glob("model.*") if p.is_file() and not p.is_symlink() and p.suffix != ".json")
    if len(files) == 1:
        return Source("file", files[0], _digest(files[0]))
    found = f"the model files {', '.join(p.name for p in files)}" if files else "no manifest.json, MLmodel or model.*"
    raise mlflow_files.NoSuchModelError(f"{path} has {found}; name one file")


def _stored(digits: str, services: Services) -> Source:
    folder: Path = services.artifacts / digits[:2]
    found = sorted(folder.glob(f"{digits}*")) if re.fullmatch(r"[0-9a-f]{8,64}", digits) else []
    if len(found) != 1:
        what = f"{len(found)} artifacts" if found else "no artifact"
        raise mlflow_files.NoSuchModelError(
            f"the store {services.artifacts} has {what} whose digest begins with {digits or 'nothing'}"
        )
    return _sealed(found[0])


def _sealed(folder: Path) -> Source:
    from mlplan.artifact.manifest import MANIFEST, verify

    problems = verify(folder)
    if problems:
        raise mlflow_files.NoSuchModelError(f"{folder} is not what was sealed: {'; '.join(problems[:3])}".rstrip("."))
    return Source("sealed", folder, _digest(folder / MANIFEST))


def _mlflow(model: mlflow_files.MlflowModel) -> Source:
    return Source("file", model.file, _digest(model.file), model.number, model.features, model.versions, model.made)


def _path(text: str, root: Path) -> Path:
    path = Path(text.removeprefix("file://"))
    return path if path.is_absolute() else root / path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
