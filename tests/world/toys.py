"""Two toy nouns that know nothing of machine learning, and the toy world they live in.

`thing` is an object with a size (changed in place), a colour (changed by replacing), an identity that only making it tells, and
parts (nested blocks). `shelf` brings computed children, one `slot` a name, as a model brings deployments.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlplan.engine.kind import Context, View, new_record
from mlplan.engine.plain import plain
from mlplan.engine.types import (
    Action,
    Cause,
    Change,
    Desired,
    FieldChange,
    Observation,
    Outcome,
    Reason,
    Result,
    Step,
)  # fmt: skip
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.values import Unknown
from mlplan.ledger.evidence import Evidence, Verdict, digest_of
from mlplan.ledger.records import Operation, Record
from mlplan.spi.capabilities import ProviderError
from mlplan.spi.schema import (
    ANY,
    DURATION,
    NUMBER,
    STRING,
    Argument,
    BlockSchema,
    NestedBlock,
    list_of,
    map_of,
    reference_to,
)  # fmt: skip

PART = BlockSchema(
    "A part of a thing.",
    {"weight": Argument(NUMBER, "Of the part."), "wait": Argument(DURATION, "Before it is put in.")},
)
THING = BlockSchema(
    "A thing.",
    {
        "size": Argument(NUMBER, "Changed in place.", default=1),
        "colour": Argument(STRING, "Changed by making the thing anew.", default="grey"),
        "text": Argument(STRING, "Any text."),
        "tags": Argument(list_of(STRING), "A list.", default=()),
        "labels": Argument(map_of(STRING), "A map.", default={}),
        "settings": Argument(ANY, "Anything."),
        "on": Argument(reference_to("thing"), "Another thing."),
        "secret": Argument(STRING, "Nobody may see it.", sensitive=True),
    },
    {"part": NestedBlock(PART, labels=1)},
    {"identity": "Known once it is made."},
)
SHELF = BlockSchema(
    "A shelf with a slot for each name.",
    {"slots": Argument(list_of(STRING), "Names.", default=()), "on": Argument(reference_to("thing"), "A thing.")},
    {},
    {"slot": "Its slots."},
)
SLOT = BlockSchema("A slot of a shelf.", {}, {}, {"number": "Known once it is made."})

Hook = Callable[[Step, Context], Outcome | None]


@dataclass
class ToyWorld:
    """What exists, by token; what was done, in order; and what shall happen instead, by step id.

    surprises and measured: what observing finds at an address. down: addresses that cannot be observed.
    """

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    hooks: dict[str, Hook] = field(default_factory=dict)
    surprises: dict[str, tuple[str, ...]] = field(default_factory=dict)
    measured: dict[str, tuple[Evidence, ...]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, token: str, facts: Mapping[str, Any]) -> None:
        """Make or change a thing; safe to repeat."""
        with self.lock:
            self.things[token] = dict(facts)

    def remove(self, token: str) -> None:
        """Take a thing away; safe to repeat."""
        with self.lock:
            self.things.pop(token, None)

    def note(self, step: Step) -> None:
        """Remember that a step ran."""
        with self.lock:
            self.done.append(step.id)


class Toy:
    """What both nouns share."""

    name = ""
    schema: BlockSchema

    def __init__(self, world: ToyWorld) -> None:
        self.world = world

    def check(self, desired: Desired) -> Sequence[Diagnostic]:
        return ()

    def children(self, desired: Desired) -> Sequence[Desired]:
        return ()

    def requires(self, desired: Desired, view: View) -> Sequence[str]:
        return ()

    def observe(self, desired: Desired | None, record: Record | None, view: View) -> Observation:
        address = desired.address if desired is not None else record.address if record is not None else ""
        if address in self.world.down:
            raise ProviderError("The world cannot be reached", "It does not answer.")
        facts = self.world.things.get(record.token) if record is not None else None
        return Observation(facts, self.world.measured.get(address, ()), self.world.surprises.get(address, ()))

    def remove(self, record: Record, view: View) -> Change:
        step = view.step(record, "remove", f"remove {record.address}", {})
        return Change(record.address, self.name, Action.REMOVE, steps=(step,))

    def execute(self, step: Step, resumed: Operation | None, context: Context) -> Outcome:
        self.world.note(step)
        hook = self.world.hooks.get(step.id)
        outcome = hook(step, context) if hook is not None else None
        if outcome is not None:
            return outcome
        return self.work(step, resumed, context)

    def work(self, step: Step, resumed: Operation | None, context: Context) -> Outcome:
        record = context.record(step.address)
        if step.action == "remove":
            if record is not None:
                self.world.remove(record.token)
            return Outcome(Result.DONE, "removed", removed=True)
        desired = context.desired(step.address)
        kept = new_record(
            desired, record, context.lineage, self.facts(desired, record, step), inputs=inputs_of(desired)
        )
        self.world.make(kept.token, plain(dict(kept.attributes)))
        return Outcome(Result.DONE, "made" if record is None else "changed", kept)

    def facts(self, desired: Desired, record: Record | None, step: Step) -> dict[str, Any]:
        raise NotImplementedError

    def abandon(self, operation: Operation, context: Context) -> None:
        self.world.done.append(f"abandon {operation.step}")
        self.world.remove(operation.token)


class Thing(Toy):
    """A thing."""

    name = "thing"
    anew = "it is made again"
    schema = THING

    def adopt(self, desired: Desired, identity: str, view: View) -> Change:
        if identity not in self.world.things:
            raise DiagnosticError(Diagnostic("cannot-import", "This cannot be imported", f"There is no {identity}."))
        on = desired.arguments.get("on")
        step = view.step(desired, "import", f"take over {identity}", {"id": identity})
        return Change(
            desired.address, self.name, Action.IMPORT, (), (), (step,), {"identity": identity},
            dependencies=(on.address,) if on is not None else (),
        )  # fmt: skip

    def diff(self, desired: Desired | None, record: Record | None, seen: Observation, view: View) -> Change:
        if desired is None:
            assert record is not None
            return self.remove(record, view)
        return replace(self.compare(desired, record, seen, view), evidence=seen.evidence)

    def compare(self, desired: Desired, record: Record | None, seen: Observation, view: View) -> Change:
        address = desired.address
        unknown = Unknown(origin=f"known after making {address}")
        wanted = plain(desired.arguments)
        if record is None:
            fields = tuple(
                FieldChange(n, None, desired.arguments[n]) for n, v in wanted.items() if v not in (None, [], {})
            )
            step = view.step(desired, "make", f"make {address}", {"wanted": digest_of(wanted)})
            return Change(
                address, self.name, Action.ADD, (Reason("not there yet"),), fields, (step,), {"identity": unknown}
            )
        before = record.attributes["arguments"]
        moved = [n for n, v in wanted.items() if before.get(n) != v]
        fields = tuple(FieldChange(n, before.get(n), desired.arguments[n]) for n in moved)
        anew = "colour" in moved or view.replaces(address)
        if seen.attributes is None and view.options.refresh:
            reason = Reason("it is gone", Cause.WORLD)
            step = view.step(desired, "repair", f"make {address} again", {"wanted": digest_of(wanted)})
            return Change(address, self.name, Action.CHANGE, (reason,), fields, (step,), dict(record.attributes))
        if not moved and not anew:
            return Change(address, self.name, Action.KEEP, planned=dict(record.attributes))
        word = "replace" if anew else "change"
        action = Action.REPLACE if anew else Action.CHANGE
        reason = Reason(", ".join(moved) + " changed" if moved else "replacing was asked for")
        step = view.step(desired, word, f"{word} {address}", {"wanted": digest_of(wanted)})
        planned = {"identity": unknown} if anew else dict(record.attributes)
        return Change(address, self.name, action, (reason,), fields, (step,), planned)

    def facts(self, desired: Desired, record: Record | None, step: Step) -> dict[str, Any]:
        old = record.attributes.get("identity") if record is not None else None
        made = old if old is not None and step.action != "replace" else f"id-{step.token[:6]}"
        made = step.inputs["id"] if step.action == "import" else made
        return {"identity": made, "arguments": plain(desired.arguments)}


class Shelf(Toy):
    """A shelf."""

    name = "shelf"
    schema = SHELF

    def children(self, desired: Desired) -> Sequence[Desired]:
        names = desired.arguments.get("slots") or ()
        return [
            Desired(f'{desired.address}.slot["{n}"]', "slot", n, {}, (desired.address,), parent=desired.address)
            for n in names if isinstance(n, str)
        ]  # fmt: skip

    def diff(self, desired: Desired | None, record: Record | None, seen: Observation, view: View) -> Change:
        if desired is None:
            assert record is not None
            return self.remove(record, view)
        if record is not None and record.inputs == inputs_of(desired):
            return Change(desired.address, self.name, Action.KEEP, planned={})
        step = view.step(desired, "make", f"put up {desired.address}", {"inputs": inputs_of(desired)})
        action = Action.ADD if record is None else Action.CHANGE
        return Change(desired.address, self.name, action, (Reason("slots changed"),), (), (step,), {})

    def facts(self, desired: Desired, record: Record | None, step: Step) -> dict[str, Any]:
        return {}


class Slot(Toy):
    """A slot."""

    name = "slot"
    schema = SLOT

    def diff(self, desired: Desired | None, record: Record | None, seen: Observation, view: View) -> Change:
        if desired is None:
            assert record is not None
            return self.remove(record, view)
        if record is not None:
            return Change(desired.address, self.name, Action.KEEP, planned=dict(record.attributes))
        step = view.step(desired, "make", f"make {desired.address}", {})
        planned = {"number": Unknown(origin=f"known after making {desired.address}")}
        return Change(desired.address, self.name, Action.ADD, (Reason("not there yet"),), (), (step,), planned)

    def facts(self, desired: Desired, record: Record | None, step: Step) -> dict[str, Any]:
        return {"number": len(self.world.things)}


def inputs_of(desired: Desired) -> str:
    """Return the digest of what a toy is made from."""
    return digest_of(plain(desired.arguments))


def toy_kinds(world: ToyWorld) -> dict[str, Toy]:
    """Return the toy nouns over a world."""
    every: list[Toy] = [Thing(world), Shelf(world), Slot(world)]
    return {kind.name: kind for kind in every}


def measurement(subject: str, verdict: Verdict = Verdict.PASS, **facts: Any) -> Evidence:
    """Return evidence about a toy."""
    return Evidence(subject, facts.pop("question", "size <= 5"), verdict, **facts)
