"""Nouns that touch nothing: what `mock_provider` puts in the place of training, serving and reading data.

A mocked noun keeps its schema, its checks and its place in the order; its steps only make up computed attributes. They are known
after apply, as real ones would be, and before that only where an override says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlplan.engine.kind import Context, Kind, View, new_record
from mlplan.engine.plain import plain
from mlplan.engine.types import Action, Change, Desired, Observation, Outcome, Reason, Result, Step
from mlplan.lang.diagnostic import Diagnostic
from mlplan.ledger.evidence import digest_of
from mlplan.ledger.records import Operation, Record
from mlplan.spi.schema import BlockSchema

MADE_UP: Mapping[str, Mapping[str, Any]] = {
    "data_contract": {"snapshot": "sha256:" + "0" * 64, "rows": 0, "newest": None, "verdict": "pass", "profile": {}},
    "model": {
        "recipe": "sha256:" + "0" * 64, "artifact": "sha256:" + "0" * 64, "version": 1, "metrics": {}, "gate": {},
        "trained_at": "2000-01-01T00:00:00Z",
    },
    "deployment": {
        "version": "v1", "previous": None, "traffic": {"v1": 100}, "step": "stable", "url": "http://mocked.invalid", "rejected": {},
    },
    "environment": {"ready": True},
    "monitor": {"verdict": "pass", "since": None, "watch": {}},
}  # fmt: skip


@dataclass
class Mocking:
    """What is mocked and with which values. given: computed attributes by address; planned: those known when planning already."""

    mocked: frozenset[str]
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    given: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    planned: frozenset[str] = frozenset()
    default_provider: str = "local"

    def covers(self, thing: Desired | Record | None) -> bool:
        """Tell whether an instance is mocked: its provider is, or it has an override of its own."""
        if thing is None:
            return False
        return thing.address in self.given or (thing.provider or self.default_provider) in self.mocked

    def values(self, kind: str, address: str, schema: BlockSchema) -> dict[str, Any]:
        """Return the computed attributes of a mocked instance: overrides over defaults over made-up ones."""
        made_up = {name: f"mock-{name}" for name in schema.computed if name not in ("deployment",)}
        known = {n: v for n, v in MADE_UP.get(kind, {}).items() if n in schema.computed}
        return {**made_up, **known, **self.defaults.get(kind, {}), **self.given.get(address, {})}


class MockedKind:
    """Stands before a kind: mocked instances are handled here, all others by the kind itself."""

    def __init__(self, kind: Kind, mocking: Mocking) -> None:
        self.real = kind
        self.name = kind.name
        self.schema = kind.schema
        self._mocking = mocking

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def check(self, desired: Desired) -> Sequence[Diagnostic]:
        """Return what the kind finds wrong."""
        return self.real.check(desired)

    def children(self, desired: Desired) -> Sequence[Desired]:
        """Return the kind's children."""
        return self.real.children(desired)

    def requires(self, desired: Desired, view: View) -> Sequence[str]:
        """Return what the kind requires."""
        return self.real.requires(desired, view)

    def observe(self, desired: Desired | None, record: Record | None, view: View) -> Observation:
        """Return what the record says."""
        if self._mocking.covers(desired or record):
            return Observation(dict(record.attributes) if record is not None else None)
        return self.real.observe(desired, record, view)

    def diff(self, desired: Desired | None, record: Record | None, seen: Observation, view: View) -> Change:
        """Return a change with one step that makes values up."""
        if not self._mocking.covers(desired or record):
            return self.real.diff(desired, record, seen, view)
        if desired is None:
            assert record is not None
            step = view.step(record, "mock-remove", f"remove {record.address} (mocked)", {})
            return Change(record.address, self.name, Action.REMOVE, steps=(step,))
        inputs = _inputs(desired)
        if record is not None and record.inputs == inputs:
            return Change(desired.address, self.name, Action.KEEP, planned=record.attributes)
        known = self._mocking.given.get(desired.address, {}) if desired.address in self._mocking.planned else {}
        action, why = (Action.ADD, "not there yet") if record is None else (Action.CHANGE, "its arguments changed")
        step = view.step(desired, "mock", f"make up {desired.address} (mocked)", {"inputs": inputs})
        return Change(desired.address, self.name, action, (Reason(why),), steps=(step,), planned=known)

    def execute(self, step: Step, resumed: Operation | None, context: Context) -> Outcome:
        """Make values up, or forget them."""
        if step.action == "mock-remove":
            return Outcome(Result.DONE, "removed (mocked)", removed=True)
        if step.action != "mock":
            return self.real.execute(step, resumed, context)
        desired = context.desired(step.address)
        values = self._mocking.values(self.name, step.address, self.schema)
        record = new_record(
            desired, context.record(step.address), context.state.lineage, values, inputs=_inputs(desired)
        )
        return Outcome(Result.DONE, "made up (mocked)", record=record)

    def abandon(self, operation: Operation, context: Context) -> None:
        """Clean up after a real step; a mocked one leaves nothing."""
        if not operation.action.startswith("mock"):
            self.real.abandon(operation, context)


def mocked_kinds(kinds: Mapping[str, Kind], mocking: Mocking) -> dict[str, Kind]:
    """Return the kinds with a mock before each."""
    wrap: Callable[[Kind], Kind] = lambda kind: MockedKind(kind, mocking)  # noqa: E731
    return {name: wrap(kind) for name, kind in kinds.items()}


def _inputs(desired: Desired) -> str:
    return digest_of(plain(dict(desired.arguments)))
