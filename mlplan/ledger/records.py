"""Records, operations and the state: what mlplan remembers. All frozen; `replay` makes the next state from the last one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlplan.ledger.evidence import Evidence, digest_of

FORMAT = 2
"""Version of the document; `upgrade` brings older ones here."""


@dataclass(frozen=True)
class Record:
    """What the state keeps of one address.

    attributes: plain JSON; secrets only as references or keyed digests. inputs: digest of the arguments it was last made from.
    token: names the objects in the world that belong to it. generation: rises with a durable destroy or replace.
    evidence: digests into `State.evidence`. dependencies: direct ones.
    """

    address: str
    kind: str
    attributes: Mapping[str, Any]
    inputs: str = ""
    schema_version: int = 1
    provider: str | None = None
    physical_name: str = ""
    token: str = ""
    generation: int = 1
    status: Literal["ready", "tainted"] = "ready"
    evidence: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    created_serial: int = 0
    updated_serial: int = 0


@dataclass(frozen=True)
class Operation:
    """An intent that has no outcome yet: what was about to happen, and what is known of it since.

    step: the step's identity in its plan. action: its action word. inputs: the step's inputs, plain JSON. accepted: facts that
    find the running thing again (job handle). progress: the newest progress document (a rollout's state). run: whose it was.
    """

    address: str
    step: str
    action: str
    kind: str
    token: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    accepted: Mapping[str, Any] | None = None
    progress: Mapping[str, Any] | None = None
    run: str = ""
    started: float = 0.0


@dataclass(frozen=True)
class Happening:
    """One line of the audit log: something that was decided or done, by whom and why. at: seconds since the epoch.

    number: counts from 1 over the whole life of a state. previous: digest of the line before, so that no line can be
    altered, taken out or put in unnoticed.
    """

    at: float
    address: str
    action: str
    summary: str
    outcome: str
    run: str = ""
    who: str = ""
    evidence: tuple[str, ...] = ()
    number: int = 0
    previous: str = ""

    def digest(self) -> str:
        """Return the digest that the next line carries."""
        return digest_of({name: getattr(self, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class State:
    """Everything remembered at one moment.

    open_run: a run that began and did not end (killed, or running now). unswept: runs that did not end and whose objects
    in the world were not looked for since. generations: the last generation of addresses that were destroyed, so that a
    later object under the same address gets a name of its own. history: the newest lines of the audit log; audit: key of
    the blob with the lines before, which names the one before it.
    """

    lineage: str
    serial: int = 0
    records: Mapping[str, Record] = field(default_factory=dict)
    operations: Mapping[str, Operation] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Happening, ...] = ()
    open_run: str | None = None
    used_plans: tuple[str, ...] = ()
    generations: Mapping[str, int] = field(default_factory=dict)
    unswept: tuple[str, ...] = ()
    audit: str = ""

    def next_generation(self, address: str) -> int:
        """Return the generation of the object that a create or replace at `address` would make."""
        record = self.records.get(address)
        return (record.generation if record else self.generations.get(address, 0)) + 1
