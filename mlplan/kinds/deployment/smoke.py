"""The smoke test: a command against a candidate's own address, before it gets any traffic.

Only a test that ran to its end against the very servers that are there now judges the version. One that was ended from outside,
or whose servers were, says nothing: it is run again, in a folder of its own. It is found again by name and token after a crash.
"""

from __future__ import annotations

import shlex

from mlplan.kinds.deployment.rollout import Rollout
from mlplan.kinds.deployment.spec import Place
from mlplan.kinds.services import Services
from mlplan.ledger.names import labels, token
from mlplan.spi.capabilities import JobSpec, JobStatus, ProviderError

TIMEOUT = 120.0
MOST_LOST = 3
"""Attempts of one run that may be ended from outside."""
MOST_ATTEMPTS = 1000
_URL = "url"
"""File in an attempt's folder: which servers it asked."""


class Attempts:
    """The attempts at the smoke test of one provisioning: another generation, or a beginning anew, is another test."""

    def __init__(self, place: Place, rollout: Rollout, services: Services) -> None:
        began = f"{place.named}@{rollout.target}#smoke@{rollout.since!r}"
        self._token = token(place.lineage, began, rollout.generation)
        self._place = place
        self._services = services
        self._lost = 0
        self.number = 1

    def job(self, url: str) -> JobSpec:
        """Return the present attempt, with its folder made."""
        place, services = self._place, self._services
        name = f"{place.endpoint_name}-smoke-{self._token[:8]}-{self.number}"
        folder = services.jobs / name
        folder.mkdir(parents=True, exist_ok=True)
        command = shlex.split(place.policy.smoke_test or "")
        if command and command[0] in ("python", "python3"):
            command = [services.python, *command[1:]]
        return JobSpec(
            name, f"{self._token}-{self.number}", tuple(command), folder, services.root, {"MLPLAN_URL": url},
            timeout=TIMEOUT, labels=labels(place.lineage, place.named, self._token, place.run),
        )  # fmt: skip

    def begin(self, job: JobSpec, url: str) -> bool:
        """Note which servers are asked; return whether this attempt, begun earlier perhaps, asks those."""
        path = job.folder / _URL
        if not path.exists():
            path.write_text(url, encoding="utf-8")
        return path.read_text(encoding="utf-8") == url

    def again(self, why: str, *, counts: bool) -> None:
        """Go on with the next attempt. counts: it was lost while we waited. Raises: ProviderError when too many were."""
        self._lost += counts
        if self._lost >= MOST_LOST or self.number >= MOST_ATTEMPTS:
            detail = (
                f"{self._lost} attempts in a row were ended from outside, the last one {why}. That says nothing against "
                f"the version: it stays where it is, and the next apply runs the test again."
            )
            raise ProviderError("The smoke test could not be run to its end", detail, retryable=True)
        self.number += 1


def verdict(status: JobStatus) -> str:
    """Return "passed", or "failed: …" with the last lines of the test's output."""
    if status.state == "succeeded":
        return "passed"
    return f"failed: {status.reason or status.state}; {' | '.join(status.tail)}"[:500]
