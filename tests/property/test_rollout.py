"""Random lives of a deployment keep every promise; broken rollouts do not survive them.

The oracles are in `tests/world/trouble.py`. Runs are killed, and overtaken by another run, at every call that leaves the process.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplan.kinds.deployment import actions, looks, rollout, tick
from mlplan.kinds.deployment.rollout import Policy, Rollout, Seen
from mlplan.ledger.evidence import Verdict
from mlplan.spi.capabilities import FULL_WEIGHT, ProviderError
from mlplan.spi.store import StoreError
from tests.world.rollouts import BrokenPromiseError, Killed, World, desired_of, newest
from tests.world.trouble import EVENTS, Life, live


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=True))
def test_random_lives_keep_every_promise(rng: random.Random, tmp_path: Path) -> None:
    live(rng, tmp_path)


def test_lives_meet_everything(tmp_path: Path) -> None:
    """The lives below are not idle: every kind of trouble, every phase at the end of a run, every way to end is among them."""
    met: Counter[str] = Counter()
    for seed in range(60, 105):
        met += live(random.Random(seed), tmp_path).met
    for event in EVENTS:
        assert met[event] >= 3, event
    for phase in ("provisioning", "shifting", "analyzing", "baking", "finished", "rolled_back", "None"):
        assert met[f"phase {phase}"] >= 1, phase
    for result in ("done", "rolled back", "failed", "StoreError", "aborted"):
        assert met[result] >= 2, result


@pytest.mark.parametrize("stop", range(1, 75, 2))
def test_killed_at_any_call_the_next_run_goes_on(stop: int, tmp_path: Path) -> None:
    """One kill at the n-th call of a canary, for every n: the next run ends with v2 live, and no evidence is thrown away."""
    life = _canary(tmp_path, {stop: "killed"})
    try:
        life.deployer.apply()
    except Killed:
        generation = (life.deployer.record.attributes if life.deployer.record else {}).get("rollouts")
        life.deployer.apply()
        if generation == 2:  # the canary had begun: it went on instead of beginning again
            assert life.deployer.record is not None
            assert life.deployer.record.attributes["rollouts"] == 2
    assert life.deployer.live == "v2"
    assert life.deployer.settled


@pytest.mark.parametrize("stop", range(1, 58, 6))
def test_a_stale_run_changes_nothing(stop: int, tmp_path: Path) -> None:
    """Another run takes over in the middle and ends the rollout, then the first one goes on: no record changes any more.

    The one call it was about to make is made; the next run puts right what that did.
    """
    life = _canary(tmp_path, {})
    other = replace(life.deployer)
    taken: list[str] = []

    def overtaken(name: str) -> None:
        life.points += 1
        if life.points == stop:
            life.deployer.world.on_point = lambda _: None
            other.apply()
            life.deployer.world.overtaken, life.deployer.world.on_shift = True, lambda _: None
            taken.append(repr(life.deployer.record))

    life.deployer.world.on_point = overtaken
    try:
        life.deployer.apply()
        assert not taken, "a run that lost its lock ended as if nothing had happened"
    except (StoreError, ProviderError):
        assert repr(life.deployer.record) == taken[0]
    life.deployer.world.overtaken = False
    life.deployer.apply()
    assert life.deployer.live == "v2"
    assert life.deployer.settled
    assert life.deployer.world.weight_of("v2") == FULL_WEIGHT


@pytest.mark.parametrize("point", range(1, 75, 4))
def test_a_router_in_trouble_delays_and_spoils_nothing(point: int, tmp_path: Path) -> None:
    """The router does not answer at the n-th call, for every n: the canary ends as it would have."""
    life = _canary(tmp_path, {point: "router_trouble"})
    try:
        life.deployer.apply()
    except ProviderError:
        assert life.deployer.record is not None
        assert life.deployer.record.attributes["rollout"]["phase"] == "finished"
        life.deployer.apply()
    assert life.deployer.live == "v2"
    assert life.deployer.settled


@pytest.mark.parametrize("phase", ["provisioning", "shifting", "analyzing", "paused", "baking"])
def test_abort_reaches_nothing_from_every_phase(phase: str) -> None:
    document = Rollout(1, "v2", "v1", phase=phase, index=0, steps=(1000, FULL_WEIGHT))  # type: ignore[arg-type]
    seen = Seen(now=1.0, ready=True, confirmed=True, step_verdict=Verdict.PASS, aborted="ada asked for it")
    following = rollout.decide(document, Policy(), seen)
    assert (following.phase, following.rejects) == ("rolling_back", True)
    assert rollout.weights(following) == {"v2": 0, "v1": FULL_WEIGHT}


def test_every_request_is_counted_once(tmp_path: Path) -> None:
    """What the analysis counted is exactly what was served in confirmed windows, across a router that restarted."""
    life = _canary(tmp_path, {30: "kill_router"})
    counted: list[float] = []
    original = looks.look

    def watched(*arguments: Any) -> looks.Judged:
        judged = original(*arguments)
        counted.append(judged.rollout.harm["tracks"][0]["totals"][1] if judged.rollout.harm else 0.0)
        return judged

    with patch.object(looks, "look", watched):
        life.deployer.apply()
    assert life.deployer.live == "v2"
    # The world serves nothing while weights move, so the windows hold all that was served until the last look.
    assert counted[-1] == life.deployer.world.served["v2"]


def _canary(root: Path, events: dict[int, str]) -> Life:
    """Return a life in which v1 is live and v2 is about to begin its canary."""
    from tests.world.deploying import Deployer
    from tests.world.trouble import Oracle

    policy = {
        "steps": (10, 100), "hold": 2.0, "bake": 2.0, "look_every": 1.0,
        "success": {"errors": {"metric": "error_rate", "no_worse_than": "live", "margin": 0.05, "min_requests": 40}},
    }  # fmt: skip
    world = World()
    oracle = Oracle(world, (1000, FULL_WEIGHT), 2.0, 2.0, 3600.0, promotes_unproven=False, compares=False)
    deployer = Deployer.fresh(world, desired_of(policy), root)
    oracle.deployer = deployer
    deployer.apply()
    newest(deployer.book, 1, 2)
    world.on_shift, world.on_remove = oracle.shift, oracle.remove
    oracle.settled()
    life = Life(deployer, oracle, events, random.Random(0))
    world.on_point = life.point
    return life


def _impatient(document: Rollout, policy: Policy, seen: Seen) -> Rollout:
    return _DECIDE(document, policy, replace(seen, step_verdict=Verdict.PASS))


def _blind(document: Rollout, policy: Policy, seen: Seen) -> Rollout:
    return _DECIDE(document, policy, replace(seen, ready=True, failed=""))


def _no_bake(document: Rollout, policy: Policy, seen: Seen) -> Rollout:
    return _DECIDE(document, replace(policy, bake=0.0), seen)


def _no_hold(document: Rollout, policy: Policy, seen: Seen) -> Rollout:
    return _DECIDE(document, replace(policy, hold=0.0), seen)


def _deaf(document: Rollout, policy: Policy, seen: Seen) -> Rollout:
    return _DECIDE(document, policy, replace(seen, aborted=""))


def _leap(document: Rollout, policy: Policy, seen: Seen) -> Rollout:
    following = _DECIDE(document, policy, seen)
    last = len(following.steps) - 1
    return (
        replace(following, index=last) if following.phase == "shifting" and document.phase == "analyzing" else following
    )


def _stuck(document: Rollout, policy: Policy, seen: Seen) -> Rollout:
    following = _DECIDE(document, policy, seen)
    return document if following.phase == "rolled_back" else following


def _counts_from_the_start(counters: Any) -> dict[str, Any]:
    empty = {"requests": 0, "errors": 0, "total": 0}
    return {v: {**c, **empty, "counts": [0] * len(c["counts"])} for v, c in _CURSORS(counters).items()}


def _leaky(document: Rollout) -> dict[str, int]:
    found = _WEIGHTS(document)
    return {version: weight if weight in (0, FULL_WEIGHT) else weight - 1 for version, weight in found.items()}


def _forgetful(record: Any, *rest: Any) -> Any:
    return record


def _left_behind(where: Any, record: Any, document: Rollout, context: Any) -> Any:
    with patch.object(World, "remove_unit", lambda *_: None):
        return _CLEARED(where, record, document, context)


_DECIDE, _WEIGHTS, _CURSORS = rollout.decide, rollout.weights, looks.cursors
_CLEARED = actions._cleared

MUTANTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "no verdict needed": (tick, "decide", _impatient),
    "not ready is not seen": (tick, "decide", _blind),
    "no bake": (tick, "decide", _no_bake),
    "no hold": (tick, "decide", _no_hold),
    "abort is not heard": (tick, "decide", _deaf),
    "steps are left out": (tick, "decide", _leap),
    "a way back has no end": (tick, "decide", _stuck),
    "weights do not sum": (tick, "weights", _leaky),
    "requests are counted again": (looks, "cursors", _counts_from_the_start),
    "a rejection is forgotten": (actions, "_reject", _forgetful),
    "servers of the rejected stay": (actions, "_cleared", _left_behind),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_broken_rollouts_do_not_survive(name: str, tmp_path: Path) -> None:
    """Each mutant breaks a promise in one of the lives that the real one lives without fault."""
    module, attribute, broken = MUTANTS[name]
    with patch.object(module, attribute, broken):
        for seed in range(120):
            try:
                live(random.Random(seed), tmp_path)
            except BrokenPromiseError:
                return
    raise AssertionError(f"120 lives did not notice: {name}")
