"""Judge a sealed candidate: predict the evaluation data with the packaged predictor, run the gates, accept or reject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlplan.config.addresses import key_text, short_name
from mlplan.engine.events import Event
from mlplan.engine.kind import Context, new_record
from mlplan.engine.types import Desired, Outcome, Result, Step
from mlplan.kinds.model import budget
from mlplan.kinds.model.gates import form_of, question
from mlplan.kinds.model.training import KEPT_VERSIONS, accepted, artifact_job, data_document
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.records import Record

KEPT_REJECTIONS = 50


@dataclass(frozen=True)
class Subject:
    """A version that is being judged, or compared with. predictions: None when there is no evaluation block."""

    number: str
    artifact: str
    size: int
    predictions: Path | None
    classes: tuple[Any, ...]


def evaluate(step: Step, context: Context) -> Outcome:
    """Judge the candidate (or, for `rejudge`, the accepted version) and keep the verdict."""
    desired, record = context.desired(step.address), context.record(step.address)
    assert record is not None, "evaluating follows sealing"
    again = step.action == "rejudge"
    number = str(step.inputs["version"])
    entry = record.attributes["versions"][number] if again else record.attributes["candidate"]
    _refuse_altered(entry["artifact"], context, step.address)
    candidate = _subject(step, number, entry, desired, context)
    live = None if again else _live(step, record, desired, context)
    evidence = tuple(_judge_all(desired, candidate, live, step, context))
    for item in evidence:
        context.tell(Event("note", step.address, f"{_gate_name(item)}: {item.verdict} — {item.message}", step.id))
    return _conclude(step, desired, record, dict(entry), evidence, again, context)


def _conclude(
    step: Step, desired: Desired, record: Record, entry: dict[str, Any], evidence: tuple[Evidence, ...],
    again: bool, context: Context,
) -> Outcome:  # fmt: skip
    number = str(step.inputs["version"])
    blocking = [e for e in evidence if e.blocks]
    gate = {_gate_name(e): {"verdict": str(e.verdict), "message": e.message, "estimate": e.estimate} for e in evidence}
    entry.update(gate=gate, metrics=_metrics(evidence), judged_on=step.inputs["judged_on"])
    digests = tuple(e.digest() for e in evidence)
    overridden = (record.attributes.get("overrides") or {}).get(entry["recipe"]) or {}
    blocking = [e for e in blocking if _gate_name(e) not in overridden]
    reason = "; ".join(f"gate {_gate_name(e)}: {e.message}" for e in blocking)
    lineage = context.lineage
    if not blocking:
        attributes = _accepted(record, number, entry)
        kept = new_record(desired, record, lineage, attributes, evidence=digests)
        return Outcome(Result.DONE, f"v{number} passed {len(evidence)} gates", kept, evidence=evidence)
    if again:
        # What is live stays live: a stricter gate on it is news for its owner, not a reason to pull it.
        attributes = {**_accepted(record, number, entry), "failing": reason}
        kept = new_record(desired, record, lineage, attributes, evidence=digests)
        return Outcome(Result.REFUSED, f"v{number} stays live and fails: {reason}", kept, evidence=evidence)
    undecided = all(e.verdict is Verdict.INCONCLUSIVE for e in blocking)
    if undecided:
        entry.update(stage="judged", reason=reason)
        kept = new_record(desired, record, lineage, {**record.attributes, "candidate": entry}, evidence=digests)
        return Outcome(Result.WAITING, f"v{number} cannot be judged yet: {reason}", kept, evidence=evidence)
    rejected = dict(record.attributes.get("rejected") or {})
    rejected[entry["recipe"]] = {
        "version": int(number),
        "reason": reason,
        "at": context.now(),
        "judged_on": step.inputs["judged_on"],
        "evidence": list(digests),
        "candidate": entry,
    }
    newest = dict(list(rejected.items())[-KEPT_REJECTIONS:])
    attributes = {**record.attributes, "candidate": None, "rejected": newest}
    kept = new_record(desired, record, lineage, attributes, evidence=(*record.evidence, *digests)[-60:])
    return Outcome(Result.REFUSED, f"v{number} rejected: {reason}", kept, evidence=evidence)


def _accepted(record: Record, number: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    version = {k: v for k, v in entry.items() if k not in ("stage", "folder", "version", "reason")}
    versions = dict(list({**(record.attributes.get("versions") or {}), number: version}.items())[-KEPT_VERSIONS:])
    rejected = {k: v for k, v in (record.attributes.get("rejected") or {}).items() if k != entry["recipe"]}
    return {
        **record.attributes,
        **accepted(number, version),
        "versions": versions,
        "candidate": None,
        "rejected": rejected,
        "failing": None,
    }


def _subject(step: Step, number: str, entry: Mapping[str, Any], desired: Desired, context: Context) -> Subject:
    evaluation = desired.arguments.get("evaluate")
    path = None
    if evaluation:
        path = _predictions(step, f"predict-v{number}", entry["artifact"], evaluation, desired, context)
    return Subject(number, entry["artifact"], int(entry.get("size") or 0), path, tuple(entry.get("classes") or ()))


def _live(step: Step, record: Record, desired: Desired, context: Context) -> Subject | None:
    """Return the version to compare with: live in the last environment, else the accepted one."""
    versions: Mapping[str, Any] = record.attributes.get("versions") or {}
    number = str(record.attributes.get("version") or "")
    for reference in reversed(desired.arguments.get("deploy_to") or ()):
        name = short_name(reference.address, step.address)
        deployment = context.record(f"{step.address}.deployment{key_text(name)}")
        live = (deployment.attributes.get("live") or {}) if deployment else {}
        if live:
            number = live["version"].removeprefix("v")
            break
    return _subject(step, number, versions[number], desired, context) if number in versions else None


def _predictions(
    step: Step, purpose: str, artifact: str, evaluation: Mapping[str, Any], desired: Desired, context: Context
) -> Path:
    """Return the predictions of an artifact over the evaluation data, computed once by artifact and snapshot."""
    address = evaluation["data"].address
    record = context.record(address)
    snapshot = str(record.attributes["snapshot"]) if record else ""
    folder = context.services.cache / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    slices = sorted(_slices(desired))
    path: Path = folder / f"{artifact[7:31]}-{snapshot[7:31]}-{abs_digest(slices)}.parquet"
    if path.exists():
        return path
    data = data_document(address, context)
    request = {
        "artifact": str(context.services.artifact_path(artifact)),
        "digest": artifact,
        "paths": data["parquet"],
        "columns": data["columns"],
        "label": data["label"],
        "key": data["key"],
        "extra_columns": slices,
        "predictions": str(path),
        "trust": list((desired.arguments.get("package") or {}).get("trust") or ()),
    }
    answer, done = artifact_job(step, purpose, request, desired, context)
    if answer is None or "error" in answer:
        error = (answer or {}).get("error") or {
            "code": "evaluation-failed", "summary": "The model could not be evaluated", "detail": done.why(),
        }  # fmt: skip
        raise DiagnosticError(Diagnostic(error["code"], error["summary"], error["detail"], address=step.address))
    return path


def abs_digest(names: list[str]) -> str:
    """Return a short name for a set of columns."""
    from mlplan.ledger.evidence import digest_of

    return digest_of(names)[7:15]


def _slices(desired: Desired) -> set[str]:
    across = {g["across"] for g in (desired.arguments.get("gate") or {}).values() if g.get("across")}
    return across | set((desired.arguments.get("evaluate") or {}).get("slices") or ())


def _judge_all(
    desired: Desired, candidate: Subject, live: Subject | None, step: Step, context: Context
) -> list[Evidence]:
    gates: Mapping[str, Any] = desired.arguments.get("gate") or {}
    frame = _read(candidate.predictions)
    other = _read(live.predictions) if live else None
    found = []
    for name, gate in gates.items():
        subject = f"{step.address}.gate.{name}"
        form = form_of(gate)
        if form == "budget":
            found += budget.judge(subject, gate, candidate, desired, step, context)
        else:
            found.append(_judge(subject, gate, form, frame, other, candidate.classes))
    return [_completed(e, gates, desired, candidate, live, context) for e in found]


def _judge(
    subject: str, gate: Mapping[str, Any], form: str, frame: Any, live: Any, classes: tuple[Any, ...]
) -> Evidence:
    from mlplan.judge import gates as judge
    from mlplan.judge.metrics import Predictions, difference, estimate

    metric, confidence = str(gate["metric"]), float(gate.get("confidence") or 0.95)
    known = list(classes) or None
    if form == "across":
        return _gap(subject, gate, metric, frame, confidence)
    if form == "no_worse_than":
        margin = float(gate.get("margin") or 0.0)
        if live is None:
            return judge.judge_no_live(subject, metric, margin)
        pair = Predictions(frame["prediction"], frame.get("score")), Predictions(live["prediction"], live.get("score"))
        apart = difference(metric, frame["label"], *pair, confidence=confidence, classes=known)
        return judge.judge_no_worse(subject, metric, apart, margin)
    value = estimate(
        metric, frame["label"], frame["prediction"], frame.get("score"), confidence=confidence, classes=known
    )
    return judge.judge_bound(subject, metric, value, at_least=gate.get("at_least"), at_most=gate.get("at_most"))


def _gap(subject: str, gate: Mapping[str, Any], metric: str, frame: Any, confidence: float) -> Evidence:
    import numpy as np

    from mlplan.judge.gates import Rows, judge_gap

    groups = np.asarray(frame[str(gate["across"])])
    score = frame.get("score")
    slices = {}
    for name in sorted({str(g) for g in groups}):
        chosen = np.asarray([str(g) == name for g in groups])
        slices[name] = Rows(
            frame["label"][chosen], frame["prediction"][chosen], None if score is None else score[chosen]
        )
    return judge_gap(
        subject, metric, slices, float(gate["largest_gap"]), across=str(gate["across"]),
        min_rows=int(gate.get("min_rows") or 1), confidence=confidence,
    )  # fmt: skip


def _read(path: Path | None) -> dict[str, Any] | None:
    """Return the columns of a predictions file as arrays; rows without a label say nothing and are left out."""
    if path is None:
        return None
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    columns = {name: np.asarray(table.column(name).to_numpy(zero_copy_only=False)) for name in table.column_names}
    if "scores" in columns:
        columns["score"] = np.stack(list(columns.pop("scores")))
    labelled = np.asarray([value is not None and value == value for value in columns["label"]])
    columns = {name: values[labelled] for name, values in columns.items()}
    if columns["label"].dtype == object:
        columns["label"] = np.asarray(columns["label"].tolist())
    return columns


def _completed(
    evidence: Evidence, gates: Mapping[str, Any], desired: Desired, candidate: Subject, live: Subject | None,
    context: Context,
) -> Evidence:  # fmt: skip
    gate = gates[_gate_name(evidence).split(".")[0]]
    evaluation = desired.arguments.get("evaluate")
    inputs = {"artifact": candidate.artifact}
    if evaluation:
        record = context.record(evaluation["data"].address)
        inputs["snapshot"] = str(record.attributes["snapshot"]) if record else ""
    if live is not None and gate.get("no_worse_than"):
        inputs["live"] = live.artifact
    return replace(
        evidence,
        inputs={**inputs, **evidence.inputs},
        severity=str(gate.get("severity") or "block"),
        owner=str(desired.arguments.get("owner") or ""),
        at=context.now(),
        details={**evidence.details, "rule": question(gate)},
    )


def _gate_name(evidence: Evidence) -> str:
    return evidence.subject.partition(".gate.")[2]


def _metrics(evidence: tuple[Evidence, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in evidence:
        metric = item.details.get("metric")
        if (
            metric
            and item.estimate is not None
            and item.details.get("against") is None
            and "across" not in item.details
        ):
            found.setdefault(
                str(metric), {"estimate": item.estimate, "interval": item.interval and list(item.interval)}
            )
    return found


def _refuse_altered(digest: str, context: Context, address: str) -> None:
    from mlplan.artifact.manifest import verify

    problems = verify(context.services.artifact_path(digest), digest)
    if problems:
        detail = (
            f"{digest[:19]}…: {'; '.join(problems[:3])}. Take it out of the store and apply again: it is sealed anew."
        )
        raise DiagnosticError(
            Diagnostic("artifact-altered", "The artifact is not what was sealed", detail, address=address)
        )
