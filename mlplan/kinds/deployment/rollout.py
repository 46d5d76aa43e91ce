"""The rollout state machine: one document, one pure function that decides what it becomes. No clock, no provider, no statistics.

The document promises weights; `tick` makes the world keep the promise. Verdicts come in judged; here stands what follows from
them. The order of the rules in each phase is the order of danger: what protects the live version comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from mlplan.ledger.evidence import Verdict
from mlplan.spi.capabilities import FULL_WEIGHT

Phase = Literal["provisioning", "shifting", "analyzing", "paused", "baking", "rolling_back", "finished", "rolled_back"]


@dataclass(frozen=True)
class Policy:
    """How traffic moves. Units: steps in 1/10,000; hold, bake, give_up_after, look_every, ready_within in seconds.

    compares: whether criteria must be proven at each step before the last.
    """

    strategy: str = "blue_green"
    steps: tuple[int, ...] = (FULL_WEIGHT,)
    hold: float = 0.0
    bake: float = 0.0
    give_up_after: float = 3600.0
    look_every: float = 2.0
    ready_within: float = 60.0
    on_inconclusive: str = "hold"
    compares: bool = False
    smoke_test: str | None = None


@dataclass(frozen=True)
class Rollout:
    """The document of one rollout.

    target, stable: version names ("v4"); stable is None for the first deployment. index: of the present step, -1 before the
    first. steps: those it began with: a policy that changes meanwhile counts from the next rollout on. since: when the phase
    began. step_since: when the router confirmed the present step. analysis: what the judge keeps for the present step, harm: for
    the whole rollout; cursor: counters up to which looks were counted, by version. thresholds: milliseconds over which a request
    counts as slow, by criterion, fixed for the rollout. back: why this goes back to an earlier version; empty for a way forward.
    """

    generation: int
    target: str
    stable: str | None
    phase: Phase = "provisioning"
    index: int = -1
    since: float = 0.0
    step_since: float = 0.0
    started: float = 0.0
    reason: str = ""
    rejects: bool = False
    smoke: str = ""
    looks: int = 0
    analysis: Mapping[str, Any] | None = None
    harm: Mapping[str, Any] | None = None
    cursor: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[int, ...] = (FULL_WEIGHT,)
    back: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Rollout:
        """Return the rollout of a document."""
        return Rollout(**{**document, "steps": tuple(document["steps"])})

    @property
    def ended(self) -> bool:
        """Tell whether nothing is left to decide."""
        return self.phase in ("finished", "rolled_back")


@dataclass(frozen=True)
class Seen:
    """What a tick has found out. ready: of the target's unit. failed: it will not become ready, with the reason.

    confirmed: the router has the promised weights. step_verdict: on the present step's evidence; harm: on the whole rollout's.
    """

    now: float
    ready: bool
    failed: str = ""
    stable_ready: bool = True
    confirmed: bool = False
    smoke: str = ""
    step_verdict: Verdict = Verdict.INCONCLUSIVE
    harm: str = ""
    aborted: str = ""
    superseded: str = ""


def weights(rollout: Rollout) -> dict[str, int]:
    """Return the promised weights by version; they sum to 10,000."""
    share = target_weight(rollout)
    if rollout.stable is None:
        # The first version of an endpoint has nothing to share with: it gets everything once it is ready, nothing before.
        return {rollout.target: FULL_WEIGHT} if share else {}
    return {rollout.target: share, rollout.stable: FULL_WEIGHT - share}


def target_weight(rollout: Rollout) -> int:
    """Return the weight that the document promises to the target."""
    if rollout.phase in ("provisioning", "rolling_back", "rolled_back") or rollout.index < 0:
        return 0
    if rollout.phase in ("baking", "finished"):
        return FULL_WEIGHT
    return rollout.steps[rollout.index]


def decide(rollout: Rollout, policy: Policy, seen: Seen) -> Rollout:
    """Return the next document; the same one when there is nothing to decide yet."""
    if rollout.ended:
        return rollout
    if rollout.phase != "rolling_back":
        if seen.aborted:
            return _back(rollout, seen, seen.aborted, rejects=True)
        if seen.superseded:
            return _back(rollout, seen, seen.superseded, rejects=False)
    return _RULES[rollout.phase](rollout, policy, seen)


def _provisioning(rollout: Rollout, policy: Policy, seen: Seen) -> Rollout:
    if seen.failed:
        return _back(rollout, seen, seen.failed, rejects=True)
    if seen.ready:
        if policy.smoke_test and not seen.smoke:
            return rollout
        if seen.smoke.startswith("failed"):
            return _back(replace(rollout, smoke=seen.smoke), seen, f"smoke test {seen.smoke}", rejects=True)
        first = len(rollout.steps) - 1 if rollout.stable is None else 0
        return replace(rollout, phase="shifting", index=first, since=seen.now, smoke=seen.smoke)
    if seen.now - rollout.since > policy.ready_within:
        return _back(rollout, seen, f"not ready within {policy.ready_within:g} s", rejects=True)
    return rollout


def _shifting(rollout: Rollout, policy: Policy, seen: Seen) -> Rollout:
    if not seen.ready:
        return _lost(rollout, seen)
    if not seen.confirmed:
        if seen.now - rollout.since > policy.ready_within:
            reason = (
                f"the router did not confirm {rollout.steps[rollout.index] / 100:g} % within {policy.ready_within:g} s"
            )
            return _back(rollout, seen, reason, rejects=False)
        return rollout
    last = rollout.index == len(rollout.steps) - 1
    # A window starts after the router's confirmation: requests before it would be counted under the wrong weight.
    return replace(
        rollout,
        phase="baking" if last else "analyzing",
        since=seen.now,
        step_since=seen.now,
        analysis=None,
    )


def _analyzing(rollout: Rollout, policy: Policy, seen: Seen) -> Rollout:
    if not seen.ready:
        return _lost(rollout, seen)
    if seen.harm:
        return _back(rollout, seen, seen.harm, rejects=True)
    dwell = seen.now - rollout.step_since
    if dwell >= policy.hold and (not policy.compares or seen.step_verdict is Verdict.PASS):
        return replace(rollout, phase="shifting", index=rollout.index + 1, since=seen.now)
    if dwell > policy.give_up_after:
        return _give_up(rollout, policy, seen)
    return rollout


def _give_up(rollout: Rollout, policy: Policy, seen: Seen) -> Rollout:
    reason = f"no proof within {policy.give_up_after:g} s at {rollout.steps[rollout.index] / 100:g} %"
    if policy.on_inconclusive == "rollback":
        return _back(rollout, seen, reason, rejects=True)
    if policy.on_inconclusive == "promote":
        return replace(rollout, phase="shifting", index=rollout.index + 1, since=seen.now, reason=reason)
    return replace(rollout, phase="paused", since=seen.now, reason=reason)


def _paused(rollout: Rollout, policy: Policy, seen: Seen) -> Rollout:
    if not seen.ready:
        return _lost(rollout, seen)
    if seen.harm:
        return _back(rollout, seen, seen.harm, rejects=True)
    if seen.step_verdict is Verdict.PASS:
        return replace(rollout, phase="shifting", index=rollout.index + 1, since=seen.now, reason="")
    return rollout


def _baking(rollout: Rollout, policy: Policy, seen: Seen) -> Rollout:
    if seen.failed or (rollout.stable is not None and not seen.ready):
        return _lost(rollout, seen)
    if rollout.stable is not None and seen.harm:
        return _back(rollout, seen, seen.harm, rejects=True)
    if not seen.ready:
        return rollout  # the first version: there is nothing to go back to, so a slow health check is waited for
    if seen.now - rollout.since >= policy.bake:
        return replace(rollout, phase="finished", since=seen.now)
    return rollout


def _rolling_back(rollout: Rollout, policy: Policy, seen: Seen) -> Rollout:
    return replace(rollout, phase="rolled_back", since=seen.now) if seen.confirmed else rollout


_RULES = {
    "provisioning": _provisioning,
    "shifting": _shifting,
    "analyzing": _analyzing,
    "paused": _paused,
    "baking": _baking,
    "rolling_back": _rolling_back,
}


def _lost(rollout: Rollout, seen: Seen) -> Rollout:
    if not seen.stable_ready:
        # Both arms are gone: the machine restarted or the provider is in trouble. That says nothing about the candidate, so
        # its rollout begins again instead of being refused.
        return replace(rollout, phase="provisioning", index=-1, since=seen.now, smoke="", analysis=None, cursor={})
    return _back(rollout, seen, seen.failed or "the candidate stopped answering its health check", rejects=True)


def _back(rollout: Rollout, seen: Seen, reason: str, *, rejects: bool) -> Rollout:
    return replace(rollout, phase="rolling_back", since=seen.now, reason=reason, rejects=rejects)
