"""What a kind of model file must be able to do, and the registry of flavors.

Each flavor's own library is loaded by that flavor alone.

Built in: `sklearn`. Others come as entry points of the group `mlplan.flavors`, each naming an object that satisfies
`Flavor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mlplan.artifact.errors import ArtifactError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Outputs = Mapping[str, np.ndarray[Any, np.dtype[Any]]]

Task = Literal["binary_classification", "multiclass", "regression"]
TASKS: tuple[Task, ...] = ("binary_classification", "multiclass", "regression")
GROUP = "mlplan.flavors"


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model besides its file. features: columns in the order of training.

    Classes: plain values, in the order of the model's own probabilities; the last one of two is the positive one.
    """

    flavor: str
    file: str
    task: Task
    features: tuple[str, ...]
    classes: tuple[Any, ...] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "flavor": self.flavor,
            "file": self.file,
            "task": self.task,
            "features": list(self.features),
            "classes": list(self.classes),
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> ModelInfo:
        """Return the info of a JSON document."""
        return ModelInfo(
            document["flavor"],
            document["file"],
            document["task"],
            tuple(document["features"]),
            tuple(document["classes"]),
        )


class Predictor(Protocol):
    """A loaded model."""

    info: ModelInfo

    def predict(self, frame: pd.DataFrame) -> Outputs:
        """Answer for each row, in order.

        frame: at least the features, typed by `mlplan.artifact.frame`. Shapes, for n rows: `prediction` (n,) always;
        `score` (n,) for binary classification, the probability of the positive class where the model has one, else its
        decision value; `scores` (n, classes) for multiclass. May raise whatever the model raises.
        """
        ...


class Flavor(Protocol):
    """One kind of model file. Reading `audit` must never run or import what the file names."""

    name: str
    file: str

    def detect(self, model: Any) -> bool:
        """Tell whether a live object is one of this flavor's models."""
        ...

    def recognises(self, path: Path) -> bool:
        """Tell by content, not by suffix, whether a file is of this flavor."""
        ...

    def save(self, model: Any, path: Path) -> None:
        """Write a live model."""
        ...

    def describe(self, model: Any) -> dict[str, Any]:
        """Return what the live model knows: `features` and `classes` as plain lists, each only when it is known."""
        ...

    def normalise(self, source: Path, target: Path) -> str:
        """Write `source` to `target`, equal models as equal bytes; return "sha256:…" of the canonical content."""
        ...

    def audit(self, path: Path, trust: Sequence[str]) -> list[str]:
        """Return the types in the file that are not trusted, without loading it."""
        ...

    def load(self, path: Path, info: ModelInfo, trust: Sequence[str]) -> Predictor:
        """Audit, then load. The predictor's info has the features and classes that the model itself knows.

        Raises: ArtifactError `untrusted-types`, `unreadable-model`.
        """
        ...

    def requirements(self) -> tuple[str, ...]:
        """Return the distributions whose versions must be the same in serving as in training."""
        ...


def flavor_named(name: str) -> Flavor:
    """Return a flavor. Raises: ArtifactError `unknown-flavor`."""
    from importlib.metadata import entry_points

    if name == "sklearn":
        from mlplan.artifact.sklearn_flavor import SklearnFlavor

        return SklearnFlavor()
    for entry in entry_points(group=GROUP, name=name):
        made = entry.load()
        flavor: Flavor = made() if isinstance(made, type) else made
        return flavor
    raise ArtifactError(
        "unknown-flavor",
        "Unknown kind of model",
        f'The kind of model "{name}" is not known here. Known are {", ".join(flavor_names())}; others come with a '
        "package that "
        f'has an entry point in the group "{GROUP}".',
    )


def flavor_names() -> list[str]:
    """Return the names of all flavors, the built-in one first."""
    from importlib.metadata import entry_points

    return ["sklearn", *sorted({entry.name for entry in entry_points(group=GROUP)} - {"sklearn"})]


def flavor_of(model: Any) -> Flavor:
    """Return the flavor of a live model. Raises: ArtifactError `not-a-model`."""
    for name in flavor_names():
        flavor = flavor_named(name)
        if flavor.detect(model):
            return flavor
    raise ArtifactError(
        "not-a-model",
        "This object is not a model that can be kept",
        f"An object of type {type(model).__module__}.{type(model).__qualname__} was given. Kinds that can be kept: "
        f"{', '.join(flavor_names())}. For scikit-learn, give a fitted estimator or pipeline with `predict`.",
    )
