"""The drift rules of a contract over a new snapshot: have its new rows moved away from what models learned, or from before?

Files that were only added are looked at alone: in all rows together, a month that is wrong would drown in the years before.
What is asked in production is the monitors' part; a rule that compares to a window of requests says nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from mlplan.engine.kind import Context, View
from mlplan.engine.types import Desired
from mlplan.kinds.data_contract.reading import Seen, contract_of, write_cache
from mlplan.kinds.services import Services
from mlplan.ledger.evidence import Evidence, Verdict, digest_of, worst
from mlplan.ledger.profile import Profile
from mlplan.ledger.records import Record


@dataclass(frozen=True)
class Memory:
    """Where records and stored documents are, for planning and for applying alike. Units: now seconds since the epoch."""

    record: Callable[[str], Record | None]
    records: Mapping[str, Record]
    blob: Callable[[str], bytes | None]
    services: Services
    now: float

    @staticmethod
    def of_view(view: View) -> Memory:
        """Return what a plan remembers."""
        return Memory(view.record, view.state.records, view.blob, view.services, view.now)

    @staticmethod
    def of_context(context: Context) -> Memory:
        """Return what an apply remembers."""
        return Memory(context.record, context.state.records, context.get_blob, context.services, context.now())


def with_drift(desired: Desired, record: Record | None, seen: Seen, memory: Memory) -> Seen:
    """Return what was seen and the evidence of the drift rules, when the snapshot is another one than that in use."""
    rules: Mapping[str, Any] = desired.arguments.get("drift") or {}
    prior: Mapping[str, Any] = record.attributes if record else {}
    if not rules or seen.attributes.get("rows") is None or seen.attributes["snapshot"] == prior.get("snapshot"):
        return seen
    watch = _Watch(desired, prior, seen.attributes, memory)
    evidence = [e for name, limits in rules.items() for e in watch.judge(name, limits)]
    if not evidence:
        return seen
    every = (*seen.evidence, *evidence)
    verdict = str(worst(e.verdict for e in every if e.severity == "block"))
    return Seen({**seen.attributes, "verdict": verdict}, every)


@dataclass(frozen=True)
class _Watch:
    """The rules of one contract over one new snapshot."""

    desired: Desired
    prior: Mapping[str, Any]
    found: Mapping[str, Any]
    memory: Memory

    def judge(self, name: str, limits: Mapping[str, Any]) -> list[Evidence]:
        """Return the evidence of one rule; nothing while there is nothing to compare with."""
        from mlplan.data.arrivals import new_files
        from mlplan.data.snapshot import Snapshot

        key = self._reference_key(str(limits.get("compare_to") or "training"))
        data = self.memory.blob(key) if key else None
        if data is None:
            return []
        whole = Snapshot.from_json(self.found["manifest"])
        before = Snapshot.from_json(self.prior["manifest"]) if self.prior.get("manifest") else None
        part = new_files(before, whole)
        subject = f"{self.desired.address}.drift.{name}"
        inputs = {"snapshot": whole.digest, "contract": str(self.found["contract"]), "reference": f"sha256:{key}"}
        asked = [subject, {k: v for k, v in limits.items() if k != "severity"}, (part or whole).digest, inputs]
        place = self.memory.services.cache / "drift" / f"{digest_of(asked).removeprefix('sha256:')}.json"
        found = _cached(place)
        if found is None:
            found = self._measured(subject, limits, Profile.from_json(orjson.loads(data)), part or whole, before)
            if all(e.verdict is not Verdict.ERROR for e in found):
                write_cache(place, {"evidence": [e.to_json() for e in found]})
        severity = str(limits.get("severity") or "warn")
        where = f" (in {_files(part)})" if part is not None else ""
        owner = str(self.desired.arguments.get("owner") or "")
        return [
            replace(e, severity=severity, inputs=inputs, owner=owner, message=f"{e.message}{where}", at=self.memory.now)
            for e in found
        ]

    def _measured(
        self, subject: str, limits: Mapping[str, Any], reference: Profile, current: Any, before: Any
    ) -> list[Evidence]:
        from mlplan.data.failure import QueryFailed
        from mlplan.data.profile import profile
        from mlplan.judge.drift import judge_drift

        contract, services = contract_of(self.desired), self.memory.services
        columns = [c for c in limits.get("columns") or reference.columns if c in contract.columns]
        rate, least = _number(limits, "false_alarm_rate", 0.01), int(_number(limits, "min_rows", 500))
        try:
            if limits.get("distance") == "classifier":
                return [self._joint(subject, limits, columns, current, before, least)]
            made = profile(contract, current, services.root, reference, columns, services.cache)
        except QueryFailed as failure:
            return [
                Evidence(subject, "drift", Verdict.ERROR, message=f"The new rows cannot be read: {failure.message}")
            ]
        return judge_drift(
            subject, reference, made, columns, limits.get("distance"), _number(limits, "at_most", 0.2), rate, least
        )

    def _joint(
        self, subject: str, limits: Mapping[str, Any], columns: list[str], current: Any, before: Any, least: int
    ) -> Evidence:
        from mlplan.data.read import sample_frame
        from mlplan.data.snapshot import verify
        from mlplan.judge.two_sample import MOST_ROWS, judge_joint

        services = self.memory.services
        problems = verify(before, services.root, services.cache) if before is not None else []
        if before is None or problems:
            why = problems[0].detail if problems else "There is no snapshot in use to compare with."
            return Evidence(subject, "the rows cannot be told apart", Verdict.ERROR, message=why)
        contract = contract_of(self.desired)
        usable = [c for c in columns if not contract.columns[c].pii]
        frames = [
            sample_frame(contract, s, services.root, usable, MOST_ROWS, cache=services.cache) for s in (before, current)
        ]
        return judge_joint(subject, frames[0], frames[1], _number(limits, "at_most", 0.6), least)

    def _reference_key(self, wanted: str) -> str | None:
        """Return the key of the profile that a rule compares to; what models learned from, until one did the one in use."""
        own = self.prior.get("profile")
        if wanted == "training":
            return self._training() or own
        if wanted == "previous":
            return own
        if wanted.startswith("data_contract."):
            record = self.memory.record(wanted)
            return record.attributes.get("profile") if record else None
        if wanted.startswith("sha256:"):
            kept = (self.prior.get("profiles") or {}).items()
            keys = {key for snapshot, key in kept if snapshot.startswith(wanted)}
            return keys.pop() if len(keys) == 1 else None
        return None

    def _training(self) -> str | None:
        """Return the profile of the rows that the newest accepted version of a model learned from."""
        newest: tuple[str, str] | None = None
        for record in self.memory.records.values():
            if record.kind != "model":
                continue
            versions: Mapping[str, Any] = record.attributes.get("versions") or {}
            entry: Mapping[str, Any] = versions.get(str(record.attributes.get("version"))) or {}
            for kept in (entry.get("profiles") or {}).values():
                if kept and kept["contract"] == self.desired.address and kept.get("profile"):
                    newest = max(newest or ("", ""), (str(entry.get("trained_at")), str(kept["profile"])))
        return newest[1] if newest else None


def _number(limits: Mapping[str, Any], name: str, default: float) -> float:
    value = limits.get(name)
    return default if value is None else float(value)


def _files(part: Any) -> str:
    return part.files[0].path if len(part.files) == 1 else f"{len(part.files)} new files"


def _cached(place: Path) -> list[Evidence] | None:
    try:
        documents: Iterable[Mapping[str, Any]] = orjson.loads(place.read_bytes())["evidence"]
        return [Evidence.from_json(document) for document in documents]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        place.unlink(missing_ok=True)  # a cache may be damaged at will; it is computed again
        return None
