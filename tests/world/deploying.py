"""Plan and apply of one deployment over the world in memory, as the engine does it, killed runs included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from mlplan.engine.kind import Options, View
from mlplan.engine.types import Action, Change, Desired, Outcome, Result
from mlplan.kinds.deployment import actions
from mlplan.kinds.deployment.kind import DeploymentKind
from mlplan.ledger.records import Record, State
from tests.world.rollouts import ADDRESS, MODEL, Book, FakeContext, World, model_record

KIND = DeploymentKind()


@dataclass
class Deployer:
    """Plans and applies again and again over the same book and world."""

    world: World
    desired: Mapping[str, Desired]
    root: Path
    book: Book
    wait: bool = True

    @staticmethod
    def fresh(world: World, desired: Mapping[str, Desired], root: Path) -> Deployer:
        """Return a deployer over an empty book whose model has v1."""
        return Deployer(world, desired, root, Book({MODEL: model_record(1)}))

    @property
    def record(self) -> Record | None:
        """The deployment's record."""
        return self.book.records.get(ADDRESS)

    @property
    def live(self) -> str | None:
        """The version that the record says is live."""
        attributes = self.record.attributes if self.record else {}
        version: str | None = (attributes.get("live") or {}).get("version")
        return version

    def plan(self) -> Change:
        """Return what the next apply would do."""
        view = View(
            self.root, State("lineage", records=self.book.records), Options(), self.world.now, lambda _: self.world,
            None, lambda _: None, self.desired,
        )  # fmt: skip
        desired = self.desired[ADDRESS]
        return KIND.diff(desired, self.record, KIND.observe(desired, self.record, view), view)

    def apply(self) -> list[Outcome]:
        """Carry a plan out; stop at the first step that did not get done."""
        context = FakeContext(self.world, self.book, self.desired, self.root, wait=self.wait)
        outcomes: list[Outcome] = []
        with patch.object(actions, "_refuse_altered"):
            for step in self.plan().steps:
                outcome = KIND.execute(step, None, context)
                context.hold()
                outcomes.append(outcome)
                if outcome.record is not None and outcome.result is not Result.FAILED:
                    self.book.records[ADDRESS] = outcome.record
                if outcome.result not in (Result.DONE, Result.UNCHANGED):
                    break
        return outcomes

    @property
    def settled(self) -> bool:
        """Tell whether the next plan has nothing to do."""
        return self.plan().action is Action.KEEP
