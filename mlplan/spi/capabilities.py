"""What a provider can do. Providers act and measure; they never judge. The core finds a capability by its protocol.

Every call is safe to repeat with the same name and token. A call that cannot succeed raises `ProviderError`. Names come
from the core and are deterministic; every object made carries the labels it was given, so that it can be found again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from mlplan.spi.schema import BlockSchema

FULL_WEIGHT = 10_000
"""All traffic of an endpoint, in the unit of weights."""


class ProviderError(Exception):
    """A provider could not do or see something.

    summary: one line. detail: what, why, what to do. retryable: the same call may succeed later without a change.
    """

    def __init__(self, summary: str, detail: str = "", *, retryable: bool = False) -> None:
        super().__init__(f"{summary}: {detail}" if detail else summary)
        self.summary = summary
        self.detail = detail
        self.retryable = retryable


@dataclass(frozen=True)
class JobSpec:
    """A command to run to its end. Units: `timeout` seconds, `memory` bytes (None: no limit), `cpu` cores.

    command: argv; no shell. folder: where logs and the exit file go, made by the caller. environment: added to a small
    clean base (PATH, HOME, LANG), never the whole environment of the caller. secrets: environment values that are masked in logs.
    """

    name: str
    token: str
    command: tuple[str, ...]
    folder: Path
    working_directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 3600.0
    memory: int | None = None
    cpu: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


JobState = Literal["running", "succeeded", "failed", "timed_out", "cancelled", "lost", "absent"]


@dataclass(frozen=True)
class JobStatus:
    """What is known of a job. `handle`: JSON-able facts that find it again (pid, start time, ARN). `tail`: last log lines.

    A job that something outside of it ended is `lost`: a signal that nobody in it raised, an eviction, a restart of the machine.
    """

    state: JobState
    handle: Mapping[str, Any]
    exit_code: int | None = None
    seconds: float = 0.0
    tail: tuple[str, ...] = ()
    reason: str = ""

    @property
    def ended_from_outside(self) -> bool:
        """Tell whether the end says nothing about what ran: it is run again, never judged."""
        return self.state in ("lost", "cancelled")


@runtime_checkable
class Runs(Protocol):
    """Run commands to their end, outliving the caller."""

    def start_job(self, job: JobSpec) -> JobStatus:
        """Start `job`, or return the status of the job that already has its name and token."""
        ...

    def inspect_job(self, job: JobSpec, handle: Mapping[str, Any], tail: int = 5) -> JobStatus:
        """Return the status of a job started before; `absent` when nothing of it exists."""
        ...

    def cancel_job(self, job: JobSpec, handle: Mapping[str, Any]) -> None:
        """End the job and every process it started."""
        ...


@dataclass(frozen=True)
class UnitSpec:
    """One serving version: `replicas` equal processes or containers of one command.

    The command listens where MLPLAN_LISTEN_FD (an inherited socket) or MLPLAN_PORT says. version: as in "v17". endpoint: the
    physical name of the endpoint it serves. Units: `ready_within` seconds, `memory` bytes.
    """

    name: str
    token: str
    endpoint: str
    version: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    health_path: str = "/v2/health/ready"
    ready_within: float = 60.0
    memory: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


UnitState = Literal["absent", "starting", "ready", "unready", "failed"]


@dataclass(frozen=True)
class UnitStatus:
    """What is known of a unit. `addresses`: where its replicas answer, as "127.0.0.1:4711". `reason`: why it is not ready,
    with the last lines of its log. `usage`: measured by replica sum: memory_bytes, cpu_seconds."""

    name: str
    token: str
    version: str
    state: UnitState
    addresses: tuple[str, ...] = ()
    reason: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Serves(Protocol):
    """Keep units running."""

    def ensure_unit(self, unit: UnitSpec) -> UnitStatus:
        """Make the unit run as specified (start what is missing) and return at once with its present state."""
        ...

    def inspect_unit(self, name: str) -> UnitStatus:
        """Return the present state; `absent` when there is none."""
        ...

    def list_units(self, labels: Mapping[str, str]) -> Sequence[UnitStatus]:
        """Return every unit that carries all of `labels`."""
        ...

    def remove_unit(self, name: str, drain: float = 10.0) -> None:
        """Stop the unit gracefully (at most `drain` seconds) and remove every trace; nothing there is fine."""
        ...

    def unit_logs(self, name: str, lines: int = 20) -> Sequence[str]:
        """Return the last log lines."""
        ...


@dataclass(frozen=True)
class EndpointSpec:
    """A stable address whose traffic is split over versions. `port`: None lets the provider choose one and keep it.

    latency_limits: milliseconds that latency histograms must have as bucket edges, for exact exceedance counts.
    """

    name: str
    token: str
    model: str
    port: int | None = None
    health_path: str = "/v2/health/ready"
    latency_limits: tuple[float, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EndpointStatus:
    """What is known of an endpoint. `weights`: unit name -> weight of 10,000, as read back from the router, not as asked for."""

    name: str
    token: str
    state: Literal["absent", "ready", "failed"]
    url: str = ""
    weights: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Splits(Protocol):
    """Split the traffic of endpoints."""

    def ensure_endpoint(self, endpoint: EndpointSpec) -> EndpointStatus:
        """Make the endpoint exist and answer; keeps the weights it has."""
        ...

    def inspect_endpoint(self, name: str) -> EndpointStatus:
        """Return the present state, weights read back from the router."""
        ...

    def list_endpoints(self, labels: Mapping[str, str]) -> Sequence[EndpointStatus]:
        """Return every endpoint that carries all of `labels`."""
        ...

    def set_weights(self, name: str, weights: Mapping[str, int]) -> EndpointStatus:
        """Split traffic over units (unit name -> weight; sum 10,000; zero keeps the unit known to the router), without losing a
        request, and return only when the router confirms it. Raises ProviderError when it does not."""
        ...

    def remove_endpoint(self, name: str) -> None:
        """Remove the endpoint and every trace of it; nothing there is fine."""
        ...


@dataclass(frozen=True)
class Histogram:
    """Cumulative counts: counts[i] requests took at most edges[i] milliseconds; `total` counts all."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    total: int


@dataclass(frozen=True)
class VersionCounters:
    """Monotone counters of one version behind one endpoint since `epoch` (changes when the counters restarted at zero)."""

    version: str
    epoch: str
    requests: int
    errors: int
    latency: Histogram
    codes: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Measures(Protocol):
    """Count requests by version."""

    def measure(self, endpoint: str) -> Mapping[str, VersionCounters]:
        """Return counters by unit name. Errors are answers 5xx and requests that got no answer."""
        ...


class Provider(Protocol):
    """A configured provider. Capabilities are found by `isinstance(provider, Runs)` and so on."""

    name: str

    def check(self) -> None:
        """Raise ProviderError when the provider cannot work here (a missing program, no permission)."""
        ...


class ProviderFactory(Protocol):
    """What the entry point group `mlplan.providers` names."""

    schema: BlockSchema

    def __call__(self, settings: Mapping[str, Any], root: Path) -> Provider:
        """Return the provider with the decoded arguments of its `provider` block; `root` is the project's folder."""
        ...
