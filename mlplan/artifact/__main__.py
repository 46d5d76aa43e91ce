"""`python -m mlplan.artifact seal|import|predict REQUEST.json`.

Run as a job of its own, so that model code never loads in the command.

The request names a `result` file. It gets the outcome, or {"error": {"code", "summary", "detail"}} for what a user
caused; the exit code is 0, or 1 with such an error. Any other exit is a bug, with its traceback in the job's log.

seal: {output, store, model, task, schema: {columns, strict?, on_violation?}, probe: [row], card?, trust?, lock?,
result} → {digest, path, size, content_digest, prediction_digest, files_digest, features, classes, flavor, versions}
import: as seal, and {file: a skops file or a pickle, features?, versions: {distribution: version}}; output: an empty folder
predict: {artifact, digest?, paths, format, missing?, columns, label?, extra_columns?, key?, trust?, predictions, result} → {rows,
predictions, seconds}
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlplan.artifact.errors import ArtifactError

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "2")  # before numpy loads; a machine-wide pool per job would starve its neighbours


def main(arguments: list[str]) -> int:
    """Run one request; return the exit code."""
    if len(arguments) != 2 or arguments[0] not in ("seal", "import", "predict"):
        sys.stderr.write("usage: python -m mlplan.artifact seal|import|predict REQUEST.json\n")
        return 2
    request = json.loads(Path(arguments[1]).read_bytes())
    try:
        answer = {"seal": _seal, "import": _import, "predict": _predict}[arguments[0]](request)
    except ArtifactError as error:
        sys.stderr.write(f"{error.summary}: {error.detail}\n")
        _write(Path(request["result"]), {"error": error.to_json()})
        return 1
    _write(Path(request["result"]), answer)
    return 0


def _seal(request: Mapping[str, Any]) -> dict[str, Any]:
    from mlplan.artifact.manifest import VERSIONS, read_document
    from mlplan.artifact.schema import RequestSchema
    from mlplan.artifact.seal import SealRequest, seal

    sealed = seal(
        SealRequest(
            output=Path(request["output"]),
            store=Path(request["store"]),
            model=request.get("model", ""),
            task=request["task"],
            schema=RequestSchema.from_json(request["schema"]),
            probe=request["probe"],
            card=request.get("card") or {},
            trust=request.get("trust") or (),
            lock=request.get("lock") or "",
        )
    )
    manifest = sealed.manifest
    return {
        "digest": sealed.digest,
        "path": str(sealed.path),
        "size": sealed.size,
        "content_digest": manifest.content_digest,
        "prediction_digest": manifest.prediction_digest,
        "files_digest": manifest.files_digest,
        "features": list(manifest.info.features),
        "classes": list(manifest.info.classes),
        "flavor": manifest.info.flavor,
        "versions": read_document(sealed.path / VERSIONS),
    }


def _import(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write a model file from elsewhere as one of ours, with what is known of it, and seal that."""
    from mlplan.artifact.flavor import flavor_named
    from mlplan.artifact.pickled import convert
    from mlplan.artifact.seal import MODEL_DOCUMENT
    from mlplan.artifact.versions import require_same

    versions = {"modules": dict(request["versions"])}
    require_same(versions, flavor_named("sklearn").requirements())  # before a file of other versions is opened
    output = Path(request["output"])
    known = convert(Path(request["file"]), output / "model.skops", request.get("trust") or ())
    features = known.get("features") or request.get("features")
    document = {"file": "model.skops", "versions": versions, "classes": known.get("classes") or []}
    _write(output / MODEL_DOCUMENT, {**document, **({"features": features} if features else {})})
    return _seal(request)


def _predict(request: Mapping[str, Any]) -> dict[str, Any]:
    from mlplan.artifact.batch import PredictRequest, predict_files
    from mlplan.artifact.schema import Column

    started = time.perf_counter()
    extra = dict.fromkeys([*(request.get("key") or ()), *(request.get("extra_columns") or ())])
    rows = predict_files(
        PredictRequest(
            artifact=Path(request["artifact"]),
            paths=[Path(path) for path in request["paths"]],
            columns=[Column.from_json(column) for column in request["columns"]],
            predictions=Path(request["predictions"]),
            label=request.get("label"),
            extra_columns=tuple(extra),
            trust=request.get("trust") or (),
            digest=request.get("digest"),
        )
    )
    return {"rows": rows, "predictions": request["predictions"], "seconds": round(time.perf_counter() - started, 3)}


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """Write a result whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    partial.rename(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
