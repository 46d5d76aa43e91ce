"""The kind `data_contract`: which bytes are in use, whether they keep the contract, and when new bytes may be taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mlplan.data.changes import ContractChange
from mlplan.engine.kind import Context, View, new_record
from mlplan.engine.types import Action, Cause, Change, Desired, FieldChange, Observation, Outcome, Reason, Result, Step
from mlplan.kinds.data_contract import evolution, reading
from mlplan.kinds.data_contract.arrived import arrived
from mlplan.kinds.data_contract.schema import SCHEMA
from mlplan.kinds.monitor.answers import data_to_refresh
from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.values import Unknown
from mlplan.ledger.evidence import Evidence, Verdict, worst
from mlplan.ledger.records import Operation, Record
from mlplan.spi.schema import BlockSchema

OTHER_PIN = "the lock file has another pin"


class DataContractKind:
    """A data set, its rules and its pinned snapshot."""

    name = "data_contract"
    anew = "its data is read and checked again"
    schema: BlockSchema = SCHEMA

    def check(self, desired: Desired) -> Sequence[Diagnostic]:
        """Return what is wrong with columns and rules."""
        from mlplan.data.contract import contract_from

        if reading.unknown_in(desired.arguments):
            return ()
        return contract_from(desired.arguments, desired.address)[1]

    def children(self, desired: Desired) -> Sequence[Desired]:
        """Return nothing."""
        return ()

    def requires(self, desired: Desired, view: View) -> Sequence[str]:
        """Return nothing beyond its references."""
        return ()

    def observe(self, desired: Desired | None, record: Record | None, view: View) -> Observation:
        """Take the snapshot of what lies there now, and check it unless these bytes were checked against these rules."""
        if desired is None:
            return Observation(dict(record.attributes) if record else None)
        seen = reading.look(desired, record, view)
        return Observation(seen.attributes, seen.evidence)

    def diff(self, desired: Desired | None, record: Record | None, seen: Observation, view: View) -> Change:
        """Return whether a snapshot is taken, refused, or left for review."""
        if desired is None:
            assert record is not None
            step = view.step(record, "remove", f"forget the pin of {record.address}; the data stays", {})
            return Change(record.address, self.name, Action.REMOVE, steps=(step,))
        prior = dict(record.attributes) if record else {}
        if seen.attributes is None:
            return Change(desired.address, self.name, Action.KEEP, planned=prior or self._unknown(desired))
        found = dict(seen.attributes)
        blocked = tuple(e for e in seen.evidence if e.blocks)
        same = found["snapshot"] == prior.get("snapshot") and found["contract"] == prior.get("contract")
        pinned = self._pinned(view, desired.address) == found["snapshot"]
        anew = view.replaces(desired.address)
        if same and pinned and prior.get("verdict") == found["verdict"] and not anew:
            return Change(
                desired.address,
                self.name,
                Action.KEEP,
                planned=prior,
                evidence=seen.evidence,
                held=self._bad(prior),
            )
        refusal = [found["snapshot"], found["contract"]]
        if blocked and (prior.get("refused") or {}).get("what") == refusal:
            held = f"held at {reading.short(prior.get('snapshot'))} (new data refused: {prior['refused']['reason']})"
            return Change(desired.address, self.name, Action.KEEP, planned=prior or self._unknown(desired), held=held)
        waiting = self._left_for_review(desired, record, found, view)
        if waiting:
            return Change(desired.address, self.name, Action.KEEP, planned=prior, notes=(("new data", waiting),))
        return self._take(desired, record, found, seen.evidence, blocked, view)

    def _take(
        self, desired: Desired, record: Record | None, found: dict[str, Any],
        evidence: tuple[Evidence, ...], blocked: tuple[Evidence, ...], view: View,
    ) -> Change:  # fmt: skip
        prior = dict(record.attributes) if record else {}
        changed = evolution.rule_changes(desired, prior.get("contract"), view)
        reasons = self._reasons(prior, found, record is None, changed)
        anew = record is not None and view.replaces(desired.address)
        if anew:
            reasons = (
                *(r for r in reasons if r.text != OTHER_PIN),
                Reason("reading and checking it again was asked for"),
            )
        inputs = {"snapshot": found["snapshot"], "contract": found["contract"]}
        verdict = "refuse" if blocked else "pin"
        rows = f"{found['rows']:,} rows" if found["rows"] is not None else "what can be read"
        summary = f"check {rows} and {verdict} snapshot {reading.short(found['snapshot'])}"
        step = view.step(desired, "validate", summary, inputs)
        names = ("snapshot", "rows", "newest")
        fields = tuple(
            FieldChange(n, _shown(n, prior.get(n)), _shown(n, found.get(n)))
            for n in names
            if prior.get(n) != found.get(n) and not blocked
        )
        planned = {**prior, **{n: found[n] for n in (*names, "verdict")}, "manifest": found["manifest"]}
        planned |= {"column": found["column"], "contract": found["contract"]}
        return Change(
            desired.address,
            self.name,
            Action.ADD if record is None else Action.REPLACE if anew else Action.CHANGE,
            reasons,
            fields,
            (step,),
            (prior or self._unknown(desired)) if blocked else planned,
            evidence=evidence,
            notes=(*evolution.rule_notes(changed, desired.address, view), *arrived(desired, prior, found, view)),
            blocked=blocked,
        )

    def _reasons(
        self, prior: dict[str, Any], found: dict[str, Any], new: bool, changed: Sequence[ContractChange] | None
    ) -> tuple[Reason, ...]:
        if new or not prior.get("snapshot"):
            return (Reason("not checked yet"),)
        reasons = []
        if found["snapshot"] != prior["snapshot"]:
            reasons.append(Reason(f"new snapshot: {reading.words(prior, found)}", Cause.WORLD))
        if found["contract"] != prior.get("contract"):
            reasons.append(Reason("the rules changed" if changed is None else evolution.change_summary(changed)))
        return tuple(reasons) or (Reason(OTHER_PIN),)

    def _left_for_review(
        self, desired: Desired, record: Record | None, found: dict[str, Any], view: View
    ) -> str | None:
        if record is None or not view.options.unattended or desired.arguments.get("accept") == "automatic":
            return None
        if found["snapshot"] == record.attributes.get("snapshot"):
            return None
        if desired.address in data_to_refresh(view):
            return None
        return f'{reading.words(dict(record.attributes), found)}; waits for an attended apply (accept = "reviewed")'

    def _pinned(self, view: View, address: str) -> str | None:
        pin = view.services.pins.get(address)
        return None if pin is None else str(pin.get("snapshot"))

    def _bad(self, prior: dict[str, Any]) -> str | None:
        return None if prior.get("verdict") == Verdict.PASS else "this data breaks its contract"

    def _unknown(self, desired: Desired) -> dict[str, Any]:
        origin = f"known after {desired.address} keeps its contract"
        return {name: Unknown(origin=origin) for name in ("snapshot", "rows", "newest", "verdict", "profile")}

    def execute(self, step: Step, resumed: Operation | None, context: Context) -> Outcome:
        """Check once more that the bytes are those of the plan; pin or refuse them."""
        if step.action == "remove":
            context.services.pins.drop(step.address)
            return Outcome(Result.DONE, "forgotten; the data is where it was", removed=True)
        desired = context.desired(step.address)
        record = context.record(step.address)
        seen = reading.look_again(desired, record, step, context)
        blocked = [e for e in seen.evidence if e.blocks]
        digests = tuple(e.digest() for e in seen.evidence)
        prior = dict(record.attributes) if record else {}
        if blocked:
            reason = "; ".join(e.message or e.question for e in blocked)
            refused = {"what": [seen.attributes["snapshot"], seen.attributes["contract"]], "reason": reason}
            kept = new_record(desired, record, context.lineage, {**prior, "refused": refused}, evidence=digests)
            return Outcome(Result.REFUSED, f"refused: {reason}", kept, evidence=seen.evidence)
        attributes = {**seen.attributes, "refused": None, "profile": reading.profile_blob(desired, seen, context)}
        attributes["profiles"] = reading.profiles_kept(prior, str(attributes["snapshot"]), attributes["profile"])
        attributes["history"] = reading.history_with(prior, str(attributes["snapshot"]), attributes["rows"])
        attributes["verdict"] = str(worst(e.verdict for e in seen.evidence if e.severity == "block"))
        kept = new_record(desired, record, context.lineage, attributes, evidence=digests)
        evolution.keep_definition(desired, context)
        context.services.pins.put(step.address, reading.pin(desired, attributes))
        return Outcome(Result.DONE, f"{attributes['rows']:,} rows keep the contract", kept, evidence=seen.evidence)

    def abandon(self, operation: Operation, context: Context) -> None:
        """Nothing is left behind: a check only reads."""


def _shown(name: str, value: Any) -> Any:
    """Return an attribute as people read it."""
    if value is None or name == "rows":
        return value
    if name == "newest":
        return datetime.fromtimestamp(float(value), UTC).isoformat(sep=" ", timespec="seconds")
    return reading.short(value)
