"""The values of planning and applying: desired, observed, change, step, plan, outcome. All frozen; no behaviour beyond look-ups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.source import Span
from mlplan.lang.values import Unknown
from mlplan.ledger.evidence import Evidence
from mlplan.ledger.records import Operation, Record

_LEFT = re.compile(r"(.+) \((\w[\w ]*)\): ", re.DOTALL)


@dataclass(frozen=True)
class Desired:
    """What the files want of one address. arguments: decoded, may hold `Unknown`. parent: the address it was computed from.

    ignored: paths of arguments whose changes do not count; the empty path is all of them.
    """

    address: str
    kind: str
    name: str
    arguments: Mapping[str, Any]
    dependencies: tuple[str, ...] = ()
    provider: str | None = None
    parent: str | None = None
    span: Span | None = None
    prevent_destroy: bool = False
    ignored: tuple[tuple[str | int, ...], ...] = ()


@dataclass(frozen=True)
class Observation:
    """What the world says of one address.

    attributes: measured facts, plain JSON; None when nothing is there. evidence: fresh measurements. surprises: differences
    from the record that nobody planned, in words ("unit flights-v3 is not running"). diagnostics: what could not be seen.
    """

    attributes: Mapping[str, Any] | None = None
    evidence: tuple[Evidence, ...] = ()
    surprises: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


class Action(StrEnum):
    """What happens to an address as a whole."""

    KEEP = "keep"
    ADD = "add"
    CHANGE = "change"
    RETRAIN = "retrain"
    REPLACE = "replace"
    REMOVE = "remove"
    FORGET = "forget"
    MOVE = "move"
    IMPORT = "import"


class Cause(StrEnum):
    """Where a reason comes from; the rendering groups by it."""

    FILES = "files"
    WORLD = "world"


@dataclass(frozen=True)
class Reason:
    """Why something changes, in words."""

    text: str
    cause: Cause = Cause.FILES


@dataclass(frozen=True)
class FieldChange:
    """One attribute before and after; `after` may be `Unknown`. labels: of a nested block, how many it has; None: no block."""

    name: str
    before: Any
    after: Any
    labels: int | None = None


@dataclass(frozen=True)
class Step:
    """One unit of work: small, safe to repeat, with a deterministic token. needs: ids of steps that must be done before.

    free: it does not wait for what its address depends on, nor is it skipped with it: an alert must go out in any case.
    """

    id: str
    address: str
    kind: str
    action: str
    summary: str
    token: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    free: bool = False


@dataclass(frozen=True)
class Change:
    """What would happen to one address, and why.

    planned: computed attributes after the change, `Unknown` where only a run can tell. questions: gates that decide during
    apply, in words. notes: (label, text) lines such as ("waits for", "24h in staging"). held: why it stays at an earlier
    version. breach: what a monitor says. blocked: evidence that says no already. evidence: what is known. Filled in by the
    engine: moved_from, dependencies, before and after (arguments and computed attributes by name; before is None without a
    record and lacks arguments that its kind does not remember; both may hold `Unknown` and `Secret`), surprises (what the
    world shows that nobody planned).
    importing: the id of what exists already and is taken over. For an import, dependencies are what it needs itself.
    """

    address: str
    kind: str
    action: Action
    reasons: tuple[Reason, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    steps: tuple[Step, ...] = ()
    planned: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    questions: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    held: str | None = None
    breach: str | None = None
    blocked: tuple[Evidence, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    moved_from: str | None = None
    importing: str | None = None
    dependencies: tuple[str, ...] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    surprises: tuple[str, ...] = ()

    @property
    def cause(self) -> Cause:
        """Return WORLD when nobody edited files for this."""
        causes = {reason.cause for reason in self.reasons}
        return Cause.WORLD if causes == {Cause.WORLD} else Cause.FILES


@dataclass(frozen=True)
class OutputChange:
    """An output before and after. sensitive values are replaced before they come here."""

    name: str
    before: Any
    after: Any
    sensitive: bool = False


@dataclass(frozen=True)
class Given:
    """What the command line gave to the files when a plan was saved, so that applying it needs no repetition.

    withheld: variables whose values are sensitive; their values are nowhere in the plan and must be given again.
    programs: name -> version of mlplan and of the plug-ins.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    variable_files: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Everything an apply needs to know, and everything a reviewer wants to.

    serial and head: the state it was made from (head: digest over records, so that a journal without snapshot counts).
    config and pins: digests. created: seconds since the epoch. left: what would change and is not part of this, in words.
    unswept: runs that did not end (or still go on); apply searches the world for what they left.
    """

    id: str
    created: float
    lineage: str
    serial: int
    head: str
    config: str
    pins: str
    workspace: str
    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    outputs: tuple[OutputChange, ...] = ()
    pending: tuple[Operation, ...] = ()
    destroy: bool = False
    unattended: bool = False
    refresh_only: bool = False
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    unswept: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    given: Given = field(default_factory=Given)

    def change(self, address: str) -> Change | None:
        """Return the change of an address."""
        return next((change for change in self.changes if change.address == address), None)

    @property
    def is_empty(self) -> bool:
        """Tell whether applying would do nothing."""
        moves = any(change.moved_from is not None for change in self.changes)
        return not self.steps and not moves and all(isinstance(o.after, Unknown) for o in self.output_changes)

    @property
    def left_out(self) -> set[str]:
        """Return the addresses that would change and are not part of this."""
        return {match[1] for text in self.left if (match := _LEFT.match(text)) is not None}

    @property
    def output_changes(self) -> tuple[OutputChange, ...]:
        """Return the outputs whose value changes."""
        return tuple(output for output in self.outputs if output.before != output.after)


class Result(StrEnum):
    """How a step ended."""

    DONE = "done"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    """A gate or contract said no; what is live is untouched."""
    ROLLED_BACK = "rolled back"
    WAITING = "waiting"
    """Cannot say yet: rows, labels, approval, opening hours, soak, a rollout in progress."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Something it needs did not get done."""


@dataclass(frozen=True)
class Outcome:
    """What a step achieved. record: what the state shall keep now; None leaves it as it is. removed: the thing is gone."""

    result: Result
    summary: str
    record: Record | None = None
    removed: bool = False
    evidence: tuple[Evidence, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


EXIT_CODES = {
    Result.FAILED: 1,
    Result.ROLLED_BACK: 4,
    Result.REFUSED: 3,
    Result.WAITING: 5,
}
"""Exit code by result; the most serious wins in the order 1, 4, 3, 6, 5, 2, 0."""

SERIOUSNESS = (1, 4, 3, 6, 5, 2, 0)


def most_serious(codes: set[int]) -> int:
    """Return the exit code that wins."""
    return next((code for code in SERIOUSNESS if code in codes), 0)
