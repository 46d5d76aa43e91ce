"""What is made anew although nothing of it changed: because it was asked for, or because something changes that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from mlplan.config.addresses import key_text
from mlplan.config.lifecycle import without_effect
from mlplan.config.program import Instance
from mlplan.config.strict import article
from mlplan.engine.ignoring import SETTINGS
from mlplan.engine.kind import Kind, View
from mlplan.engine.plain import plain
from mlplan.engine.types import Action, Change
from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.syntax import AttributeStep, IndexStep, Traversal
from mlplan.lang.values import Unknown

CHANGING = (Action.CHANGE, Action.RETRAIN, Action.REPLACE)


@runtime_checkable
class MadeAnew(Protocol):
    """A kind that has something that can be made anew. anew: what then happens, in words."""

    anew: str


def triggered(instance: Instance, view: View, kinds: Mapping[str, Kind]) -> str | None:
    """Return what of replace_triggered_by changes in this plan, as the files name it; None when nothing does.

    Everything that an instance depends on is planned already. What is new, or goes, triggers nothing.
    """
    if view.record(instance.address) is None:
        return None
    for traversal in instance.lifecycle.replace_triggered_by:
        for address, rest in _named(instance, traversal, view):
            change = view.changes.get(address)
            if change is not None and change.steps and change.action in CHANGING and _moves(change, rest, view, kinds):
                return str(traversal)
    return None


def _named(instance: Instance, traversal: Traversal, view: View) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the addresses that a reference names, with the steps that lead on from there."""
    name = traversal.steps[0] if traversal.steps else None
    if not isinstance(name, AttributeStep):
        return []
    made = instance.around.instances.get(f"{traversal.root}.{name.name}", {})
    steps = tuple(traversal.steps[1:])
    if steps and isinstance(steps[0], IndexStep):
        made = {key: one for key, one in made.items() if key == steps[0].key}
        steps = steps[1:]
    found = []
    for one in made.values():
        child = None
        if len(steps) > 1 and isinstance(steps[0], AttributeStep) and isinstance(steps[1], IndexStep):
            child = f"{one.address}.{steps[0].name}{key_text(steps[1].key)}"
        found.append((child, steps[2:]) if child in view.changes else (one.address, steps))
    return [(address, rest) for address, rest in found if address is not None]


def _moves(change: Change, rest: tuple[Any, ...], view: View, kinds: Mapping[str, Kind]) -> bool:
    """Tell whether what a reference leads to is another thing after the change."""
    if not rest or not isinstance(rest[0], AttributeStep):
        return True
    name = rest[0].name
    record = view.record(change.address)
    if record is None:
        return True
    if name in kinds[change.kind].schema.computed:
        after = change.planned.get(name)
        return isinstance(after, Unknown) or plain(after) != plain(record.attributes.get(name))
    settings: Mapping[str, Any] = record.attributes.get(SETTINGS) or {}
    return bool(plain((change.after or {}).get(name)) != settings.get(name))


def without_effects(instance: Instance, kind: Kind) -> list[Diagnostic]:
    """Return a warning when the lifecycle asks for something that the kind has no use for."""
    if not instance.lifecycle.replace_triggered_by or isinstance(kind, MadeAnew):
        return []
    detail = (
        f"{article(instance.kind).capitalize()} is what the files say; nothing of it is made, so nothing can be made anew. "
        "Take replace_triggered_by out."
    )
    return [without_effect(detail, instance.span, instance.address)]
