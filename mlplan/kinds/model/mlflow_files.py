"""Models in the files of an MLflow store: found by path, by registry name and version, or by run. MLflow itself is not needed.

Reads documents only; the model file is opened by a job, when it is imported.

Source: https://mlflow.org/docs/latest/ml/model/ (MLmodel), and the file stores that MLflow 2.22 and 3.17 write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

MOST_BYTES = 4 * 2**20
_NAMED = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>[^/@]+)|@(?P<alias>[^/@]+))?")
_RUN = re.compile(r"runs:/(?P<run>[0-9a-zA-Z]+)/(?P<path>.+)")
_PIN = re.compile(r"\s*([A-Za-z0-9._-]+)==([^\s;#]+)")
NEEDED = ("scikit-learn", "numpy", "scipy")
"""Distributions whose versions a scikit-learn model depends on."""


class NoSuchModelError(Exception):
    """There is no such model; says why."""


@dataclass(frozen=True)
class MlflowModel:
    """A logged scikit-learn model. number: of its registered version. versions: of the libraries it was made with.

    features: columns of its signature, in order. Units: `made` as RFC 3339, None when it does not say.
    """

    folder: Path
    file: Path
    number: int | None = None
    features: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    made: str | None = None


def find(store: Path, name: str) -> MlflowModel:
    """Return the model called `models:/NAME/VERSION`, `models:/NAME@ALIAS` or `runs:/RUN/PATH` in a store. Raises: NoSuchModelError."""
    if not store.is_dir():
        raise NoSuchModelError(f"there is no MLflow store at {store}")
    run = _RUN.fullmatch(name)
    if run is not None:
        return _of_run(store, run["run"], run["path"])
    named = _NAMED.fullmatch(name)
    if named is None:
        raise NoSuchModelError(f'"{name}" is neither models:/NAME/VERSION nor models:/NAME@ALIAS nor runs:/RUN/PATH')
    if named["version"] is None and named["alias"] is None:
        return _logged(store, named["name"])
    version = named["version"] or _alias(store, named["name"], str(named["alias"]))
    folder = _inside(store / "models", named["name"]) / f"version-{version}"
    if not (folder / "meta.yaml").is_file():
        kept = sorted(p.name.removeprefix("version-") for p in folder.parent.glob("version-*"))
        what = f"has the versions {', '.join(kept)}" if kept else "has no such model"
        raise NoSuchModelError(f"the registry in {store} {what}, not {name}")
    return at(folder)


def at(folder: Path) -> MlflowModel:
    """Return the model of a folder with an MLmodel file, or of a registered version's folder. Raises: NoSuchModelError."""
    if (folder / "MLmodel").is_file():
        return _read(folder)
    if (folder / "artifacts" / "MLmodel").is_file():
        return _read(folder / "artifacts")
    meta = folder / "meta.yaml"
    if not meta.is_file():
        raise NoSuchModelError(f"{folder} has neither an MLmodel file nor the meta.yaml of a registered version")
    document = _yaml(meta)
    place = str(document.get("storage_location") or document.get("source") or "")
    try:
        number = int(str(document.get("version")))
    except ValueError:
        number = None
    store = folder.parent.parent.parent
    found = find(store, place) if place.startswith("models:/") else _read(_local(place, store))
    return MlflowModel(found.folder, found.file, number, found.features, found.versions, found.made)


def _logged(store: Path, identity: str) -> MlflowModel:
    """Return a model of MLflow 3 by its own id, as `models:/m-…` names it."""
    folder = next((p for p in sorted(store.glob(f"*/models/{_plain(identity)}"))), None)
    if folder is None:
        raise NoSuchModelError(f"no experiment in {store} has a model {identity}")
    return at(folder)


def _of_run(store: Path, run: str, path: str) -> MlflowModel:
    folder = next((p for p in sorted(store.glob(f"*/{_plain(run)}"))), None)
    if folder is None:
        raise NoSuchModelError(f"no experiment in {store} has a run {run}")
    here = _inside(folder / "artifacts", path)
    if (here / "MLmodel").is_file():
        return _read(here)
    # MLflow 3 keeps the models of a run beside it, and names them in the run's outputs.
    for output in sorted(folder.glob("outputs/m-*")):
        for meta in sorted(store.glob(f"*/models/{output.name}/meta.yaml")):
            if _yaml(meta).get("name") == path:
                return at(meta.parent)
    raise NoSuchModelError(f"run {run} in {store} logged no model at {path}")


def _alias(store: Path, name: str, alias: str) -> str:
    path = _inside(store / "models", name) / "aliases" / _plain(alias)
    if not path.is_file():
        raise NoSuchModelError(f"the model {name} in {store} has no alias {alias}")
    return path.read_text(encoding="utf-8", errors="replace").strip()[:20]


def _read(folder: Path) -> MlflowModel:
    if not (folder / "MLmodel").is_file():
        raise NoSuchModelError(f"{folder} has no MLmodel file")
    document = _yaml(folder / "MLmodel")
    flavors = document.get("flavors")
    flavors = flavors if isinstance(flavors, dict) else {}
    flavor = flavors.get("sklearn")
    if not isinstance(flavor, dict):
        names = ", ".join(sorted(map(str, flavors))) or "none"
        raise NoSuchModelError(f"the model in {folder} has the flavors {names}; what can be imported is scikit-learn's")
    if flavor.get("code"):
        raise NoSuchModelError(f"the model in {folder} brings code of its own ({flavor['code']}), which is not run")
    file = _inside(folder, str(flavor.get("pickled_model") or "model.pkl"))
    if not file.is_file() or file.is_symlink():
        raise NoSuchModelError(f"{folder} has no {file.name}, which its MLmodel file names")
    versions = _versions(folder / "requirements.txt")
    if flavor.get("sklearn_version"):
        versions["scikit-learn"] = str(flavor["sklearn_version"])
    return MlflowModel(folder, file, None, _features(document), versions, _made(document))


def _features(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of a signature; nothing when it is of tensors, or there is none."""
    signature = document.get("signature")
    try:
        columns = json.loads(signature["inputs"]) if isinstance(signature, dict) else []
        return tuple(str(column["name"]) for column in columns)
    except (KeyError, TypeError, ValueError):
        return ()


def _made(document: Mapping[str, Any]) -> str | None:
    try:
        moment = datetime.fromisoformat(str(document.get("utc_time_created")))
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).isoformat(timespec="seconds")


def _versions(path: Path) -> dict[str, str]:
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pins = {m[1].lower().replace("_", "-"): m[2] for line in lines if (m := _PIN.match(line)) is not None}
    return {name: version for name, version in pins.items() if name in NEEDED}


def _local(place: str, store: Path) -> Path:
    """Return the folder of a location, also when the store was moved to another place since it was written."""
    split = urlsplit(place)
    if split.scheme not in ("", "file"):
        raise NoSuchModelError(
            f"its files are at {place}; only what lies on this machine can be imported: download it first"
        )
    path = Path(unquote(split.path))
    if path.is_dir():
        return path
    parts = path.parts
    if store.name in parts:
        moved = store.joinpath(*parts[len(parts) - parts[::-1].index(store.name) :])
        if moved.is_dir():
            return moved
    raise NoSuchModelError(f"its files should be in {path}, which is not there")


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    if path.stat().st_size > MOST_BYTES:
        raise NoSuchModelError(f"{path} is larger than {MOST_BYTES:,} bytes")
    try:
        document = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, RecursionError) as error:
        raise NoSuchModelError(f"{path} cannot be read ({str(error).splitlines()[0]})") from error
    if not isinstance(document, dict):
        raise NoSuchModelError(f"{path} is no document of MLflow's")
    return document


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise NoSuchModelError(f'"{name}" leads out of {folder}')
    return path


def _plain(name: str) -> str:
    if not re.fullmatch(r"[\w.-]+", name) or name in (".", ".."):
        raise NoSuchModelError(f'"{name}" is no name of MLflow\'s')
    return name
