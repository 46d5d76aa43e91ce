"""Taking over a model that was trained elsewhere: it becomes a version, as if its recipe were that of the files, and is judged.

What made it is not known; the files say what would make it now. So nothing is trained until the files or the data change, and the
gates decide whether it is accepted, as they do with every version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlplan.engine.kind import Context, View, new_record
from mlplan.engine.types import Action, Change, Desired, FieldChange, Outcome, Reason, Result, Step
from mlplan.kinds.model import training
from mlplan.kinds.model.gates import questions
from mlplan.kinds.model.recipe import Recipe
from mlplan.kinds.model.sources import Source, source_of
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.values import Unknown


@dataclass(frozen=True)
class Wanted:
    """What the files say of the model: its recipe, and what a version would be judged on."""

    recipe: Recipe
    judged_on: str


def adopt(desired: Desired, identity: str, wanted: Wanted, view: View) -> Change:
    """Return the change that makes what `identity` names a version, and lets the gates judge it."""
    source = source_of(identity, desired.address, view.root, view.services)
    if source.form == "sealed":
        _fits(desired, source.path)
    number = source.number or 1
    inputs = {
        "id": identity,
        "content": source.digest,
        "version": number,
        "recipe": wanted.recipe.digest,
        "parts": wanted.recipe.to_json(),
    }
    judged = {"recipe": wanted.recipe.digest, "version": number, "judged_on": wanted.judged_on}
    count = len(desired.arguments.get("gate") or {})
    steps = (
        view.step(desired, "import", f"take over {source.path.name} as v{number}", inputs),
        view.step(desired, "evaluate", f"judge v{number} by {count} gate{'s' if count != 1 else ''}", judged),
    )
    unknown = Unknown(origin=f"known after import of {desired.address}")
    planned: dict[str, Any] = dict.fromkeys(("artifact", "version", "trained_at", "metrics", "gate"), unknown)
    notes = [] if count else [("gates", "none: what is imported will be served unjudged")]
    notes.append(("if a gate says no", "nothing is accepted, exit 3"))
    evaluate = desired.arguments.get("evaluate")
    needs = [reference.address for reference in desired.arguments["train"]["data"].values()]
    needs += [evaluate["data"].address] if evaluate else []
    return Change(
        desired.address,
        "model",
        Action.IMPORT,
        (Reason(f"its recipe is taken for that of the files ({wanted.recipe.digest[7:19]})"),),
        (FieldChange("version", None, f"{number} ?"),),
        steps,
        {**planned, "recipe": wanted.recipe.digest},
        questions=questions(desired.arguments, {}),
        notes=tuple(notes),
        dependencies=tuple(dict.fromkeys(needs)),
    )


def take_over(step: Step, context: Context) -> Outcome:
    """Make a sealed artifact of it, and remember it as a candidate."""
    desired = context.desired(step.address)
    source = source_of(str(step.inputs["id"]), step.address, context.root, context.services)
    if source.digest != step.inputs["content"]:
        raise _refused(f"{source.path} is not what it was when the plan was made. Plan again.", step.address)
    if source.form == "sealed":
        _fits(desired, source.path)
        facts: dict[str, Any] | Outcome = _copied(source.path, context, step.address)
    else:
        facts = _sealed(step, source, desired, context)
    if isinstance(facts, Outcome):
        return facts
    record = context.record(step.address)
    now = context.now()
    candidate = {
        "version": step.inputs["version"],
        "recipe": step.inputs["recipe"],
        "parts": step.inputs["parts"],
        "stage": "sealed",
        "trained_at": source.made or datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        **training.data_facts(step, context),
        "imported": step.inputs["id"],
        **facts,
    }
    attributes = {
        **(record.attributes if record else {}),
        "candidate": candidate,
        "last_version": step.inputs["version"],
    }
    kept = new_record(desired, record, context.lineage, attributes)
    return Outcome(Result.DONE, f"v{step.inputs['version']} is artifact {facts['artifact'][7:19]}", kept)


def _fits(desired: Desired, folder: Path) -> None:
    """Refuse an artifact that does another task. Raises: DiagnosticError (cannot-import)."""
    from mlplan.artifact.manifest import read_manifest

    info = read_manifest(folder).info
    if info.task != desired.arguments["task"]:
        detail = f"{folder} does {info.task}, and {desired.address} is of {desired.arguments['task']}."
        raise _refused(detail, desired.address)


def _copied(folder: Path, context: Context, address: str) -> dict[str, Any]:
    """Return the facts of a sealed artifact, now in the project's store."""
    from mlplan.artifact.errors import ArtifactError
    from mlplan.artifact.manifest import VERSIONS, read_document
    from mlplan.artifact.seal import keep_sealed

    try:
        artifact = keep_sealed(folder, context.services.artifacts)
        versions = read_document(artifact.path / VERSIONS)
    except ArtifactError as error:
        raise DiagnosticError(Diagnostic(error.code, error.summary, error.detail, address=address)) from error
    info = artifact.manifest.info
    return {
        "artifact": artifact.digest,
        "size": artifact.size,
        "features": list(info.features),
        "classes": list(info.classes),
        "versions": versions,
    }


def _sealed(step: Step, source: Source, desired: Desired, context: Context) -> dict[str, Any] | Outcome:
    request = {
        **training.seal_request(step, desired, _described(step), context),
        "file": str(source.path),
        "features": list(source.features),
        "versions": dict(source.versions),
    }
    answer, done = training.artifact_job(step, "import", request, desired, context)
    if answer is None or "error" in answer:
        return training.refused_model(step, answer, done)
    return {
        "artifact": answer["digest"],
        "size": answer["size"],
        "features": answer["features"],
        "classes": answer["classes"],
        "versions": answer["versions"],
    }


def _described(step: Step) -> Mapping[str, Any]:
    """Return what the model card is made of."""
    return {"parts": step.inputs["parts"], "recipe": step.inputs["recipe"]}


def _refused(detail: str, address: str) -> DiagnosticError:
    return DiagnosticError(Diagnostic("cannot-import", "This cannot be imported", detail, address=address))
