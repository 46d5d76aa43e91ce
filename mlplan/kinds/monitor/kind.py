"""The kind `monitor`: a breach is drift. It shows in the plan, is told once, and is answered by the kinds it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlplan.engine.events import Event
from mlplan.engine.kind import Context, View, new_record
from mlplan.engine.plain import plain
from mlplan.engine.types import Action, Cause, Change, Desired, Observation, Outcome, Reason, Result, Step
from mlplan.kinds.monitor import answers
from mlplan.kinds.monitor.schema import SCHEMA
from mlplan.kinds.monitor.watching import watch_all
from mlplan.lang.diagnostic import Diagnostic
from mlplan.ledger.evidence import Verdict, digest_of, worst
from mlplan.ledger.records import Operation, Record
from mlplan.spi.schema import BlockSchema


class MonitorKind:
    """Watches over a deployment."""

    name = "monitor"
    schema: BlockSchema = SCHEMA

    def check(self, desired: Desired) -> Sequence[Diagnostic]:
        """Return what is wrong with watches and answers."""
        found = []
        watches: Mapping[str, Any] = desired.arguments.get("watch") or {}
        for name, rule in watches.items():
            drift, service = rule.get("drift"), rule.get("error_rate") or rule.get("p95_latency")
            if bool(drift) == bool(service):
                found.append(
                    _invalid(f'watch "{name}" needs either drift, or limits of the service (error_rate, p95_latency).')
                )
            elif drift and (len(drift.path) != 2 or drift.path[0] != "drift"):
                found.append(
                    _invalid(
                        f'watch "{name}": drift names a rule, as in data_contract.NAME.drift.RULE; it names {drift}.'
                    )
                )
        for name in desired.arguments.get("on_breach") or {}:
            if name not in watches:
                found.append(
                    _invalid(f'on_breach "{name}" answers no watch of this monitor. Watches: {", ".join(watches)}.')
                )
        return found

    def children(self, desired: Desired) -> Sequence[Desired]:
        """Return nothing."""
        return ()

    def requires(self, desired: Desired, view: View) -> Sequence[str]:
        """Return the deployment that is watched."""
        address = answers.deployment_of(desired)
        return (address,) if address in view.desired else ()

    def observe(self, desired: Desired | None, record: Record | None, view: View) -> Observation:
        """Measure every watch over its newest windows."""
        if desired is None:
            return Observation(dict(record.attributes) if record else None)
        watched = watch_all(desired, view)
        deployment = view.record(answers.deployment_of(desired))
        live = ((deployment.attributes.get("live") or {}) if deployment else {}).get("version")
        watches = {
            name: {"verdict": str(w.verdict), "breached": w.breached, "message": w.message}
            for name, w in watched.items()
        }
        evidence = tuple(e for w in watched.values() for e in w.evidence)
        return Observation({"watches": watches, "live": live}, evidence)

    def diff(self, desired: Desired | None, record: Record | None, seen: Observation, view: View) -> Change:
        """Return what is breached, what is new about that, and what answers it."""
        if desired is None:
            assert record is not None
            step = view.step(record, "remove", f"stop watching {record.address}", {})
            return Change(record.address, self.name, Action.REMOVE, steps=(step,))
        prior: Mapping[str, Any] = record.attributes if record else {}
        watches: Mapping[str, Any] = (seen.attributes or {}).get("watches") or {}
        live = (seen.attributes or {}).get("live")
        breached = {name: w for name, w in watches.items() if w["breached"]}
        known = {n for n, b in (prior.get("breached") or {}).items() if b["version"] == live}
        inputs = digest_of(plain(desired.arguments))
        notes = tuple(("answer", line) for line in self._answers(desired, breached, view))
        text = "; ".join(f"{name}: {w['message']}" for name, w in breached.items()) or None
        planned = {**prior, "verdict": str(worst(Verdict(w["verdict"]) for w in watches.values()))}
        # Too little seen to say is no end of a breach: at night nobody asks, and the trouble is there in the morning.
        ended = {name for name in known if watches.get(name, {}).get("verdict", "pass") == "pass"}
        fresh, over = sorted(set(breached) - known), sorted(ended - set(breached))
        common: dict[str, Any] = {"planned": planned, "breach": text, "notes": notes, "evidence": seen.evidence}
        if record is None or (record.inputs != inputs and prior.get("settings") != plain(desired.arguments)):
            action = Action.ADD if record is None else Action.CHANGE
            reason = Reason("not watched yet" if record is None else "watches changed")
            step = view.step(desired, "watch", f"watch {desired.arguments['model']}", {"inputs": inputs})
            return Change(desired.address, self.name, action, (reason,), steps=(step,), **common)
        if not fresh and not over:
            return Change(desired.address, self.name, Action.KEEP, **common)
        reasons = [Reason(f"{n}: {breached[n]['message']}", Cause.WORLD) for n in fresh]
        reasons += [Reason(f"{n} is over", Cause.WORLD) for n in over]
        from dataclasses import replace

        summary = ", ".join([*(f"tell of {n}" for n in fresh), *(f"tell that {n} is over" for n in over)])
        words = {n: breached[n]["message"] for n in fresh}
        step = view.step(desired, "alert", summary, {"fresh": words, "over": over, "version": live})
        steps = (replace(step, free=True),)
        return Change(desired.address, self.name, Action.CHANGE, tuple(reasons), steps=steps, **common)

    def _answers(self, desired: Desired, breached: Mapping[str, Any], view: View) -> list[str]:
        lines = []
        for do in ("retrain", "propose_retrain", "rollback", "alert"):
            for answer in answers.answers(view, do):
                if answer.monitor == desired.address:
                    refused = "" if answer.allowed else "; not now"
                    words = (
                        "an attended apply with the newest data retrains" if do == "propose_retrain" else answer.budget
                    )
                    lines.append(f"{answer.watch}: {do}, {words}{refused}")
        return lines

    def execute(self, step: Step, resumed: Operation | None, context: Context) -> Outcome:
        """Keep the watch, or tell of what changed."""
        if step.action == "remove":
            return Outcome(Result.DONE, "no longer watched", removed=True)
        desired, record = context.desired(step.address), context.record(step.address)
        prior: Mapping[str, Any] = record.attributes if record else {}
        inputs = digest_of(plain(desired.arguments))
        if step.action == "watch":
            attributes = {
                **prior,
                "settings": plain(desired.arguments),
                "breached": prior.get("breached") or {},
                "verdict": prior.get("verdict", "inconclusive"),
            }
            kept = new_record(desired, record, context.lineage, attributes, inputs=inputs)
            return Outcome(Result.DONE, "watching", kept)
        now, version = context.now(), step.inputs["version"]
        breached = {n: b for n, b in (prior.get("breached") or {}).items() if n not in step.inputs["over"]}
        for name, message in step.inputs["fresh"].items():
            breached[name] = {"since": now, "message": message, "version": version}
            context.tell(Event("alert", step.address, f"{name}: {message}", step.id, data=self._notify(desired, name)))
        for name in step.inputs["over"]:
            context.tell(Event("alert", step.address, f"{name} is over", step.id, data=self._notify(desired, name)))
        verdict = "fail" if breached else "pass"
        since = min((b["since"] for b in breached.values()), default=None)
        attributes = {**prior, "breached": breached, "verdict": verdict, "since": since}
        kept = new_record(desired, record, context.lineage, attributes, inputs=inputs)
        return Outcome(Result.DONE, step.summary, kept)

    def _notify(self, desired: Desired, watch: str) -> dict[str, Any]:
        rule = (desired.arguments.get("on_breach") or {}).get(watch) or {}
        return {"notify": [str(plain(target)) for target in rule.get("notify") or ()]}

    def abandon(self, operation: Operation, context: Context) -> None:
        """Nothing is left behind."""


def _invalid(detail: str) -> Diagnostic:
    return Diagnostic("invalid-watch", "This monitor cannot watch", detail)
