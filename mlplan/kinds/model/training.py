"""Carrying out what comes before judging: tests, training, sealing; taking an earlier version again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from mlplan.engine.events import Event
from mlplan.engine.kind import Context, new_record
from mlplan.engine.plain import plain
from mlplan.engine.types import Desired, Outcome, Result, Step
from mlplan.kinds.data_contract.reading import contract_of
from mlplan.kinds.model.jobs import Finished, Job, altered, cancel_all, refuse, run
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.values import Secret
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.records import Operation, Record
from mlplan.spi.secrets import SecretError, is_reference, resolve

PROBE_ROWS = 64
KEPT_TIMES = 3
KEPT_VERSIONS = 50


def test(step: Step, context: Context) -> Outcome:
    """Run one declared test; a failure refuses the change."""
    desired = context.desired(step.address)
    name = step.action.removeprefix("test.")
    spec = desired.arguments["test"][name]
    job = Job(command(str(spec["run"]), context), {}, {}, {}, float(spec.get("timeout") or 600.0))
    done = run(step, f"test-{name}", job, provider_of(desired), context)
    if done.lost:
        return _lost(step, f"Test {name}", done)
    verdict = Verdict.PASS if done.succeeded else Verdict.FAIL
    evidence = Evidence(
        f"{step.address}.test.{name}",
        f"{spec['run']} exits with 0",
        verdict,
        "exit code",
        n=1,
        inputs={"recipe": str(step.inputs["recipe"])},
        message=f"{name}: {'passed' if done.succeeded else done.why()}",
        owner=str(desired.arguments.get("owner") or ""),
        at=context.now(),
    )
    if done.succeeded:
        return Outcome(Result.DONE, f"passed in {done.status.seconds:.1f} s", evidence=(evidence,))
    return Outcome(Result.REFUSED, f"test {name} failed: {done.why()}", evidence=(evidence,))


def train(step: Step, context: Context) -> Outcome:
    """Run the training script on exactly the pinned bytes."""
    desired = context.desired(step.address)
    train_block = desired.arguments["train"]
    record = context.record(step.address)
    document = {
        "model": step.address,
        "task": desired.arguments["task"],
        "params": plain(train_block.get("params") or {}),
        "seed": int(train_block.get("seed") or 0),
        "data": {
            name: data_document(reference.address, context, str(step.inputs["parts"]["data"][name]))
            for name, reference in train_block["data"].items()
        },
    }
    limits: Mapping[str, Any] = train_block.get("limits") or {}
    job = Job(
        command(str(train_block["run"]), context),
        document,
        {},
        secrets_of(train_block.get("secrets"), step.address, context.root),
        float(limits.get("time") or 3600.0),
        limits.get("memory"),
        limits.get("cpu"),
        script=True,
    )
    done = run(step, "train", job, provider_of(desired), context)
    if done.lost:
        return _lost(step, "Training", done)
    if not done.succeeded:
        problem = Diagnostic(
            "training-failed",
            "Training did not succeed",
            f"{step.address} v{step.inputs['version']}: {done.why()}",
            address=step.address,
        )
        return Outcome(Result.FAILED, f"training failed: {done.why()}", diagnostics=(problem,))
    attributes = _with_candidate(record, step, done, context)
    kept = new_record(desired, record, context.lineage, attributes)
    return Outcome(Result.DONE, f"v{step.inputs['version']} trained in {done.status.seconds:.1f} s", kept)


def _lost(step: Step, what: str, done: Finished) -> Outcome:
    """A job that was ended from outside judges nothing: no evidence is kept, and the next apply runs it again."""
    detail = f"{what} of {step.address} has no result: {done.why()}. That says nothing about the model. Apply again: it is run anew."
    problem = Diagnostic("job-lost", "A job was ended from outside", detail, address=step.address)
    return Outcome(Result.FAILED, f"{what.lower()} was ended from outside", diagnostics=(problem,))


def _with_candidate(record: Record | None, step: Step, done: Finished, context: Context) -> dict[str, Any]:
    prior: Mapping[str, Any] = record.attributes if record else {}
    now = context.now()
    candidate = {
        "version": step.inputs["version"],
        "recipe": step.inputs["recipe"],
        "parts": step.inputs["parts"],
        "stage": "trained",
        "folder": str(done.folder.relative_to(context.root)),
        "trained_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        **data_facts(step, context),
    }
    asked = [{**a, "at": now} for a in step.inputs.get("asked") or ()]
    return {
        **prior,
        "candidate": candidate,
        "last_version": step.inputs["version"],
        "seconds": [*(prior.get("seconds") or []), round(done.status.seconds, 1)][-KEPT_TIMES:],
        "retrains": [*(prior.get("retrains") or []), *asked][-100:],
    }


def data_facts(step: Step, context: Context) -> dict[str, Any]:
    """Return profiles and rules of the data as it is pinned now, by the names of `train.data`."""
    data = _data_addresses(step, context)
    return {
        "profiles": {name: _profile_of(address, context) for name, address in data.items()},
        "contracts": {name: _rules_of(address, context) for name, address in data.items()},
    }


def _data_addresses(step: Step, context: Context) -> dict[str, str]:
    data = context.desired(step.address).arguments["train"]["data"]
    return {name: reference.address for name, reference in data.items()}


def _profile_of(address: str, context: Context) -> Any:
    record = context.record(address)
    return {"contract": address, "profile": record.attributes.get("profile")} if record else None


def _rules_of(address: str, context: Context) -> Any:
    record = context.record(address)
    return record.attributes.get("contract") if record else None


def seal(step: Step, context: Context) -> Outcome:
    """Seal what training left into a content-addressed artifact, in a process of its own."""
    desired = context.desired(step.address)
    record = context.record(step.address)
    assert record is not None, "sealing follows training"
    candidate = dict(record.attributes["candidate"])
    _refuse_altered_output(record, context.root / candidate["folder"], context)
    request = {"output_of_training": candidate["folder"], **seal_request(step, desired, candidate, context)}
    answer, done = artifact_job(step, "seal", request, desired, context, context.root / candidate["folder"] / "output")
    if answer is None or "error" in answer:
        return refused_model(step, answer, done)
    candidate.update(
        stage="sealed", artifact=answer["digest"], size=answer["size"], features=answer["features"],
        classes=answer["classes"], versions=answer["versions"],
    )  # fmt: skip
    kept = new_record(desired, record, context.lineage, {**record.attributes, "candidate": candidate})
    return Outcome(Result.DONE, f"sealed as {answer['digest'][7:19]} ({answer['size']:,} bytes)", kept)


def seal_request(step: Step, desired: Desired, candidate: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Return what sealing has to know besides the model file. candidate: its recipe and parts, for the card."""
    package: Mapping[str, Any] = desired.arguments.get("package") or {}
    address = next(iter(_data_addresses(step, context).values()))
    return {
        "store": str(context.services.artifacts),
        "model": step.address,
        "task": desired.arguments["task"],
        "schema": _request_schema(address, context),
        "probe": _probe_rows(address, context),
        "card": _card(desired, candidate, package),
        "trust": list(package.get("trust") or ()),
    }


def _refuse_altered_output(record: Record, folder: Path, context: Context) -> None:
    """Let the next apply train anew when the attempt's output is gone or not what training left. Raises: DiagnosticError."""
    why = altered(folder) if (folder / "output").is_dir() else "its folder is gone"
    if not why:
        return
    if folder.is_dir():
        refuse(folder, why)
    context.keep(replace(record, attributes={**record.attributes, "candidate": None}))
    detail = f"{folder}: {why}. Nothing was sealed. Apply again: it is trained anew, in a folder of its own."
    raise DiagnosticError(
        Diagnostic("training-output-altered", "What training left was altered", detail, address=record.address)
    )


def refused_model(step: Step, answer: Mapping[str, Any] | None, done: Finished) -> Outcome:
    """Return the outcome of a model that could not be sealed, with what the job says about it."""
    error = (answer or {}).get("error") or {"code": "sealing-failed", "summary": "Sealing failed", "detail": done.why()}
    problem = Diagnostic(error["code"], error["summary"], error["detail"], address=step.address)
    return Outcome(Result.FAILED, f"{error['summary']}: {error['detail']}", diagnostics=(problem,))


def artifact_job(
    step: Step, purpose: str, request: Mapping[str, Any], desired: Desired, context: Context, output: Path | None = None
) -> tuple[dict[str, Any] | None, Finished]:
    """Run `python -m mlplan.artifact` on a request; return its answer (None when there is none) and the job.

    The job's own document is the request, so that the folder of an attempt tells everything about it.
    """
    verb = purpose if purpose in ("seal", "import") else "predict"
    if output is not None:
        request = {**request, "output": str(output)}
    job = Job((context.services.python, "-m", "mlplan.artifact", verb, "{job}"), request, {}, {}, timeout=3600.0)
    done = run(step, purpose, job, provider_of(desired), context)
    if done.lost:
        raise DiagnosticError(*_lost(step, "Sealing" if verb == "seal" else "Evaluation", done).diagnostics)
    path = done.folder / "result.json"
    return (orjson.loads(path.read_bytes()) if path.exists() else None), done


def reuse(step: Step, context: Context) -> Outcome:
    """Make an earlier version the accepted one again: it was made by the recipe that the files ask for."""
    desired, record = context.desired(step.address), context.record(step.address)
    assert record is not None, "only a known version can be taken again"
    number = str(step.inputs["version"])
    version = record.attributes["versions"][number]
    if not context.services.artifact_path(version["artifact"]).is_dir():
        return Outcome(Result.FAILED, f"the artifact of v{number} is gone from the store")
    attributes = {**record.attributes, **accepted(number, version), "candidate": None}
    context.tell(Event("note", step.address, f"v{number} again, nothing to train", step.id))
    return Outcome(Result.DONE, f"v{number} again", new_record(desired, record, context.lineage, attributes))


def accepted(number: str, version: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record's attributes that say which version is accepted."""
    return {
        "version": int(number),
        "recipe": version["recipe"],
        "recipe_parts": version["parts"],
        "artifact": version["artifact"],
        "trained_at": version["trained_at"],
        "metrics": version["metrics"],
        "gate": version["gate"],
        "judged_on": version["judged_on"],
    }


def data_document(address: str, context: Context, snapshot: str | None = None) -> dict[str, Any]:
    """Return what a job needs to read a contract's pinned bytes: the files themselves, and as Parquet with its types.

    Raises: DiagnosticError when they are not there or cannot be read.
    """
    from mlplan.data.failure import QueryFailed
    from mlplan.data.snapshot import Snapshot, verify
    from mlplan.data.typed import typed_files

    record = context.record(address)
    if record is None or (snapshot is not None and record.attributes.get("snapshot") != snapshot):
        detail = f"{address} has another snapshot than the plan saw. Plan and apply again."
        raise DiagnosticError(Diagnostic("data-moved", "The data changed after the plan", detail, address=address))
    pinned = Snapshot.from_json(record.attributes["manifest"])
    problems = verify(pinned, context.root, context.services.cache)
    if problems:
        raise DiagnosticError(*(p.at(address=address) for p in problems))
    contract = contract_of(context.desired(address))
    try:
        typed = typed_files(contract, pinned, context.root, context.services.cache)
    except (QueryFailed, OSError) as error:
        detail = f"The files of {address} cannot be read for the job: {error}"
        raise DiagnosticError(
            Diagnostic("source-unreadable", "Data file cannot be read", detail, address=address)
        ) from error
    return {
        "paths": [str(path) for path in pinned.paths(context.root)],
        "parquet": [str(path) for path in typed],
        "label": contract.label,
        "key": list(contract.key),
        "columns": [column_document(c) for c in contract.columns.values()],
    }


def column_document(column: Any) -> dict[str, Any]:
    """Return a column as jobs and the request schema know it."""
    return {
        "name": column.name,
        "type": column.type,
        "nullable": column.nullable,
        "one_of": list(column.one_of) if column.one_of is not None else None,
        "between": list(column.between) if column.between is not None else None,
        "pii": column.pii,
        "label": column.label,
    }


def _request_schema(address: str, context: Context) -> dict[str, Any]:
    from mlplan.data.request import request_schema

    contract = contract_of(context.desired(address))
    schema: dict[str, Any] = request_schema(contract)
    return schema


def _probe_rows(address: str, context: Context) -> list[dict[str, Any]]:
    from mlplan.data.read import sample_rows
    from mlplan.data.snapshot import Snapshot

    record = context.record(address)
    assert record is not None
    contract = contract_of(context.desired(address))
    snapshot = Snapshot.from_json(record.attributes["manifest"])
    rows: list[dict[str, Any]] = sample_rows(contract, snapshot, context.root, rows=PROBE_ROWS, seed=0)
    return rows


def _card(desired: Desired, candidate: Mapping[str, Any], package: Mapping[str, Any]) -> dict[str, Any]:
    parts = candidate["parts"]
    return {
        "title": desired.name,
        "description": desired.arguments.get("description") or "",
        "owner": desired.arguments.get("owner") or "",
        "data": dict(parts["data"]),
        "recipe": candidate["recipe"],
        "params": parts["params"],
        "notes": package.get("card") or "",
    }


def command(text: str, context: Context) -> tuple[str, ...]:
    """Split a command into words, without a shell; a bare `python` is the interpreter that runs mlplan."""
    words = shlex.split(text)
    if words[0] in ("python", "python3"):
        words[0] = context.services.python
    elif not os.path.isabs(words[0]):
        beside = Path(context.services.python).parent / words[0]
        words[0] = str(beside) if beside.is_file() else words[0]
    return tuple(words)


def secrets_of(given: Any, address: str, root: Path) -> dict[str, str]:
    """Return the secrets of one job, references resolved now. given: names to references, or to values of sensitive variables.

    Raises: DiagnosticError (secret-missing). No message shows a value.
    """
    found = {}
    entries: Any = given.value if isinstance(given, Secret) else given
    for name, item in (entries or {}).items():
        hidden = isinstance(item, Secret)
        text = str(item.value if isinstance(item, Secret) else item)
        if hidden and not is_reference(text):
            found[name] = text
            continue
        try:
            found[name] = resolve(text, root)
        except SecretError as error:
            detail = f'The secret "{name}" cannot be read. {error}.'
            problem = Diagnostic("secret-missing", "A secret cannot be read", detail, address=address)
            raise DiagnosticError(problem) from error
    return found


def provider_of(desired: Desired) -> str | None:
    """Return the provider that runs the jobs of a model."""
    return desired.provider


def cancel(operation: Operation, context: Context) -> None:
    """End the jobs of an abandoned step."""
    desired = context.find_desired(operation.address)
    cancel_all(operation, provider_of(desired) if desired else None, context)
