"""The kind `model`: when it must be trained, what is judged, which version is accepted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlplan.config.addresses import key_text, short_name
from mlplan.engine.ignoring import SETTINGS, ignores
from mlplan.engine.kind import Context, View
from mlplan.engine.types import Action, Cause, Change, Desired, FieldChange, Observation, Outcome, Reason, Result, Step
from mlplan.kinds.model import adopting, judging, training
from mlplan.kinds.model.gates import check_gates, gates_digest, questions
from mlplan.kinds.model.recipe import Recipe, differences, recipe, unless_ignored
from mlplan.kinds.model.rules import schemas
from mlplan.kinds.model.schema import SCHEMA
from mlplan.kinds.monitor.answers import answers, too_old
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.values import Unknown
from mlplan.ledger.evidence import digest_of
from mlplan.ledger.records import Operation, Record
from mlplan.spi.schema import BlockSchema, Reference


@dataclass(frozen=True)
class _Case:
    """What the diff knows before it decides."""

    desired: Desired
    record: Record | None
    recipe: Recipe
    prior: Mapping[str, Any]
    judged_on: str
    next_version: int
    broken: Mapping[str, str]


class ModelKind:
    """A model, its recipe and its gates."""

    name = "model"
    anew = "it is trained again"
    schema: BlockSchema = SCHEMA

    def check(self, desired: Desired) -> Sequence[Diagnostic]:
        """Return what is wrong with commands and gates."""
        found = list(check_gates(desired.arguments))
        commands = {"train.run": (desired.arguments.get("train") or {}).get("run")}
        commands |= {f"test {n!r}": t.get("run") for n, t in (desired.arguments.get("test") or {}).items()}
        for place, command in commands.items():
            try:
                empty = not shlex.split(str(command or ""))
            except ValueError as error:
                found.append(_command(f"{place} cannot be split into words: {error}."))
            else:
                if empty:
                    found.append(_command(f"{place} is empty."))
        return found

    def children(self, desired: Desired) -> Sequence[Desired]:
        """Return one deployment an environment."""
        deploy: Mapping[str, Any] = desired.arguments.get("deploy") or {}
        found = []
        for reference in desired.arguments.get("deploy_to") or ():
            if not isinstance(reference, Reference):
                continue
            name = short_name(reference.address, desired.address)
            arguments = {
                "model": desired.address,
                "environment": reference.address,
                "replicas": int((deploy.get(name) or {}).get("replicas") or 1),
                "trust": tuple((desired.arguments.get("package") or {}).get("trust") or ()),
            }
            address = f"{desired.address}.deployment{key_text(name)}"
            found.append(
                Desired(
                    address,
                    "deployment",
                    name,
                    arguments,
                    (desired.address, reference.address),
                    parent=desired.address,
                    span=desired.span,
                    prevent_destroy=desired.prevent_destroy,
                )
            )
        return found

    def requires(self, desired: Desired, view: View) -> Sequence[str]:
        """Return nothing beyond its references."""
        return ()

    def observe(self, desired: Desired | None, record: Record | None, view: View) -> Observation:
        """Return the record's facts; whether artifacts are intact is looked at before they get traffic."""
        return Observation(dict(record.attributes) if record else None)

    def diff(self, desired: Desired | None, record: Record | None, seen: Observation, view: View) -> Change:
        """Return whether to train, judge again, take an earlier version, or keep what there is."""
        if desired is None:
            assert record is not None
            step = view.step(record, "remove", f"forget {record.address}; its artifacts stay in the store", {})
            return Change(record.address, self.name, Action.REMOVE, steps=(step,))
        prior: Mapping[str, Any] = record.attributes if record else {}
        snapshots, missing = _snapshots(desired, view)
        if missing:
            return self._keep(desired, prior, held=f"waits for {', '.join(missing)} to keep its contract")
        schema, broken = schemas(desired, record, view)
        made = recipe(desired.arguments, snapshots, view.root, desired.address, schema)
        made = unless_ignored(made, desired, prior)
        number = int(prior.get("last_version") or 0) + 1
        case = _Case(desired, record, made, prior, self._judged_on(desired, view), number, broken)
        return self._decide(case, view)

    def adopt(self, desired: Desired, identity: str, view: View) -> Change:
        """Return the change that makes a version of a model that exists already."""
        snapshots, missing = _snapshots(desired, view)
        if missing:
            detail = f"{desired.address} is judged on {', '.join(missing)}, which does not keep its contract. Mend that first."
            raise DiagnosticError(_cannot_import(detail))
        made = recipe(desired.arguments, snapshots, view.root, desired.address, schemas(desired, None, view)[0])
        return adopting.adopt(desired, identity, adopting.Wanted(made, self._judged_on(desired, view)), view)

    def _decide(self, case: _Case, view: View) -> Change:
        prior, digest = case.prior, case.recipe.digest
        asked = [a for a in answers(view, "retrain") if a.model == case.desired.address]
        rejected = (prior.get("rejected") or {}).get(digest)
        forced = view.replaces(case.desired.address)
        if digest == prior.get("recipe") and not forced:
            notes = tuple(
                ("cannot answer", f"{a.monitor}: there is no newer data, and the same recipe is never retrained")
                for a in asked
            )
            if case.judged_on != prior.get("judged_on"):
                return self._judge_again(case, view)
            return self._keep(case.desired, prior, notes=notes, record=case.record)
        if rejected and rejected.get("judged_on") == case.judged_on and not forced:
            kept = f"v{prior['version']}" if prior.get("version") else "no version"
            held = f"held at {kept} (v{rejected['version']} rejected: {rejected['reason']})"
            return self._keep(case.desired, prior, held=held, record=case.record)
        known = _version_of(prior, digest)
        if known is not None and not forced:
            return self._reuse(case, known, view)
        candidate = prior.get("candidate") or {}
        if candidate.get("recipe") == digest and not forced:
            return self._continue(case, candidate, view)
        return self._train(case, [a for a in asked if a.allowed], view)

    def _train(self, case: _Case, asked: list[Any], view: View) -> Change:
        desired, number = case.desired, case.next_version
        words = {n: _new_data(view, r.address) for n, r in desired.arguments["train"]["data"].items()}
        moved = differences(case.prior.get("recipe_parts"), case.recipe, words, case.broken)
        world = {f"train.data.{n} " for n, w in words.items() if w}
        reasons = [
            Reason(text, Cause.WORLD if any(text.startswith(w) for w in world) else Cause.FILES) for text in moved
        ]
        reasons += [Reason(f"{a.monitor}: {a.text}", Cause.WORLD) for a in asked]
        age = too_old(desired, view)
        reasons += [Reason(age, Cause.WORLD)] if age else []
        steps = [
            view.step(desired, f"test.{name}", f"run {test['run']}", {"recipe": case.recipe.digest, "run": test["run"]})
            for name, test in (desired.arguments.get("test") or {}).items()
        ]
        inputs = {
            "recipe": case.recipe.digest,
            "version": number,
            "parts": case.recipe.to_json(),
            "asked": [a.to_json() for a in asked],
        }
        steps.append(view.step(desired, "train", f"train v{number} (recipe {short(case.recipe.digest)})", inputs))
        steps += self._after_training(case, number, view)
        return self._change(case, reasons, steps, number, view)

    def _continue(self, case: _Case, candidate: Mapping[str, Any], view: View) -> Change:
        number = int(candidate["version"])
        if candidate["stage"] == "judged" and candidate.get("judged_on") == case.judged_on:
            held = f"v{number} is undecided: {candidate.get('reason')}"
            return self._keep(case.desired, case.prior, held=held, record=case.record)
        steps = self._after_training(case, number, view)
        if candidate["stage"] != "trained":
            steps = steps[1:]
        reasons = [Reason(f"v{number} is {candidate['stage']} and waits for its gates", Cause.WORLD)]
        return self._change(case, reasons, steps, number, view)

    def _after_training(self, case: _Case, number: int, view: View) -> list[Step]:
        inputs = {"recipe": case.recipe.digest, "version": number}
        judged = {**inputs, "judged_on": case.judged_on}
        count = len(case.desired.arguments.get("gate") or {})
        return [
            view.step(case.desired, "seal", f"seal the artifact of v{number}", inputs),
            view.step(case.desired, "evaluate", f"judge v{number} by {count} gate{'s' if count != 1 else ''}", judged),
        ]

    def _reuse(self, case: _Case, number: str, view: View) -> Change:
        inputs = {"version": int(number), "recipe": case.recipe.digest}
        step = view.step(case.desired, "reuse", f"take v{number} again: it was made by this recipe", inputs)
        reasons = (Reason(f"the recipe is that of v{number} again"),)
        fields = (FieldChange("version", case.prior.get("version"), int(number)),)
        planned = {**case.prior, "version": int(number), "recipe": case.recipe.digest}
        return Change(case.desired.address, self.name, Action.CHANGE, reasons, fields, (step,), planned)

    def _judge_again(self, case: _Case, view: View) -> Change:
        number = int(case.prior["version"])
        inputs = {"recipe": case.recipe.digest, "version": number, "judged_on": case.judged_on}
        step = view.step(case.desired, "rejudge", f"judge v{number} again", inputs)
        return Change(
            case.desired.address, self.name, Action.CHANGE, (Reason("gates or evaluation data changed; no retraining"),),
            (), (step,), dict(case.prior), questions=questions(case.desired.arguments, case.prior),
        )  # fmt: skip

    def _change(self, case: _Case, reasons: list[Reason], steps: list[Step], number: int, view: View) -> Change:
        address = case.desired.address
        unknown = Unknown(origin=f"known after training of {address}")
        planned: dict[str, Any] = dict.fromkeys(("artifact", "version", "trained_at", "metrics", "gate"), unknown)
        planned["recipe"] = case.recipe.digest
        fields = (
            FieldChange("recipe", short(case.prior.get("recipe")), short(case.recipe.digest)),
            FieldChange("artifact", short(case.prior.get("artifact")), unknown),
            FieldChange("version", case.prior.get("version"), f"{number} ?"),
        )
        seconds = case.prior.get("seconds") or []
        notes: list[tuple[str, str]] = []
        if seconds:
            mean = sum(seconds) / len(seconds)
            last = ", ".join(f"{s:.0f}" for s in seconds)
            notes.append(("cost", f"about {mean:.0f} s of training (last {len(seconds)} runs: {last} s)"))
        if not case.desired.arguments.get("gate"):
            notes.append(("gates", "none: what is trained will be served unjudged"))
        notes.append(("if a gate says no", f"{_stays(case, view)}, exit 3"))
        return Change(
            address,
            self.name,
            Action.ADD if not case.prior.get("version") else Action.RETRAIN,
            tuple(reasons),
            fields,
            tuple(steps),
            {**case.prior, **planned},
            questions=questions(case.desired.arguments, case.prior),
            notes=tuple(notes),
        )

    def _keep(
        self, desired: Desired, prior: Mapping[str, Any], *, held: str | None = None,
        notes: tuple[tuple[str, str], ...] = (), record: Record | None = None,
    ) -> Change:  # fmt: skip
        unknown = Unknown(origin=f"known after training of {desired.address}")
        empty = dict.fromkeys(("recipe", "artifact", "version", "trained_at", "metrics", "gate"), unknown)
        return Change(desired.address, self.name, Action.KEEP, planned=dict(prior) or empty, held=held, notes=notes)

    def _judged_on(self, desired: Desired, view: View) -> str:
        evaluate = desired.arguments.get("evaluate")
        record = view.record(desired.address)
        if record is not None and record.attributes.get("judged_on") and ignores(desired, "evaluate", "data"):
            asked = gates_digest(record.attributes.get(SETTINGS) or {})
            if asked == gates_digest(desired.arguments):  # other data to judge on does not count
                return str(record.attributes["judged_on"])
        snapshot = _planned_snapshot(evaluate["data"].address, view) if evaluate else None
        return digest_of([str(snapshot), gates_digest(desired.arguments)])

    def execute(self, step: Step, resumed: Operation | None, context: Context) -> Outcome:
        """Do a step."""
        if step.action == "remove":
            return Outcome(Result.DONE, "forgotten; its artifacts stay in the store", removed=True)
        if step.action.startswith("test."):
            return training.test(step, context)
        actions = {
            "train": training.train,
            "import": adopting.take_over,
            "seal": training.seal,
            "evaluate": judging.evaluate,
            "rejudge": judging.evaluate,
            "reuse": training.reuse,
        }
        return actions[step.action](step, context)

    def abandon(self, operation: Operation, context: Context) -> None:
        """End a training job that nobody wants any more."""
        training.cancel(operation, context)


def short(digest: Any) -> str | None:
    """Return a digest as people see it."""
    return str(digest).removeprefix("sha256:")[:12] if digest else None


def _version_of(prior: Mapping[str, Any], digest: str) -> str | None:
    versions: Mapping[str, Any] = prior.get("versions") or {}
    return next((number for number, v in reversed(list(versions.items())) if v["recipe"] == digest), None)


def _stays(case: _Case, view: View) -> str:
    """Return what goes on when the new version is refused: what is live now, which may not be the version accepted last."""
    live: dict[str, str] = {}
    for reference in case.desired.arguments.get("deploy_to") or ():
        name = short_name(reference.address, case.desired.address)
        record = view.record(f"{case.desired.address}.deployment{key_text(name)}")
        version = ((record.attributes.get("live") or {}) if record is not None else {}).get("version")
        if version is not None:
            live[name] = version
    if len(set(live.values())) == 1:
        return f"{next(iter(live.values()))} keeps all traffic"
    if live:
        return f"what is live keeps all traffic ({', '.join(f'{name} {version}' for name, version in live.items())})"
    if case.desired.arguments.get("deploy_to"):
        return "nothing is served"
    accepted = case.prior.get("version")
    return f"v{accepted} stays accepted" if accepted else "nothing is accepted"


def _planned_snapshot(address: str, view: View) -> Any:
    change = view.changes.get(address)
    return change.planned.get("snapshot") if change else None


def _snapshots(desired: Desired, view: View) -> tuple[dict[str, str], list[str]]:
    found, missing = {}, []
    for name, reference in desired.arguments["train"]["data"].items():
        snapshot = _planned_snapshot(reference.address, view)
        if isinstance(snapshot, str):
            found[name] = snapshot
        else:
            missing.append(reference.address)
    evaluate = desired.arguments.get("evaluate")
    if evaluate and not isinstance(_planned_snapshot(evaluate["data"].address, view), str):
        missing.append(evaluate["data"].address)
    return found, missing


def _new_data(view: View, address: str) -> str:
    change = view.changes.get(address)
    texts = [r.text for r in change.reasons if r.text.startswith("new snapshot")] if change else []
    return texts[0] if texts else ""


def _cannot_import(detail: str) -> Diagnostic:
    return Diagnostic("cannot-import", "This cannot be imported", detail)


def _command(detail: str) -> Diagnostic:
    return Diagnostic("invalid-command", "A command cannot be run", detail)
