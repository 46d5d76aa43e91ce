"""Make a plan: decode, observe, diff in dependency order, link steps. Reads only; what it would do is data.

Two passes over the instances: the first decodes with what the state remembers, so that the world can be observed in parallel;
the second goes in dependency order with what each change would make true, and decodes again only what depends on a change.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlplan.config.program import Instance, Program
from mlplan.config.scopes import Evaluation
from mlplan.engine import graph
from mlplan.engine.fields import after, before, worded
from mlplan.engine.ignoring import as_remembered
from mlplan.engine.importing import wanted_imports
from mlplan.engine.kind import Adopts, Kind, Options, View
from mlplan.engine.memory import Memory, computed, with_children
from mlplan.engine.moves import moved_addresses, renamed, under, unresolved_moves
from mlplan.engine.outputs import output_changes, without_left_out
from mlplan.engine.selection import Selection, select
from mlplan.engine.triggers import MadeAnew, triggered, without_effects
from mlplan.engine.types import Action, Change, Desired, Observation, OutputChange, Plan, Reason
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, has_errors
from mlplan.lang.values import Unknown
from mlplan.ledger.evidence import digest_of
from mlplan.ledger.records import Record, State
from mlplan.spi.capabilities import Provider, ProviderError
from mlplan.spi.schema import BlockSchema

OBSERVERS = 64
"""Into how many portions the observing is cut; more than any parallelism, so that a slow one does not hold up many."""


@dataclass(frozen=True)
class World:
    """Everything around a plan that is not the files and not the state."""

    root: Path
    kinds: Mapping[str, Kind]
    provider: Callable[[str | None], Provider]
    services: Any
    blob: Callable[[str], bytes | None]
    put_blob: Callable[[str, bytes], None]
    now: float
    pins: str = ""
    workspace: str = "default"


@dataclass
class _Planning:
    """What grows while a plan is made."""

    program: Program
    state: State
    world: World
    options: Options
    desired: dict[str, Desired] = field(default_factory=dict)
    observations: dict[str, Observation] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)
    diagnostics: dict[Diagnostic, None] = field(default_factory=dict)
    below: dict[str, list[str]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    """What is taken over, by address: its id."""
    memory: Memory = field(init=False)
    view: View = field(init=False)
    recalled: Evaluation = field(init=False)
    """What the files mean with what the state remembers."""
    foreseen: Evaluation = field(init=False)
    """What they mean after the changes planned so far; each address is read only after it is planned."""

    def __post_init__(self) -> None:
        w = self.world
        self.memory = Memory.of(self.state.records, w.kinds)
        self.recalled = self.program.evaluation(self.memory.values)
        self.renew()
        self.view = View(
            w.root, self.state, self.options, w.now, w.provider, w.services, w.blob,
            self.desired, self.observations, self.changes,
        )  # fmt: skip

    def renew(self) -> None:
        """Forget what was worked out of the changes so far."""
        self.foreseen = self.program.evaluation(lambda address: _planned(self, address))


def make_plan(program: Program, state: State, world: World, options: Options) -> Plan:
    """Return the plan that would bring world and state to what the files want."""
    moves = moved_addresses(program, state)
    planning = _Planning(program, renamed(state, moves) if moves else state, world, options)
    planning.diagnostics.update(dict.fromkeys(unresolved_moves(program, state, moves)))
    instances = {} if options.destroy else {i.address: i for i in program.instances}
    for instance in instances.values():
        _decode(planning, instance, planning.recalled)
    if any(d.is_error for d in planning.diagnostics):
        return _finish(planning, Selection(), moves)
    planning.imports = wanted_imports(program, planning.desired, world.kinds, planning.view, planning.diagnostics)
    if any(d.is_error for d in planning.diagnostics):
        return _finish(planning, Selection(), moves)
    _observe_all(planning)
    order = _order(planning)
    for address in order:
        _plan_one(planning, address, instances)
    for record in planning.state.records.values():
        if record.address not in planning.desired:
            planning.changes[record.address] = _plan_removal(planning, record)
    selection = select(planning.changes.values(), planning.observations, planning.view)
    return _finish(planning, selection, moves)


def _decode(planning: _Planning, instance: Instance, evaluation: Evaluation) -> None:
    arguments, diagnostics = planning.program.decode(instance, evaluation)
    planning.diagnostics.update(dict.fromkeys(diagnostics))
    kind = planning.world.kinds[instance.kind]
    desired = desired_of(instance, arguments, planning.state.records.get(instance.address), kind.schema)
    if any(d.is_error for d in diagnostics):
        planning.desired[instance.address] = desired
        return
    problems = [d.at(instance.span, instance.address) for d in kind.check(desired)]
    problems += without_effects(instance, kind)
    planning.diagnostics.update(dict.fromkeys(problems))
    planning.desired[instance.address] = desired
    if not any(d.is_error for d in problems):
        for child in kind.children(desired):
            before = planning.desired.get(child.address)
            # Decoded a second time, a child keeps what the order was made by.
            planning.desired[child.address] = replace(child, dependencies=before.dependencies) if before else child


def desired_of(instance: Instance, arguments: Mapping[str, Any], record: Record | None, schema: BlockSchema) -> Desired:
    """Return what the files want of an instance, with ignored changes as its record remembers them."""
    wanted = Desired(
        instance.address, instance.kind, instance.name, arguments, tuple(instance.dependencies), instance.provider,
        span=instance.span, prevent_destroy=instance.lifecycle.prevent_destroy,
        ignored=instance.lifecycle.ignored,
    )  # fmt: skip
    return as_remembered(wanted, record, schema) if wanted.ignored else wanted


def _observe_all(planning: _Planning) -> None:
    addresses = list(dict.fromkeys([*planning.desired, *planning.state.records]))

    def observe(address: str) -> Observation:
        desired, record = planning.desired.get(address), planning.view.record(address)
        kind = planning.world.kinds.get(desired.kind if desired else _kind_of(record))
        if kind is None:
            return Observation(diagnostics=(_unknown_kind(record),))
        if record is not None and not planning.options.refresh:
            return Observation(attributes=dict(record.attributes))
        try:
            return kind.observe(desired, record, planning.view)
        except ProviderError as error:
            return Observation(diagnostics=(from_provider(error, address),))
        except DiagnosticError as error:
            return Observation(diagnostics=tuple(d.at(address=address) for d in error.diagnostics))

    # In portions: a task for every address would cost more than most of them take.
    portions = [addresses[start::OBSERVERS] for start in range(min(OBSERVERS, len(addresses)))]
    with ThreadPoolExecutor(max_workers=planning.options.parallelism) as pool:
        for portion, seen in zip(portions, pool.map(lambda p: [observe(a) for a in p], portions), strict=True):
            planning.observations.update(zip(portion, seen, strict=True))


def _unknown_kind(record: Record | None) -> Diagnostic:
    assert record is not None
    detail = (
        f'The state remembers {record.address} as a "{record.kind}", which this mlplan does not know. Use the version or the plug-in '
        f"that made it, or forget it: mlplan state rm {record.address!r}"
    )
    return Diagnostic("unknown-kind", "The state holds something of an unknown kind", detail, address=record.address)


def _kind_of(record: Record | None) -> str:
    assert record is not None
    return record.kind


def from_provider(error: ProviderError, address: str) -> Diagnostic:
    """Return a provider's refusal as a diagnostic."""
    return Diagnostic("provider-error", error.summary, error.detail, address=address)


def _order(planning: _Planning) -> list[str]:
    needs: dict[str, list[str]] = {}
    for address, desired in planning.desired.items():
        kind = planning.world.kinds[desired.kind]
        needs[address] = [*desired.dependencies, *kind.requires(desired, planning.view)]
        every = tuple(dict.fromkeys(needs[address]))
        if every != desired.dependencies:
            planning.desired[address] = replace(desired, dependencies=every)
    return graph.in_order(needs)


def _plan_one(planning: _Planning, address: str, instances: Mapping[str, Instance]) -> None:
    desired = planning.desired[address]
    moved = any(planning.changes[d].action is not Action.KEEP for d in desired.dependencies if d in planning.changes)
    if moved and address in instances:
        _decode(planning, instances[address], planning.foreseen)
        desired = planning.desired[address] = replace(planning.desired[address], dependencies=desired.dependencies)
        if any(d.is_error and d.address == address for d in planning.diagnostics):
            planning.changes[address] = Change(address, desired.kind, Action.KEEP, dependencies=desired.dependencies)
            return
    seen = planning.observations[address]
    kind = planning.world.kinds[desired.kind]
    why = triggered(instances[address], planning.view, planning.world.kinds) if address in instances else None
    if why is not None and isinstance(kind, MadeAnew):
        planning.view.forced[address] = why
    try:
        if has_errors(seen.diagnostics):  # what cannot be seen is not taken for gone
            change = Change(address, desired.kind, Action.KEEP)
        elif address in planning.imports:
            change = _adopted(planning, kind, desired)
        else:
            change = kind.diff(desired, planning.view.record(address), seen, planning.view)
    except (DiagnosticError, ProviderError) as error:
        found = error.diagnostics if isinstance(error, DiagnosticError) else (from_provider(error, address),)
        change = Change(
            address, desired.kind, Action.KEEP, diagnostics=tuple(d.at(desired.span, address) for d in found)
        )
    if address in planning.view.forced and change.steps:
        change = replace(change, reasons=(Reason(f"{why} changes, which replaces this"), *change.reasons))
    unseen = tuple(d.at(desired.span, address) for d in seen.diagnostics if d not in change.diagnostics)
    if desired.parent is not None:
        planning.below.setdefault(desired.parent, []).append(address)
        planning.renew()  # what was read of its parent lacks it
    planning.changes[address] = _completed(
        change,
        dependencies=desired.dependencies if change.importing is None else change.dependencies,
        diagnostics=(*unseen, *change.diagnostics),
        fields=worded(change.fields, kind.schema),
        before=before(change, desired, planning.view.record(address), kind.schema),
        after=after(change, desired, kind.schema),
        surprises=seen.surprises,
    )


def _completed(change: Change, **fields: Any) -> Change:
    """Return a change with fields filled in; `replace` would take a third of the time of a plan in which little changes."""
    done = object.__new__(Change)
    done.__dict__.update(change.__dict__, **fields)
    return done


def _adopted(planning: _Planning, kind: Kind, desired: Desired) -> Change:
    identity = planning.imports[desired.address]
    assert isinstance(kind, Adopts), "checked by wanted_imports"
    return replace(kind.adopt(desired, identity, planning.view), importing=identity)


def _planned(planning: _Planning, address: str) -> dict[str, Any] | None:
    change = planning.changes.get(address)
    if change is None:
        return planning.memory.values(address)
    kinds = planning.world.kinds
    below = [planning.changes[child] for child in planning.below.get(address, ())]
    return with_children(
        address,
        computed(kinds, change.kind, address, change.planned),
        [(child.address, computed(kinds, child.kind, child.address, child.planned)) for child in below],
    )


def _plan_removal(planning: _Planning, record: Record) -> Change:
    kind = planning.world.kinds.get(record.kind)
    if kind is None:
        return Change(
            record.address, record.kind, Action.KEEP, dependencies=record.dependencies
        )  # `_observe_all` refuses
    if any(under(record.address, removed.address) for removed in planning.program.removed if not removed.destroy):
        step = planning.view.step(record, "forget", f"forget {record.address}, leave it running", {})
        change = Change(record.address, record.kind, Action.FORGET, steps=(step,))
    else:
        change = kind.diff(None, record, planning.observations[record.address], planning.view)
        if change.action is Action.REMOVE and planning.program.protects(record.address):
            change = replace(change, diagnostics=(*change.diagnostics, _protected(record.address)))
    reason = "destroy was asked for" if planning.options.destroy else "no longer in the files"
    return replace(
        change,
        reasons=change.reasons or (Reason(reason),),
        dependencies=record.dependencies,
        before=before(change, None, record, kind.schema),
    )


def _protected(address: str) -> Diagnostic:
    detail = (
        f"The files protect {address} by lifecycle.prevent_destroy, and this plan would remove it. Take that out first."
    )
    return Diagnostic("prevent-destroy", "This is protected against removal", detail, address=address)


def _finish(planning: _Planning, selection: Selection, moves: Mapping[str, str]) -> Plan:
    state, world, options = planning.state, planning.world, planning.options
    came_from = {new: old for old, new in moves.items()}
    changes = [
        replace(c, moved_from=came_from[c.address], action=Action.MOVE if c.action is Action.KEEP else c.action)
        if c.address in came_from
        else c
        for c in selection.changes
    ]
    diagnostics = [*planning.diagnostics, *selection.diagnostics, *(d for c in changes for d in c.diagnostics)]
    failed = any(d.is_error for d in diagnostics)
    if not failed and not options.destroy:
        final = planning.program.evaluation(lambda address: _planned(planning, address))
        diagnostics += [*planning.program.postconditions(final), *planning.program.checks(final)]
        failed = any(d.is_error for d in diagnostics)
    outputs = () if failed else _outputs(planning, selection)
    return Plan(
        id=uuid.uuid4().hex,
        created=world.now,
        lineage=state.lineage,
        serial=state.serial,
        head=state_digest(state),
        config=planning.program.digest,
        pins=world.pins,
        workspace=world.workspace,
        changes=tuple(changes),
        steps=() if failed else graph.link_steps(changes),
        outputs=outputs,
        pending=tuple(state.operations.values()),
        destroy=options.destroy,
        unattended=options.unattended,
        refresh_only=options.refresh_only,
        targets=options.targets,
        excludes=options.excludes,
        replace=options.replace,
        left=selection.left,
        diagnostics=tuple(dict.fromkeys(diagnostics)),
    )


def _outputs(planning: _Planning, selection: Selection) -> tuple[OutputChange, ...]:
    """Return the outputs as they will be: what is left out of the plan stays as it is remembered."""
    left = {c.address for c in selection.changes if not c.steps and planning.changes[c.address].steps}

    def values(address: str) -> dict[str, Any] | None:
        return planning.memory.values(address) if address in left else _planned(planning, address)

    found = output_changes(planning.program, planning.state, planning.options, values)
    found = without_left_out(
        found, planning.program.output_needs, left, {c.address for c in selection.changes if c.steps}
    )
    return tuple(o for o in found if not (left and isinstance(o.after, Unknown)))


def state_digest(state: State) -> str:
    """Return what a saved plan compares: two states are the same for it when they have the same records and operations."""
    return digest_of(
        [
            state.lineage,
            sorted(
                (r.address, r.generation, r.status, r.inputs, digest_of(dict(r.attributes)))
                for r in state.records.values()
            ),
            sorted(state.operations),
        ]
    )
