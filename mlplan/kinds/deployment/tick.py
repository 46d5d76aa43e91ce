"""One tick of a rollout: make the world keep the document's promise, look, decide, write the decision, then act on it.

The document is journaled before traffic moves, so a killed run is taken up where it stood. Every call to a provider may be
repeated. `Ticker.run` ticks until the rollout ends, the run is cancelled, or (without waiting) once as far as evidence allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlplan.engine.events import Event
from mlplan.engine.kind import Context
from mlplan.kinds import capabilities
from mlplan.kinds.deployment import looks, smoke
from mlplan.kinds.deployment.rollout import Rollout, Seen, decide, target_weight, weights
from mlplan.kinds.deployment.spec import Place
from mlplan.kinds.services import Services
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.records import Record
from mlplan.spi.capabilities import ProviderError, UnitStatus, VersionCounters

POLL = 0.25
"""Seconds between ticks while something starts."""


@dataclass(frozen=True)
class Version:
    """A version as the deployment needs it: "v4" and the digest of its artifact."""

    name: str
    artifact: str


class Ticker:
    """Moves one rollout on. versions: what the names in the document stand for."""

    def __init__(
        self, place: Place, record: Record, versions: Mapping[str, Version], context: Context, step: str
    ) -> None:
        self.place = place
        self.record = record
        self._versions = versions
        self._context = context
        self._step = step
        provider = context.provider(place.provider)
        self._serves = capabilities.serves(provider)
        self._splits = capabilities.splits(provider)
        self._measures = capabilities.measures(provider)
        self._runs = capabilities.runs(provider)
        self._trouble_since: float | None = None
        self._started: float | None = None
        self._meddled = False

    def run(self, rollout: Rollout, superseded: str = "") -> Rollout:
        """Return the document where it stands when there is nothing more to do now.

        Raises: ProviderError when the provider has been in trouble for longer than a version may take to become ready.
        """
        rollout = self._keep(rollout, ())
        while True:
            stable_was_there = self._converge(rollout)
            if rollout.ended:
                return rollout
            seen, judged = self._observe(rollout, superseded, stable_was_there)
            counted = judged.rollout if judged else rollout
            following = decide(counted, self.place.policy, seen)
            evidence = judged.evidence if judged else ()
            if following != rollout:
                rollout = self._keep(following, evidence if following.phase != rollout.phase else ())
            if following is counted and self._pauses(rollout):
                return rollout

    def _pauses(self, rollout: Rollout) -> bool:
        if rollout.phase == "paused" or (not self._context.options.wait and rollout.phase in ("analyzing", "baking")):
            return True
        looking = rollout.phase in ("analyzing", "baking")
        return self._context.wait(self.place.policy.look_every if looking else POLL) and rollout.phase != "rolling_back"

    def _converge(self, rollout: Rollout) -> bool:
        """Make units and weights what the document promises: capacity before weight, weight away before units go.

        Return whether the stable version was there all the time.
        """
        self._endpoint()
        if rollout.phase == "provisioning" and self._started != rollout.since:
            # Once: servers that end while they are waited for have failed, and are not started again and again.
            services: Services = self._context.services
            self._serves.ensure_unit(self.place.unit(rollout.target, self._versions[rollout.target].artifact, services))
            self._started = rollout.since
        elif rollout.phase == "finished":
            self._start(rollout.target)
        stable_was_there = not rollout.stable or rollout.phase == "finished" or not self._start(rollout.stable)
        promised = self._promised(rollout)
        if not promised:
            return stable_was_there
        actual = self._splits.inspect_endpoint(self.place.endpoint_name).weights
        target = self.place.unit_name(rollout.target)
        rises = promised[target] > actual.get(target, 0)
        self._meddled = actual != promised
        if self._meddled and not (rises and self._unit(rollout.target).state != "ready"):
            self._shift(promised)
        return stable_was_there

    def _endpoint(self) -> None:
        try:
            self._splits.ensure_endpoint(self.place.endpoint())
        except ProviderError as error:
            self._bear(error)

    def _start(self, version: str) -> bool:
        """Start the servers of a version when they are gone; return whether they were."""
        gone = self._unit(version).state in ("absent", "failed")
        if gone:
            services: Services = self._context.services
            self._serves.ensure_unit(self.place.unit(version, self._versions[version].artifact, services))
        return gone

    def _shift(self, promised: Mapping[str, int]) -> None:
        try:
            status = self._splits.set_weights(self.place.endpoint_name, promised)
        except ProviderError as error:
            self._bear(error)
            return
        percent = {self._version_of(unit): weight for unit, weight in status.weights.items()}
        self._tell("weights", f"traffic {self._percents(percent)}", {"weights": percent})

    def _bear(self, error: ProviderError) -> None:
        """Go on in spite of a trouble that may pass; raise it when it may not, or has lasted too long."""
        now = self._context.now()
        self._trouble_since = now if self._trouble_since is None else self._trouble_since
        if not error.retryable or now - self._trouble_since > self.place.policy.ready_within:
            raise error
        self._tell("note", f"{error.summary}; trying again")

    def _promised(self, rollout: Rollout) -> dict[str, int]:
        return {self.place.unit_name(version): weight for version, weight in weights(rollout).items()}

    def _observe(self, rollout: Rollout, superseded: str, stable_was_there: bool) -> tuple[Seen, looks.Judged | None]:
        target = self._unit(rollout.target)
        stable = self._unit(rollout.stable) if rollout.stable else None
        endpoint = self._splits.inspect_endpoint(self.place.endpoint_name)
        judged = None
        if rollout.phase in ("analyzing", "paused") or (rollout.phase == "baking" and rollout.stable):
            counters = self._counters()
            if counters is not None and self._meddled:
                # What was counted since the last look came under weights that nobody promised: it belongs to no look.
                judged = looks.Judged(replace(rollout, cursor=looks.cursors(counters)))
            elif counters is not None:
                judged = looks.look(self.place, rollout, counters, target_weight(rollout), self._context.now())
                self._show_look(rollout, judged)
        promised = self._promised(rollout)
        confirmed = endpoint.state == "ready" and (not promised or dict(endpoint.weights) == promised)
        if rollout.phase == "shifting" and confirmed:
            # What was counted before the router's confirmation is not of the next window; without a cursor none can begin.
            counters = self._counters()
            confirmed = counters is not None
            judged = looks.Judged(replace(rollout, cursor=looks.cursors(counters))) if counters is not None else None
        tested = rollout.smoke
        if rollout.phase == "provisioning" and target.state == "ready" and self.place.policy.smoke_test and not tested:
            tested = self._smoke(rollout, target)
        return Seen(
            now=self._context.now(),
            ready=target.state == "ready",
            failed=target.reason or "the server ended" if target.state == "failed" else "",
            # Servers that had to be started again answer soon; that they were gone is what counts: see `rollout._lost`.
            stable_ready=stable is None or (stable_was_there and stable.state == "ready"),
            confirmed=confirmed,
            smoke=tested,
            step_verdict=judged.step_verdict if judged else Verdict.INCONCLUSIVE,
            harm=judged.harm if judged else "",
            superseded=superseded,
            aborted=str(self.record.attributes.get("abort") or ""),
        ), judged

    def _counters(self) -> dict[str, VersionCounters] | None:
        """Return the counters by version; None when the router cannot be asked just now: the next look covers this one's time."""
        try:
            measured = self._measures.measure(self.place.endpoint_name)
        except ProviderError as error:
            self._bear(error)
            return None
        self._trouble_since = None
        return {self._version_of(unit): counters for unit, counters in measured.items()}

    def _unit(self, version: str) -> UnitStatus:
        return self._serves.inspect_unit(self.place.unit_name(version))

    def _version_of(self, unit: str) -> str:
        for version in self._versions:
            if self.place.unit_name(version) == unit:
                return version
        return unit

    def _smoke(self, rollout: Rollout, target: UnitStatus) -> str:
        """Return the verdict of the smoke test, empty when the servers ended under it: then it is no verdict on them."""
        attempts = smoke.Attempts(self.place, rollout, self._context.services)
        url = f"http://{target.addresses[0]}"
        while True:
            job = attempts.job(url)
            if not attempts.begin(job, url):
                attempts.again("", counts=False)
                continue
            status = self._runs.inspect_job(job, {})
            found = status.state
            if found in ("failed", "timed_out"):
                attempts.again("", counts=False)  # nobody saw whether the servers stood all the time
                continue
            if found == "absent":
                status = self._runs.start_job(job)
            while status.state == "running":
                self._context.wait(POLL)
                status = self._runs.inspect_job(job, status.handle)
            if status.ended_from_outside:
                self._tell("note", f"the smoke test says nothing: it {status.reason or status.state}; running it again")
                attempts.again(status.reason or status.state, counts=found in ("absent", "running"))
                continue
            now = self._unit(rollout.target)
            if status.state != "succeeded" and (now.state != "ready" or now.addresses != target.addresses):
                self._tell("note", "the servers ended under the smoke test, which says nothing then")
                return ""
            self._tell("note", f"smoke test {status.state}")
            return smoke.verdict(status)

    def _keep(self, rollout: Rollout, evidence: tuple[Evidence, ...]) -> Rollout:
        attributes: dict[str, Any] = {
            **self.record.attributes, "rollout": rollout.to_json(), "rollouts": rollout.generation
        }  # fmt: skip
        attributes["step"] = f"{rollout.phase} {target_weight(rollout) / 100:g} %"
        kept = tuple(dict.fromkeys((*self.record.evidence, *(e.digest() for e in evidence))))[-50:]
        changed = rollout.phase != (self.record.attributes.get("rollout") or {}).get("phase")
        self.record = replace(self.record, attributes=attributes, evidence=kept)
        self._context.keep(self.record, evidence)
        if changed:
            self._tell(
                "note",
                f"{rollout.target}: {rollout.phase.replace('_', ' ')}{': ' + rollout.reason if rollout.reason else ''}",
            )
        return rollout

    def _show_look(self, rollout: Rollout, judged: looks.Judged) -> None:
        data = {
            "version": rollout.target,
            "requests": dict(judged.requests),
            "errors": dict(judged.errors),
            "verdict": str(judged.step_verdict),
            "criteria": [
                {"question": e.question, "verdict": str(e.verdict), "message": e.message} for e in judged.evidence
            ],
        }
        self._tell("look", f"{rollout.target} at {target_weight(rollout) / 100:g} %", data)

    def _percents(self, by_version: Mapping[str, int]) -> str:
        return ", ".join(f"{version} {weight / 100:g} %" for version, weight in sorted(by_version.items()))

    def _tell(self, kind: str, text: str, data: Mapping[str, Any] | None = None) -> None:
        self._context.tell(Event(kind, self.place.address, text, self._step, data=data or {}))
