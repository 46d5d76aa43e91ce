"""Random lives of a deployment: versions come, servers die, machines restart, runs are killed, hands meddle.

`live` plays one life and returns what it met. The oracles stand here, outside of the code they judge; they raise `BrokenPromiseError`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mlplan.engine.types import Outcome, Result
from mlplan.kinds.deployment import looks
from mlplan.ledger.evidence import Verdict
from mlplan.spi.capabilities import FULL_WEIGHT, ProviderError
from mlplan.spi.store import StoreError
from tests.world.deploying import Deployer
from tests.world.rollouts import ADDRESS, BrokenPromiseError, Killed, World, desired_of, newest

EVENTS = (
    "kill_target",
    "kill_live",
    "reboot",
    "kill_jobs",
    "kill_router",
    "router_trouble",
    "killed",
    "taken_over",
    "hand",
    "newer",
    "errors",
)
MOST_APPLIES = 40
MOST_POINTS = 6_000


@dataclass
class Oracle:
    """Watches one life. live: the version that users may count on, by the oracle's own reading of weights and time."""

    world: World
    steps: tuple[int, ...]
    bake: float
    hold: float
    give_up: float
    promotes_unproven: bool
    compares: bool
    deployer: Deployer | None = None
    live: str | None = None
    weight: Counter[str] = field(default_factory=Counter)
    risen_at: float = 0.0
    passed: bool = False
    unready: set[str] = field(default_factory=set)
    troubled_until: float = 0.0

    def shift(self, weights: Mapping[str, int]) -> None:
        """Judge a change of traffic that is about to be made."""
        assert self.deployer is not None
        attributes = self.deployer.record.attributes if self.deployer.record else {}
        for version, weight in weights.items():
            if weight and version in (attributes.get("rejected") or {}):
                raise BrokenPromiseError(f"{version} is rejected and gets {weight}")
            if version != self.live and self.live is not None and weight > self.weight[version]:
                self._rise(version, weight)
            if weight == 0:
                self.weight.pop(version, None)  # the next rollout begins at its first step
        if self.live is None:
            self.live = next((v for v, w in weights.items() if w == FULL_WEIGHT), None)

    def _rise(self, version: str, after: int) -> None:
        before = self.weight[version]
        if [after] != [step for step in self.steps if step > before][:1]:
            raise BrokenPromiseError(f"{version} jumps from {before} to {after}; the steps are {self.steps}")
        waited = self.world.now - self.risen_at
        unproven = self.promotes_unproven and waited > self.give_up
        if before and not unproven and (waited < self.hold - 1e-6 or (self.compares and not self.passed)):
            raise BrokenPromiseError(f"{version} rises to {after} after {waited:.1f} s, passed: {self.passed}")
        self.weight[version], self.risen_at, self.passed = after, self.world.now, False

    def look(self, judged: looks.Judged, target: str, stable: str | None) -> None:
        """Judge what was counted; remember a verdict."""
        self.passed = self.passed or judged.step_verdict is Verdict.PASS
        for track in (judged.rollout.harm or {}).get("tracks", ()):
            for version, total in ((target, track["totals"][1]), (stable, track["totals"][3])):
                if version and total > self.world.served[version]:
                    raise BrokenPromiseError(
                        f"{total} requests of {version} are counted, {self.world.served[version]} were served"
                    )

    def remove(self, version: str) -> None:
        """Judge that servers are about to be taken away."""
        if version != self.live:
            return
        full = {
            v: since
            for v, since in self.world.full_since.items()
            if v != version and self.world.weight_of(v) == FULL_WEIGHT
        }
        if not any(self.world.now - since >= self.bake - 1e-6 for since in full.values()):
            raise BrokenPromiseError(f"{version} is live and is taken away before another version has baked")

    def tick(self) -> None:
        """Judge the end of a tick: what is not ready has no traffic two ticks long, the live version excepted."""
        weighted = {v for v in self._candidates() if self.world.weight_of(v) and not self._ready(v)}
        if weighted & self.unready and self.world.now > max(self.troubled_until, self.world.last_trouble + 2):
            raise BrokenPromiseError(f"{weighted & self.unready} had traffic for a whole tick without being ready")
        self.unready = weighted

    def rejections(self) -> None:
        """Judge what was rejected: a smoke test that was ended from outside, or whose servers were, is no reason."""
        assert self.deployer is not None
        attributes = self.deployer.record.attributes if self.deployer.record else {}
        for version, facts in (attributes.get("rejected") or {}).items():
            if str(facts["reason"]).startswith("smoke test") and self.world.smoke != "failed":
                raise BrokenPromiseError(f"{version} is rejected for a smoke test that did not fail by itself: {facts}")

    def settled(self) -> None:
        """Follow the record: a version may be live only after it has baked."""
        assert self.deployer is not None
        claimed = self.deployer.live
        if claimed is not None and claimed != self.live:
            since = self.world.full_since.get(claimed)
            if since is None or self.world.now - since < self.bake - 1e-6:
                raise BrokenPromiseError(f"{claimed} is live in the record and has not baked")
            self.live = claimed
            self.weight.clear()

    def _candidates(self) -> set[str]:
        versions = {u.spec.version for u in self.world.units.values()}
        return versions - {self.live} if self.live else set()

    def _ready(self, version: str) -> bool:
        unit = self.world.unit_of(version)
        return unit is not None and self.world.inspect_unit(unit.spec.name).state == "ready"


@dataclass
class Life:
    """One random life and what it met."""

    deployer: Deployer
    oracle: Oracle
    events: dict[int, str]
    rng: random.Random
    met: Counter[str] = field(default_factory=Counter)
    points: int = 0
    last_event: int = 0

    def point(self, name: str) -> None:
        """Let happen what was drawn for this call."""
        self.points += 1
        if self.points > MOST_POINTS:
            raise BrokenPromiseError(f"no end after {MOST_POINTS} calls")
        world = self.deployer.world
        if name == "wait":
            self.oracle.tick()
        event = self.events.pop(self.points, None)
        if event is None:
            return
        self.met[event] += 1
        target = self._target()
        if event == "killed":
            raise Killed
        if event == "taken_over":
            world.fence += 1
        elif event == "kill_target" and target:
            world.kill(target)
        elif event == "kill_live" and self.oracle.live:
            world.kill(self.oracle.live)
        elif event == "reboot":
            self.oracle.troubled_until = world.now + 4.0
            world.reboot()
        elif event == "kill_jobs":
            world.kill_jobs()
        elif event == "kill_router":
            self.oracle.troubled_until = world.now + 4.0
            world.kill_router()
        elif event == "router_trouble":
            self.oracle.troubled_until = world.now + 4.0
            world.router_troubles = 2
        elif event == "hand" and world.units:
            world.move_by_hand(self.rng.choice(list(world.units)))
        elif event == "newer":
            self._newer()
        elif event == "errors" and target:
            world.error_rate[target] = self.rng.choice([0.02, 0.3, 1.0])

    def _newer(self) -> bool:
        """Let the model accept another version; return whether there was one to accept."""
        number = int(self.deployer.book.records["model.m"].attributes["version"])
        if number >= 5:
            return False
        newest(self.deployer.book, *range(1, number + 2))
        if self.rng.random() < 0.25:
            self.deployer.world.never_ready.add(f"v{number + 1}")
        return True

    def _target(self) -> str | None:
        record = self.deployer.record
        rollout = (record.attributes.get("rollout") or {}) if record else {}
        target: str | None = rollout.get("target")
        return target


def live(rng: random.Random, root: Path, events: int = 6) -> Life:
    """Play one life to its end and return it. Raises: BrokenPromiseError."""
    life = _begin(rng, root, events)
    deployer, oracle = life.deployer, life.oracle
    original = looks.look

    def watched(place: Any, rollout: Any, *rest: Any) -> looks.Judged:
        judged = original(place, rollout, *rest)
        oracle.look(judged, rollout.target, rollout.stable)
        return judged

    with patch.object(looks, "look", watched):
        for turn in range(MOST_APPLIES):
            aborted = _maybe_abort(life, rng)
            ended = _apply(life)
            record = deployer.record
            phase = ((record.attributes.get("rollout") or {}) if record else {}).get("phase")
            life.met[f"phase {phase}"] += 1
            if aborted and ended is not None and deployer.world.weight_of(aborted):
                raise BrokenPromiseError(f"{aborted} was aborted and has traffic")
            if not life.events and deployer.settled:
                break
            if not life.events and phase == "paused":
                life.met["left paused"] += 1
                return life
            if turn > MOST_APPLIES // 2:
                life.events.clear()
            elif deployer.settled and not life._newer():
                life.events = {life.points + 1 + 3 * n: event for n, event in enumerate(life.events.values())}
            deployer.world.pass_time(1.0)
        else:
            raise BrokenPromiseError(f"no end after {MOST_APPLIES} applies: {deployer.plan().reasons}")
    _check_end(life)
    return life


def _begin(rng: random.Random, root: Path, events: int) -> Life:
    steps = rng.choice([(10, 100), (10, 50, 100), (50, 100), (100,)])
    policy = {
        "steps": steps, "hold": rng.choice([0.0, 2.0]), "bake": rng.choice([1.0, 3.0]), "look_every": 1.0,
        "give_up_after": 12.0, "on_inconclusive": rng.choice(["hold", "rollback", "promote"]),
        "smoke_test": rng.choice([None, None, "python smoke.py"]),
    }  # fmt: skip
    if rng.random() < 0.8:
        policy["success"] = {
            "errors": {"metric": "error_rate", "no_worse_than": "live", "margin": 0.05, "min_requests": 40}
        }
    world = World(smoke=rng.choice(["succeeded"] * 5 + ["failed"]))
    shares = tuple(round(step * 100) for step in steps)
    oracle = Oracle(
        world, shares, policy["bake"], policy["hold"], 12.0, policy["on_inconclusive"] == "promote", "success" in policy
    )
    deployer = Deployer.fresh(world, desired_of(policy), root)
    oracle.deployer = deployer
    world.on_shift, world.on_remove = oracle.shift, oracle.remove
    if world.smoke == "succeeded" or policy["smoke_test"] is None:
        deployer.apply()
        newest(deployer.book, 1, 2)
    oracle.settled()
    drawn = {rng.randrange(1, 160): rng.choice(EVENTS) for _ in range(rng.randrange(events + 1))}
    life = Life(deployer, oracle, drawn, rng)
    world.on_point = life.point
    return life


def _maybe_abort(life: Life, rng: random.Random) -> str | None:
    record, target = life.deployer.record, life._target()
    if record is None or target is None or rng.random() > 0.3:
        return None
    if record.attributes["rollout"]["phase"] in ("finished", "rolled_back"):
        return None
    life.met["aborted"] += 1
    attributes = {**record.attributes, "abort": "ada asked for it"}
    life.deployer.book.records[ADDRESS] = replace(record, attributes=attributes)
    return target


def _apply(life: Life) -> list[Outcome] | None:
    """Apply; None when the run was cut off."""
    life.oracle.unready = set()
    try:
        outcomes = life.deployer.apply()
    except Killed:
        return None
    except (StoreError, ProviderError) as error:
        life.met[type(error).__name__] += 1
        return None
    finally:
        life.oracle.rejections()
    for outcome in outcomes:
        life.met[str(outcome.result)] += 1
        if outcome.result is Result.DONE:
            life.oracle.settled()
    return outcomes


def _check_end(life: Life) -> None:
    deployer, world = life.deployer, life.deployer.world
    if deployer.live is None:
        if any(world.weights.values()):
            raise BrokenPromiseError("nothing is live and there is traffic")
        return
    if world.weight_of(deployer.live) != FULL_WEIGHT:
        raise BrokenPromiseError(f"{deployer.live} is live and has {world.weight_of(deployer.live)}")
    others = {u.spec.version for u in world.units.values()} - {deployer.live}
    if others:
        raise BrokenPromiseError(f"servers of {others} are left over")
