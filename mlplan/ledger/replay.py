"""From a snapshot and journal entries to the present state. Pure: no clock, no files; the same entries give the same
state.

`Builder` is the mutable inside: 10,000 entries must not copy 10,000 records each. It hands out frozen states and
copies a map only when it changes one that it has handed out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlplan.ledger.codec import record_from
from mlplan.ledger.damage import damaged
from mlplan.ledger.evidence import Evidence
from mlplan.ledger.journal import Entry
from mlplan.ledger.records import Happening, Operation, Record, State
from mlplan.ledger.renaming import renamed_record

KEPT_HAPPENINGS = 1000
"""Older lines are in the blobs of the audit log."""
KEPT_PLANS = 1000
"""A saved plan names its serial, so an older one is refused as stale anyway."""
KEPT_EVIDENCE = 5000
"""Evidence that nothing refers to any more but that may be reused, the newest."""


class LedgerMisuse(RuntimeError):  # noqa: N818  (a bug of the caller, named like one)
    """The caller broke an invariant of the journal: a second intent at one address, an outcome without intent."""


def apply(state: State, entry: Entry) -> State:
    """Return the state after one entry. Raises: LedgerMisuse."""
    return replay(state, (entry,))


def replay(state: State, entries: Iterable[Entry]) -> State:
    """Return the state after all entries, in linear time. Raises: LedgerMisuse."""
    builder = Builder(state)
    for entry in entries:
        builder.apply(entry)
    return builder.freeze()


def replay_read(state: State, entries: Iterable[Entry]) -> State:
    """Return the state after entries that were read from a store. Raises: StoreDamaged when they make no sense."""
    try:
        return replay(state, entries)
    except (LedgerMisuse, KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(f"The journal holds an entry that does not fit the state ({error}).") from None


class Builder:
    """The state while entries are applied to it. Not thread-safe."""

    def __init__(self, state: State) -> None:
        self._lineage = state.lineage
        self._serial = state.serial
        self._open_run = state.open_run
        self._maps: dict[str, dict[str, Any]] = {
            "records": dict(state.records),
            "operations": dict(state.operations),
            "evidence": dict(state.evidence),
            "generations": dict(state.generations),
        }
        self._shared: set[str] = set()
        self._outputs = state.outputs
        self._history = list(state.history)
        self._audit = state.audit
        self._unswept = state.unswept
        self._run: Mapping[str, Any] = {}
        self._plans = deque(state.used_plans, maxlen=KEPT_PLANS)
        self._frozen: State | None = None

    def record(self, address: str) -> Record | None:
        """Return the record at an address."""
        found: Record | None = self._maps["records"].get(address)
        return found

    def operation(self, address: str) -> Operation | None:
        """Return the open intent at an address."""
        found: Operation | None = self._maps["operations"].get(address)
        return found

    def freeze(self) -> State:
        """Return the present state; free of charge when nothing changed since the last time."""
        if self._frozen is None:
            self._shared = set(self._maps)
            self._frozen = State(
                lineage=self._lineage,
                serial=self._serial,
                outputs=self._outputs,
                history=tuple(self._history),
                open_run=self._open_run,
                used_plans=tuple(self._plans),
                unswept=self._unswept,
                audit=self._audit,
                **self._maps,
            )
        return self._frozen

    def check(self, entry: Entry) -> None:
        """Raise LedgerMisuse when `entry` may not follow."""
        address = str(entry.data.get("address", ""))
        if entry.type == "intent":
            operation = entry.data["operation"]
            present = self.operation(operation["address"])
            if present is not None and (present.step, present.token) != (operation["step"], operation["token"]):
                raise LedgerMisuse(
                    f'{operation["address"]} has an open intent for step "{present.step}"; a second one for '
                    f'"{operation["step"]}" must wait for its outcome'
                )
        elif entry.type in ("accepted", "progress", "done", "failed", "unknown", "abort"):
            present = self.operation(address)
            if present is None:
                raise LedgerMisuse(f'{address} has no open intent that "{entry.type}" could belong to')
            step = entry.data.get("step", present.step)
            if step != present.step:
                raise LedgerMisuse(f'{address} has an open intent for step "{present.step}", not for "{step}"')
        elif entry.type == "taint" and self.record(address) is None:
            raise LedgerMisuse(f"{address} has no record to taint")

    def apply(self, entry: Entry) -> None:
        """Take one entry in. Raises: LedgerMisuse."""
        self.check(entry)
        self._frozen = None
        getattr(self, f"_on_{entry.type}")(entry, entry.data)

    def _edit(self, name: str) -> dict[str, Any]:
        if name in self._shared:
            self._maps[name] = dict(self._maps[name])
            self._shared.discard(name)
        return self._maps[name]

    def _on_run_begin(self, entry: Entry, data: Any) -> None:
        if self._open_run is not None and self._open_run not in self._unswept:
            self._unswept = (*self._unswept, self._open_run)
        self._open_run = entry.run
        self._run = data

    def _on_run_end(self, entry: Entry, data: Any) -> None:
        self._open_run = None
        command, who = self._run.get("command", ""), self._run.get("who", "")
        self._tell(entry, "", self._run.get("operation", "run"), command, data["outcome"], who)

    def _on_swept(self, entry: Entry, data: Any) -> None:
        self._unswept = tuple(run for run in self._unswept if run not in data["runs"])
        for found in data["removed"]:
            self._tell(entry, found["address"], "sweep", f"removed {found['name']}, which no record names", "done")

    def _on_intent(self, entry: Entry, data: Any) -> None:
        operation = Operation(**data["operation"])
        self._edit("operations")[operation.address] = operation

    def _on_accepted(self, entry: Entry, data: Any) -> None:
        self._change(data["address"], accepted=data["handle"])

    def _on_progress(self, entry: Entry, data: Any) -> None:
        self._change(data["address"], progress=data["document"])

    def _change(self, address: str, **facts: Any) -> None:
        operations = self._edit("operations")
        operations[address] = replace(operations[address], **facts)

    def _on_record(self, entry: Entry, data: Any) -> None:
        record = record_from(data["record"])
        self._edit("records")[record.address] = record

    def _on_done(self, entry: Entry, data: Any) -> None:
        operation: Operation = self._edit("operations").pop(data["address"])
        digests = self._take_evidence(data["evidence"])
        if data["record"] is not None:
            self._on_record(entry, data)
        if data["removed"]:
            self._remove(data["address"])
        self._happen(entry, operation.action, data["summary"], data["outcome"], digests)

    def _on_failed(self, entry: Entry, data: Any) -> None:
        operation: Operation = self._edit("operations").pop(data["address"])
        self._happen(entry, operation.action, data["reason"], "failed", self._take_evidence(data.get("evidence", ())))

    def _on_unknown(self, entry: Entry, data: Any) -> None:
        # The intent stays open: the next run looks at the world and decides.
        self._happen(entry, self._maps["operations"][data["address"]].action, data["reason"], "unknown")

    def _on_abort(self, entry: Entry, data: Any) -> None:
        operation: Operation = self._edit("operations").pop(data["address"])
        self._happen(entry, operation.action, data["reason"], "aborted")

    def _on_adopt(self, entry: Entry, data: Any) -> None:
        self._edit("operations").pop(data["address"], None)
        self._on_record(entry, data)
        self._happen(entry, "adopt", data["reason"], "done")

    def _on_taint(self, entry: Entry, data: Any) -> None:
        records = self._edit("records")
        records[data["address"]] = replace(records[data["address"]], status="tainted")
        self._happen(entry, "taint", data["reason"], "done")

    def _on_forget(self, entry: Entry, data: Any) -> None:
        self._edit("operations").pop(data["address"], None)
        self._remove(data["address"])
        self._happen(entry, "forget", data["reason"], "done")

    def _on_move(self, entry: Entry, data: Any) -> None:
        moves: Mapping[str, str] = data["moves"]
        records = self._edit("records")
        renamed: list[Record] = []
        for address, record in list(records.items()):
            dependencies = tuple(moves.get(d, d) for d in record.dependencies)
            if address in moves or dependencies != record.dependencies:
                del records[address]
                renamed.append(renamed_record(record, moves))
        records.update({record.address: record for record in renamed})
        for old, new in moves.items():
            operation = self._edit("operations").pop(old, None)
            if operation is not None:
                self._edit("operations")[new] = replace(operation, address=new)
            self._tell(entry, new, "move", f"was {old}", "done", data.get("who", ""))

    def _remove(self, address: str) -> None:
        record: Record | None = self._edit("records").pop(address, None)
        if record is not None:
            self._edit("generations")[address] = record.generation

    def _on_evidence(self, entry: Entry, data: Any) -> None:
        self._take_evidence(data["evidence"])

    def _take_evidence(self, documents: Any) -> tuple[str, ...]:
        digests = []
        for document in documents:
            evidence = Evidence.from_json(document)
            digests.append(evidence.digest())
            self._edit("evidence")[digests[-1]] = evidence
        return tuple(digests)

    def _on_decision(self, entry: Entry, data: Any) -> None:
        summary = f"{data['what']}: {data['why']}" if data["why"] else data["what"]
        self._happen(entry, "decision", summary, data["outcome"], tuple(data["evidence"]))

    def _on_outputs(self, entry: Entry, data: Any) -> None:
        self._outputs = data["values"]

    def _on_plan_used(self, entry: Entry, data: Any) -> None:
        self._plans.append(data["id"])

    def _happen(self, entry: Entry, action: str, summary: str, outcome: str, evidence: tuple[str, ...] = ()) -> None:
        self._tell(entry, entry.data.get("address", ""), action, summary, outcome, entry.data.get("who", ""), evidence)

    def _tell(
        self, entry: Entry, address: str, action: str, summary: str, outcome: str, who: str = "",
        evidence: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self._history.append(
            following(self._history, Happening(entry.at, address, action, summary, outcome, entry.run, who, evidence))
        )


def following(history: Sequence[Happening], line: Happening) -> Happening:
    """Return `line` numbered and chained to the last one of `history`."""
    if not history:
        return replace(line, number=1, previous="")
    return replace(line, number=history[-1].number + 1, previous=history[-1].digest())


def compact(state: State) -> State:
    """Return the state that a snapshot keeps: the newest `KEPT_HAPPENINGS` lines of history, and of the evidence that
    nothing refers to the newest `KEPT_EVIDENCE`.
    """
    state = replace(state, history=state.history[-KEPT_HAPPENINGS:])
    if len(state.evidence) <= KEPT_EVIDENCE:
        return state
    used = {digest for record in state.records.values() for digest in record.evidence}
    used.update(digest for happening in state.history for digest in happening.evidence)
    loose = sorted((digest for digest in state.evidence if digest not in used), key=lambda d: (state.evidence[d].at, d))
    dropped = set(loose[:-KEPT_EVIDENCE])
    return replace(state, evidence={d: e for d, e in state.evidence.items() if d not in dropped})
