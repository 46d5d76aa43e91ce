"""Open a sealed artifact for predicting: verify, compare versions, audit, load.

Nothing is loaded from a folder that was altered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlplan.artifact import probe
from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.flavor import Predictor, flavor_named
from mlplan.artifact.manifest import CONTRACT, PROBE, VERSIONS, Manifest, read_document, read_manifest, verify
from mlplan.artifact.schema import RequestSchema
from mlplan.artifact.versions import require_same


@dataclass(frozen=True)
class Opened:
    """A loaded artifact."""

    path: Path
    manifest: Manifest
    schema: RequestSchema
    predictor: Predictor

    def check_probe(self) -> None:
        """Ask the probe rows again. Raises: ArtifactError `probe-mismatch`, `model-failed`."""
        document = read_document(self.path / PROBE)
        found = probe.answer(self.predictor, self.schema, document["rows"])
        problems = probe.differences(document["expected"], found)
        if problems:
            raise ArtifactError(
                "probe-mismatch",
                "The model does not answer as it did when it was sealed",
                f"{' '.join(problems)} Floats may differ by {probe.RELATIVE:g} relative. The libraries or the "
                "processor differ from "
                "those of training.",
            )


def open_artifact(path: Path, trust: Sequence[str] = (), digest: str | None = None) -> Opened:
    """Verify and load. trust: types allowed by our configuration, besides the default ones.

    Raises: ArtifactError `artifact-altered`, `not-an-artifact`, `version-mismatch`, `untrusted-types`,
    `unreadable-model`.
    """
    require_intact(path, digest)
    manifest = read_manifest(path)
    schema = RequestSchema.from_json(read_document(path / CONTRACT))
    flavor = flavor_named(manifest.info.flavor)
    require_same(read_document(path / VERSIONS), flavor.requirements())
    predictor = flavor.load(path / Path(manifest.info.file).name, manifest.info, trust)
    return Opened(path, manifest, schema, predictor)


def open_predictor(path: Path, trust: Sequence[str] = (), digest: str | None = None) -> Predictor:
    """Verify and load, and return the predictor alone; see `open_artifact`."""
    return open_artifact(path, trust, digest).predictor


def require_intact(path: Path, digest: str | None = None) -> None:
    """Refuse an altered folder. Raises: ArtifactError `artifact-altered`."""
    problems = verify(path, digest)
    if problems:
        raise ArtifactError(
            "artifact-altered",
            "The artifact was altered after it was sealed",
            f"{path}: {' '.join(problems[:10])} It is refused. Restore it from a copy, or train the model again.",
        )
