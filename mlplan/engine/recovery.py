"""What a run does first: take up or clean up what an earlier run left unfinished, and search the world for its objects.

A step that is still wanted, with the same token, is done again by its kind: it finds what is there by name and token, and adopts,
finishes or repeats. One that nobody wants any more is cleaned up. Where that cannot be told or done now, the address is blocked,
with what depends on it, and everything else goes on.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlplan.engine.events import Event
from mlplan.engine.kind import Claims, Context, Kind
from mlplan.engine.types import Plan
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.records import Operation, Record, State
from mlplan.ledger.session import Session
from mlplan.spi.capabilities import Provider, ProviderError, Serves, Splits
from mlplan.spi.store import StoreError


@dataclass(frozen=True)
class Recovered:
    """resumed: operations of steps that go on, by step id. blocked: why nothing may be done at an address now."""

    resumed: Mapping[str, Operation] = field(default_factory=dict)
    blocked: Mapping[str, Diagnostic] = field(default_factory=dict)


@dataclass(frozen=True)
class Orphan:
    """An object of this state in the world that no record names."""

    name: str
    address: str
    what: str


def recover(plan: Plan, kinds: Mapping[str, Kind], session: Session, context: Context) -> Recovered:
    """Go through the open intents. Raises: StoreError."""
    wanted = {(step.id, step.token) for step in plan.steps}
    resumed: dict[str, Operation] = {}
    blocked: dict[str, Diagnostic] = {}
    for operation in list(session.state.operations.values()):
        if (operation.step, operation.token) in wanted:
            resumed[operation.step] = operation
            continue
        problem = _abandon(operation, kinds, context)
        if problem is not None:
            blocked[operation.address] = problem
            continue
        session.abort(operation.address, operation.step, "no longer wanted")
        context.tell(Event("note", operation.address, f"cleaned up the unfinished step {operation.step}"))
    return Recovered(resumed, blocked)


def _abandon(operation: Operation, kinds: Mapping[str, Kind], context: Context) -> Diagnostic | None:
    """Clean up after a step; return why that cannot be done now."""
    kind = kinds.get(operation.kind)
    why = f'This mlplan knows no kind "{operation.kind}".'
    if kind is not None:
        try:
            kind.abandon(operation, context)
        except StoreError:
            raise
        except ProviderError as error:
            why = f"{error.summary}: {error.detail}"
        except DiagnosticError as error:
            why = "; ".join(d.detail or d.summary for d in error.diagnostics)
        except Exception as error:  # a bug in a kind must not keep everything else from going on
            context.tell(Event("log", operation.address, traceback.format_exc()))
            why = f"mlplan made a mistake here ({type(error).__name__}: {error})."
        else:
            return None
    detail = (
        f"Run {operation.run} left the step {operation.step} unfinished, and it cannot be cleaned up now. {why} "
        "Nothing is done at this address and what needs it; the next apply tries again."
    )
    return Diagnostic("recovery-blocked", "An unfinished step cannot be cleaned up", detail, address=operation.address)


def names_of(state: State, kinds: Mapping[str, Kind]) -> set[str]:
    """Return every name in the world that the records of a state account for."""
    found: set[str] = set()
    for record in state.records.values():
        kind = kinds.get(record.kind)
        found |= set(kind.claims(record, state)) if isinstance(kind, Claims) else set(_texts(record))
    return found


def _texts(record: Record) -> Iterator[str]:
    """Yield every text in a record: a kind that does not say which names are its own keeps all it mentions."""
    queue: list[Any] = [record.physical_name, dict(record.attributes)]
    for item in queue:  # grows while it is walked
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            queue += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple):
            queue += item


def find_orphans(
    state: State, runs: Iterable[str], providers: Iterable[Provider], kinds: Mapping[str, Kind]
) -> list[tuple[Provider, Orphan]]:
    """Return the objects that interrupted runs made and no record names. Raises: ProviderError.

    What belongs to an address with an open intent is left to that intent.
    """
    known, busy = names_of(state, kinds), set(state.operations)
    found = []
    for provider in providers:
        for run in runs:
            mine = {"mlplan.lineage": state.lineage, "mlplan.run": run}
            every: list[tuple[str, Any]] = []
            if isinstance(provider, Splits):
                every += [("endpoint", status) for status in provider.list_endpoints(mine)]
            if isinstance(provider, Serves):
                every += [("unit", status) for status in provider.list_units(mine)]
            for what, status in every:
                address = status.labels.get("mlplan.address", "")
                open_there = any(address == a or address.startswith((a + ".", a + "[")) for a in busy)
                if status.name not in known and not open_there:
                    found.append((provider, Orphan(status.name, address, what)))
    return found


def sweep(
    session: Session, names: Iterable[str | None], provider: Callable[[str | None], Provider],
    kinds: Mapping[str, Kind], tell: Callable[[Event], None],
) -> tuple[Diagnostic, ...]:  # fmt: skip
    """Remove what interrupted runs left in the world; return why it could not be done, to be tried again by the next run.

    Raises: StoreError.
    """
    runs = session.state.unswept
    if not runs:
        return ()
    state = session.state
    try:
        removed = []
        every = {
            id(found): found for found in (provider(name) for name in dict.fromkeys(names))
        }  # names may mean the same one
        for owner, orphan in find_orphans(state, runs, every.values(), kinds):
            if orphan.what == "endpoint" and isinstance(owner, Splits):
                owner.remove_endpoint(orphan.name)
            elif isinstance(owner, Serves):
                owner.remove_unit(orphan.name)
            removed.append({"address": orphan.address, "name": orphan.name})
            tell(Event("note", orphan.address, f"removed {orphan.what} {orphan.name}, which an interrupted run left"))
    except (ProviderError, DiagnosticError) as error:
        why = error.detail or error.summary if isinstance(error, ProviderError) else error.diagnostics[0].detail
        detail = f"Runs {', '.join(runs)} did not end, and what they left cannot be searched for: {why} The next apply tries again."
        return (
            Diagnostic("sweep-failed", "The world could not be searched for leftovers", detail, severity="warning"),
        )
    if not state.operations:
        session.swept(runs, removed)
    elif removed:
        session.swept((), removed)
    return ()
