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
    return _look(desired, others, record, remembered, view.services, view.now)


def look_again(desired: Desired, record: Record | None, step: Step, context: Context) -> Seen:
    """Return what lies there at apply; refuse when it is not what the plan saw."""
    contract, _ = _contract(desired)
    others = {desired.address: desired}
    for address in contract.references:
        others[address] = context.desired(address)
    seen = _look(desired, others, None, (), context.services, context.now())
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
    return seen


def look_now(desired: Desired, contracts: Mapping[str, Desired], services: Services, now: float) -> Seen:
    """Return what lies there now, without state. contracts: all of the files, by address. Raises: DiagnosticError."""
    return _look(desired, contracts, None, (), services, now)


def _look(
    desired: Desired, others: Mapping[str, Desired], record: Record | None, remembered: tuple[Evidence, ...],
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
    key = digest_of(inputs)
    prior = record.attributes if record else {}
    if record is not None and prior.get("checked") == key and contract.fresh_within is None:
        return Seen({n: prior.get(n) for n in _NAMES}, remembered)
    rows, newest, evidence = _checked(contract, snapshot, against, inputs, services, now, key)
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
    }
    return Seen(attributes, evidence)


_NAMES = (
    "snapshot", "contract", "checked", "manifest", "rows", "newest", "verdict", "owner", "source", "column",
)  # fmt: skip


def _checked(
    contract: Any, snapshot: Any, against: Mapping[str, tuple[Any, Any]], inputs: Mapping[str, str],
    services: Services, now: float, key: str,
) -> tuple[int | None, Any, tuple[Evidence, ...]]:  # fmt: skip
    """Return rows, newest and evidence; checks over the same bytes and rules are remembered in the cache folder."""
    from mlplan.data.scan import Referenced, check

    place = services.cache / "checks" / f"{key.removeprefix('sha256:')}.json"
    if contract.fresh_within is None and place.exists():
        try:
            document = orjson.loads(place.read_bytes())
            return document["rows"], document["newest"], tuple(Evidence.from_json(e) for e in document["evidence"])
        except (ValueError, KeyError, TypeError):
            place.unlink(missing_ok=True)  # a cache may be damaged at will; it is computed again
    report = check(
        contract,
        snapshot,
        services.root,
        now=now,
        references={a: Referenced(*pair) for a, pair in against.items()},
        cache=services.cache,
    )
    evidence = tuple(_with_inputs(e, inputs) for e in report.evidence)
    if all(e.verdict is not Verdict.ERROR for e in evidence):
        _write(place, {"rows": report.rows, "newest": report.newest, "evidence": [e.to_json() for e in evidence]})
    return report.rows, report.newest, evidence


def _with_inputs(evidence: Evidence, inputs: Mapping[str, str]) -> Evidence:
    from dataclasses import replace

    return replace(evidence, inputs={**inputs, **evidence.inputs})


def _write(place: Path, document: Mapping[str, Any]) -> None:
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
