"""What of a plan is carried out: --target, --exclude, --replace, --changed-since, --refresh-only, and the rules of unattended runs.

Everything is planned before anything is left out, so that what is left out can be named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mlplan.config.strict import article
from mlplan.engine import graph
from mlplan.engine.kind import Options, View
from mlplan.engine.moves import under
from mlplan.engine.types import Action, Cause, Change, Observation, Reason
from mlplan.lang.diagnostic import Diagnostic, suggestion
from mlplan.ledger.evidence import Evidence

REFRESH = "refresh"
"""The action word of a step that keeps fresh evidence and does nothing else; the executor does it itself."""

MADE_ANEW = (Action.ADD, Action.RETRAIN, Action.REPLACE)


@dataclass(frozen=True)
class Selection:
    """All changes, those that are left out without steps; what is left out, in words."""

    changes: tuple[Change, ...] = ()
    left: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def select(changes: Iterable[Change], observations: Mapping[str, Observation], view: View) -> Selection:
    """Return what the options leave of all changes."""
    every = {change.address: change for change in changes}
    options = view.options
    if options.refresh_only:
        known = {_same(evidence) for evidence in view.state.evidence.values()}
        return Selection(tuple(_seen(c, observations[c.address], known, view) for c in every.values()))
    diagnostics = [*_unmatched(every, options), *_not_replaced(every, options)]
    wanted = _wanted(every, options)
    chosen, left = [], []
    for change in every.values():
        why = _left_out(change, wanted, options)
        chosen.append(_without_steps(change) if why is not None else change)
        if why and change.steps:
            left.append(f"{change.address} ({change.action}): {why}")
    return Selection(tuple(chosen), tuple(left), tuple(diagnostics))


def _left_out(change: Change, wanted: set[str], options: Options) -> str | None:
    """Return why a change is not carried out, or None; empty when nobody expects it."""
    if options.only_kinds and change.kind not in options.only_kinds:
        return ""
    if change.address not in wanted:
        return "not selected"
    if options.unattended and change.action is Action.REMOVE:
        return "no longer in the files; removals need an attended apply"
    return None


def _without_steps(change: Change) -> Change:
    notes = (
        () if change.steps else change.notes
    )  # what it would cost, or wait for, says nothing when it does not happen
    return replace(
        change, action=Action.KEEP, steps=(), reasons=(), fields=(), questions=(), notes=notes, diagnostics=()
    )


def _wanted(every: Mapping[str, Change], options: Options) -> set[str]:
    """Return the selected addresses: with what they need; what is removed with what needs it."""
    needs = {address: change.dependencies for address, change in every.items()}
    needed_by = graph.reverse(needs)
    wanted = set(every)
    if options.imports:
        # Nothing but the import and what it needs: its dependencies are its own, see `Change`.
        wanted &= graph.closure([a for a in options.imports if a in every], needs)
    if options.changed is not None:
        roots = graph.closure([a for a in options.changed if a in every], needed_by)
        wanted &= graph.closure(roots, needs)
    if options.targets:
        roots = {a for a in every if any(under(a, t) for t in options.targets)}
        gone = {a for a in roots if every[a].action is Action.REMOVE}
        wanted &= graph.closure(roots - gone, needs) | graph.closure(gone, needed_by)
    if options.excludes:
        roots = {a for a in every if any(under(a, t) for t in options.excludes)}
        gone = {a for a in roots if every[a].action is Action.REMOVE}
        # What is not removed keeps what it needs; what is not made takes along what would need it.
        wanted -= graph.closure(roots - gone, needed_by) | graph.closure(gone, needs)
    return wanted


def _unmatched(every: Mapping[str, Change], options: Options) -> list[Diagnostic]:
    found = []
    for option, addresses in (("target", options.targets), ("exclude", options.excludes), ("replace", options.replace)):
        for wanted in addresses:
            if not any(under(address, wanted) for address in every):
                detail = f"--{option} {wanted} matches no instance in the files and no record in the state."
                hint = suggestion(wanted, every)
                found.append(Diagnostic("unknown-target", "Nothing has this address", detail, hint=hint))
    return found


def _not_replaced(every: Mapping[str, Change], options: Options) -> list[Diagnostic]:
    """Return what --replace asked for and its kind cannot do: better said than silently left as it is."""
    found = []
    for wanted in options.replace:
        change = every.get(wanted)
        below = [address for address in every if under(address, wanted)]
        if change is None and below:
            detail = f"--replace {wanted} names no instance. Instances below it:" + "".join(f"\n    {a}" for a in below)
        elif change is None or change.action in MADE_ANEW or change.diagnostics:
            continue
        elif change.held:
            detail = f"--replace {wanted}: nothing can be made anew now ({change.held})."
        else:
            detail = (
                f"--replace {wanted}: {article(change.kind)} has nothing of its own that could be made anew. Replace what it comes "
                "from, such as the model."
            )
        found.append(Diagnostic("cannot-replace", "This cannot be replaced", detail, address=wanted))
    return found


def _seen(change: Change, seen: Observation, known: set[tuple[object, ...]], view: View) -> Change:
    """Return a change that keeps what was observed, and nothing else."""
    fresh = [e for e in seen.evidence if _same(e) not in known]
    record = view.record(change.address)
    kept = replace(_without_steps(change), diagnostics=change.diagnostics)
    reasons = tuple(Reason(s, Cause.WORLD) for s in seen.surprises)
    if not fresh or record is None:
        return replace(kept, reasons=reasons)
    inputs = {"evidence": [e.to_json() for e in fresh]}
    noun = "measurement" if len(fresh) == 1 else "measurements"
    step = view.step(record, REFRESH, f"keep {len(fresh)} new {noun} of {change.address}", inputs)
    reasons = reasons or (Reason(f"{len(fresh)} new {noun}", Cause.WORLD),)
    return replace(kept, action=Action.CHANGE, reasons=reasons, steps=(step,), evidence=tuple(fresh))


def _same(evidence: Evidence) -> tuple[object, ...]:
    """Return what makes two measurements the same: everything but the moment."""
    return (
        evidence.subject, evidence.question, evidence.verdict, evidence.estimate, evidence.interval, evidence.n,
        tuple(sorted(evidence.inputs.items())), evidence.message,
    )  # fmt: skip
