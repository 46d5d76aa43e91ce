"""Pickled scikit-learn models from elsewhere, read once to be kept as skops files.

A pickle is a program. This one may only name what models are made of: estimators, arrays, a few containers, and the types that the
user's configuration trusts. Everything else is refused before it is imported. It runs in a process of its own.
"""

from __future__ import annotations

import importlib
import io
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.skops_file import is_skops
from mlplan.artifact.trust import trusted

_PLAIN = {
    "builtins": ("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range", "set"),
    "collections": ("OrderedDict", "defaultdict"),
    "copyreg": ("_reconstructor", "__newobj__"),
    "_codecs": ("encode",),  # how protocol 2 writes bytes
    "numpy": ("dtype", "ndarray"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy.random.bit_generator": ("SeedSequence", "SeedlessSeedSequence", "__pyx_unpickle_SeedSequence"),
    "numpy.random._pickle": ("__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor"),
}  # fmt: skip
_OLD_NAMES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_NUMBERS = re.compile(r"(float|int|uint|bool|str|bytes|object|complex)\d*_?")
_LOSSES = ("sklearn._loss.", "sklearn.ensemble._hist_gradient_boosting.")
MOST_BYTES = 4 * 2**30


class _Reader(pickle.Unpickler):
    """Reads a pickle that names nothing but allowed types."""

    def __init__(self, file: io.BufferedReader, trust: Sequence[str]) -> None:
        super().__init__(file)
        self._trust = frozenset(trusted(trust))

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed global. Raises: ArtifactError (untrusted-types)."""
        module = _OLD_NAMES.get(module, module)  # as protocol 2 writes them
        full = f"{module}.{name}"
        if name in _PLAIN.get(module, ()) or full in self._trust:
            return super().find_class(module, name)
        if module == "numpy" and _NUMBERS.fullmatch(name):
            return super().find_class(module, name)
        if module.startswith("numpy.random._") and name in (
            "MT19937",
            "PCG64",
            "RandomState",
            "Generator",
            "Philox",
            "SFC64",
        ):
            return super().find_class(module, name)
        if module.partition(".")[0] == "sklearn" and "." not in name and self._is_model_part(module, name):
            return super().find_class(module, name)
        raise ArtifactError(
            "untrusted-types",
            "The model holds types that are not trusted",
            f'Reading this pickle would bring "{full}" to life, which may run any code. If it is yours, or you have read it, allow '
            f'it in the block package of the model:\n\n    trust = ["{full}"]\n',
        )

    def _is_model_part(self, module: str, name: str) -> bool:
        """Tell whether scikit-learn's class is an estimator, or one of the numeric parts of its boosted trees."""
        from sklearn.base import BaseEstimator

        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError:
            return False
        if not isinstance(found, type) or not str(found.__module__).startswith("sklearn."):
            return name.startswith("__pyx_unpickle_") and module.startswith(_LOSSES)
        return issubclass(found, BaseEstimator) or module.startswith(_LOSSES)


def read_pickle(path: Path, trust: Sequence[str]) -> Any:
    """Return the model of a pickle file. Raises: ArtifactError (untrusted-types, unreadable-model)."""
    if path.stat().st_size > MOST_BYTES:
        raise _unreadable(path, f"it is larger than {MOST_BYTES:,} bytes")
    try:
        with path.open("rb") as file:
            return _Reader(file, trust).load()
    except ArtifactError:
        raise
    except Exception as error:  # a damaged pickle makes the reader raise anything
        raise _unreadable(path, f"{type(error).__name__}: {str(error)[:300]}") from error


def convert(source: Path, target: Path, trust: Sequence[str]) -> dict[str, Any]:
    """Write a model file from elsewhere as one of ours; return what the model knows of features and classes.

    Raises: ArtifactError (untrusted-types, unreadable-model, not-a-model).
    """
    from mlplan.artifact.sklearn_flavor import SklearnFlavor

    if is_skops(source):
        target.write_bytes(source.read_bytes())
        return {}
    model = read_pickle(source, trust)
    flavor = SklearnFlavor()
    if not flavor.detect(model):
        raise ArtifactError(
            "not-a-model",
            "This object is not a model that can be kept",
            f"{source.name} holds an object of type {type(model).__module__}.{type(model).__qualname__}, not a scikit-learn "
            "estimator with predict.",
        )
    flavor.save(model, target)
    return flavor.describe(model)


def _unreadable(path: Path, why: str) -> ArtifactError:
    return ArtifactError("unreadable-model", "The model file cannot be read", f"{path.name} cannot be read: {why}.")
