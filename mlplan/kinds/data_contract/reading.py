"""Looking at data for a contract: snapshot, checks (remembered by the digests of their inputs), profile, pin."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mlplan.engine.kind import Context, View
from mlplan.engine.types import Desired, Step
from mlplan.kinds.services import Services
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.values import Unknown
from mlplan.ledger.evidence import Evidence, Verdict, digest_of, worst
from mlplan.ledger.records import Record

_PROFILES_KEPT = 24


@dataclass(frozen=True)
class Seen:
    """What lies there now, as the record's attributes would say it, and the evidence of the checks."""

    attributes: dict[str, Any]
    evidence: tuple[Evidence, ...]


def look(desired: Desired, record: Record | None, view: View) -> Seen:
    """Return snapshot and checks. Raises: DiagnosticError when the data cannot be read."""
    others = {address: other for address, other in view.desired.items() if other.kind == "data_contract"}
    remembered: tuple[Evidence, ...] = ()
    if record is not None:
        remembered = tuple(view.state.evidence[d] for d in record.evidence if d in view.state.evidence)
    seen = _look(desired, others, record, remembered, view.services, view.now)
    return _with_drift(desired, record, seen, view=view)


def look_again(desired: Desired, record: Record | None, step: Step, context: Context) -> Seen:
    """Return what lies there at apply; refuse when it is not what the plan saw."""
    contract, _ = _contract(desired)
    others = {desired.address: desired}
    for address in contract.references:
        others[address] = context.desired(address)
    # what is remembered counts for what it says of earlier snapshots; the checks are made again, or taken from the cache
    seen = _look(desired, others, record, None, context.services, context.now())
    if seen.attributes["snapshot"] != step.inputs["snapshot"]:
        raise DiagnosticError(
            Diagnostic(
                "data-moved",
                "The data changed after the plan",
                f"The plan saw snapshot {short(step.inputs['snapshot'])}, now it is {short(seen.attributes['snapshot'])}. "
                "Plan and apply again.",
                address=desired.address,
            )
        )
    return _with_drift(desired, record, seen, context=context)


def _with_drift(
    desired: Desired, record: Record | None, seen: Seen, *, view: View | None = None, context: Context | None = None
) -> Seen:
    from mlplan.kinds.data_contract.drifting import Memory, with_drift

    if view is not None:
        return with_drift(desired, record, seen, Memory.of_view(view))
    assert context is not None
    return with_drift(desired, record, seen, Memory.of_context(context))


def look_now(desired: Desired, contracts: Mapping[str, Desired], services: Services, now: float) -> Seen:
    """Return what lies there now, without state. contracts: all of the files, by address. Raises: DiagnosticError."""
    return _look(desired, contracts, None, None, services, now)


def _look(
    desired: Desired, others: Mapping[str, Desired], record: Record | None, remembered: tuple[Evidence, ...] | None,
    services: Services, now: float,
) -> Seen:  # fmt: skip
    from mlplan.data.snapshot import Snapshot, take
    from mlplan.data.sources import resolve

    contract, digest = _contract(desired)
    source, problems = resolve(contract.source, services.root, contract.format, desired.address)
    if source is None:
        raise DiagnosticError(*problems)
    snapshot = take(source, services.cache)
    inputs: dict[str, str] = {"snapshot": snapshot.digest, "contract": digest}
    against: dict[str, tuple[Any, Snapshot]] = {}
    for address in contract.references:
        if address in others:
            against[address] = _other(others[address], services)
            inputs[address] = against[address][1].digest
    prior = record.attributes if record else {}
    earlier = _earlier_rows(contract, prior, services.pins.get(desired.address), snapshot.digest)
    key = digest_of({**inputs, "earlier rows": earlier} if earlier else inputs)
    if remembered is not None and prior.get("checked") == key and contract.fresh_within is None:
        return Seen({n: prior.get(n) for n in _NAMES}, remembered)
    rows, newest, stored, evidence = _checked(contract, snapshot, against, inputs, services, now, key, earlier)
    evidence = _dropped(evidence, prior.get("stored") or {})
    attributes = {
        "snapshot": snapshot.digest,
        "contract": digest,
        "checked": key,
        "manifest": snapshot.with_rows(rows).to_json(),
        "rows": rows,
        "newest": newest,
        "verdict": str(worst(e.verdict for e in evidence if e.severity == "block")),
        "owner": contract.owner,
        "source": contract.source,
        "column": {name: {"type": column.type} for name, column in contract.columns.items()},
        "stored": stored,
    }
    return Seen(attributes, evidence)


_NAMES = (
    "snapshot", "contract", "checked", "manifest", "rows", "newest", "verdict", "owner", "source", "column", "stored",
)  # fmt: skip


def _checked(
    contract: Any, snapshot: Any, against: Mapping[str, tuple[Any, Any]], inputs: Mapping[str, str],
    services: Services, now: float, key: str, earlier: list[int],
) -> tuple[int | None, Any, dict[str, str], tuple[Evidence, ...]]:  # fmt: skip
    """Return rows, newest, stored columns and evidence; checks over the same bytes and rules are remembered in the cache
    folder, all but that of the age, which grows.
    """
    from mlplan.data.child import check_apart
    from mlplan.data.scan import Referenced

    place = services.cache / "checks" / f"{key.removeprefix('sha256:')}.json"
    if place.exists():
        try:
            document = orjson.loads(place.read_bytes())
            kept = tuple(Evidence.from_json(e) for e in document["evidence"])
            aged = _aged(contract, kept, document["rows"], document["newest"], inputs, now)
            return document["rows"], document["newest"], document["stored"], aged
        except (ValueError, KeyError, TypeError):
            place.unlink(missing_ok=True)  # a cache may be damaged at will; it is computed again
    report = check_apart(
        contract,
        snapshot,
        services.root,
        now=now,
        references={a: Referenced(*pair) for a, pair in against.items()},
        cache=services.cache,
        previous_rows=earlier,
    )
    evidence = tuple(_with_inputs(e, inputs) for e in report.evidence)
    stored = dict(report.stored)
    if all(e.verdict is not Verdict.ERROR for e in evidence):
        documents = [e.to_json() for e in evidence]
        write_cache(place, {"rows": report.rows, "newest": report.newest, "stored": stored, "evidence": documents})
    return report.rows, report.newest, stored, evidence


def _aged(
    contract: Any, evidence: tuple[Evidence, ...], rows: int, newest: Any, inputs: Mapping[str, str], now: float
) -> tuple[Evidence, ...]:
    """Return evidence with the age of the data as of now."""
    if contract.fresh_within is None:
        return evidence
    from mlplan.data.findings import Finder
    from mlplan.data.freshness import judge_freshness

    fresh = judge_freshness(contract, newest, rows, now, Finder(contract, inputs, now))
    return tuple(fresh if e.subject == fresh.subject else e for e in evidence)


def _earlier_rows(contract: Any, prior: Mapping[str, Any], pin: Mapping[str, Any] | None, snapshot: str) -> list[int]:
    """Return the rows of earlier snapshots, newest first, when a rule asks for them; without a state, that of the pin."""
    if not any(rule.metric is not None and rule.metric.kind.history for rule in contract.quality.values()):
        return []
    found = [(str(s), rows) for s, rows in history_of(prior)]
    if not found and pin is not None:
        found = [(str(pin.get("snapshot")), pin.get("rows"))]
    known = [index for index, (digest, _) in enumerate(found) if digest == snapshot]
    found = found[: known[-1]] if known else found
    return [int(rows) for _, rows in reversed(found) if rows is not None]


def history_of(prior: Mapping[str, Any]) -> list[list[Any]]:
    """Return [snapshot, rows] of the snapshots that were in use, the newest last."""
    known: list[list[Any]] = list(prior.get("history") or ())
    if not known and prior.get("snapshot"):
        known = [[prior["snapshot"], prior.get("rows")]]
    return known


def history_with(prior: Mapping[str, Any], snapshot: str, rows: int | None) -> list[list[Any]]:
    """Return the history with a snapshot that is in use from now on."""
    known = [entry for entry in history_of(prior) if entry[0] != snapshot]
    return [*known, [snapshot, rows]][-_PROFILES_KEPT - 1 :]


def _dropped(evidence: tuple[Evidence, ...], stored: Mapping[str, Any]) -> tuple[Evidence, ...]:
    """Let a column that may be missing, and that was in the data until now, not go without somebody saying so."""
    from dataclasses import replace

    def judged(item: Evidence) -> Evidence:
        if item.severity != "warn" or item.details.get("absent") not in stored:
            return item
        return replace(item, severity="block", message=f"{item.message} It is in the snapshot in use.")

    return tuple(map(judged, evidence))


def _with_inputs(evidence: Evidence, inputs: Mapping[str, str]) -> Evidence:
    from dataclasses import replace

    return replace(evidence, inputs={**inputs, **evidence.inputs})


def write_cache(place: Path, document: Mapping[str, Any]) -> None:
    """Write a file of the cache folder, at once or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(orjson.dumps(document, default=str))
    temporary.replace(place)


def _contract(desired: Desired) -> tuple[Any, str]:
    from mlplan.data.contract import contract_from

    contract, problems = contract_from(desired.arguments, desired.address)
    if contract is None:
        raise DiagnosticError(*problems)
    return contract, contract.digest()


def contract_of(desired: Desired) -> Any:
    """Return the contract that `desired` declares. Raises: DiagnosticError."""
    return _contract(desired)[0]


def _other(desired: Desired, services: Services) -> tuple[Any, Any]:
    from mlplan.data.snapshot import take
    from mlplan.data.sources import resolve

    contract, _ = _contract(desired)
    source, problems = resolve(contract.source, services.root, contract.format, desired.address)
    if source is None:
        raise DiagnosticError(*problems)
    return contract, take(source, services.cache)


def profile_blob(desired: Desired, seen: Seen, context: Context) -> str:
    """Store the distribution profile of the snapshot and return its key."""
    from mlplan.data.profile import profile
    from mlplan.data.snapshot import Snapshot

    contract, _ = _contract(desired)
    made = profile(
        contract, Snapshot.from_json(seen.attributes["manifest"]), context.root, cache=context.services.cache
    )
    data = orjson.dumps(made.to_json(), option=orjson.OPT_SORT_KEYS)
    key = hashlib.sha256(data).hexdigest()
    context.put_blob(key, data)
    return key


def profiles_kept(prior: Mapping[str, Any], snapshot: str, profile: str) -> dict[str, str]:
    """Return the profiles of the newest snapshots, oldest first, for drift rules that name one or the one before."""
    kept = {s: p for s, p in (prior.get("profiles") or {}).items() if s != snapshot}
    return dict([*kept.items(), (snapshot, profile)][-_PROFILES_KEPT:])


def pin(desired: Desired, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in the lock file."""
    return {"source": attributes["source"], "snapshot": attributes["snapshot"], "rows": attributes["rows"]}


def words(prior: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return the difference of two snapshots in words."""
    from mlplan.data.snapshot import Snapshot, difference

    before = Snapshot.from_json(prior["manifest"]) if prior.get("manifest") else None
    return ", ".join(difference(before, Snapshot.from_json(found["manifest"])).words())


def short(digest: Any) -> str:
    """Return a digest as people see it."""
    return str(digest).removeprefix("sha256:")[:12] if digest else "nothing"


def unknown_in(value: Any) -> bool:
    """Tell whether anything below `value` is unknown yet."""
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Mapping):
        return any(unknown_in(v) for v in value.values())
    return isinstance(value, list | tuple) and any(unknown_in(v) for v in value)
