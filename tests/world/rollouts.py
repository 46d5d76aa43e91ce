"""A world in memory for rollouts: units, one endpoint, traffic, a clock, and everything that can go wrong with them.

It keeps its own books, apart from the rollout's document, and raises `BrokenPromiseError` the moment a promise to users is broken:
weights that are not whole, traffic on servers that are not ready, a live version taken away too early, weight that rises
without a verdict, a rejected version that gets traffic.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlplan.engine.events import Event
from mlplan.engine.kind import Options
from mlplan.engine.types import Desired, Step
from mlplan.kinds.services import Services
from mlplan.ledger.evidence import Evidence
from mlplan.ledger.records import Record, State
from mlplan.spi.capabilities import (
    FULL_WEIGHT,
    EndpointSpec,
    EndpointStatus,
    Histogram,
    JobSpec,
    JobStatus,
    ProviderError,
    UnitSpec,
    UnitStatus,
    VersionCounters,
)
from mlplan.spi.store import StoreError

EDGES = (10.0, 100.0, 1000.0)


class BrokenPromiseError(AssertionError):
    """A promise was broken."""


class Killed(BaseException):
    """The process of the run is gone: nothing after this point happens, no `except Exception` sees it."""


@dataclass
class Unit:
    """Servers of one version. Units: `ready_at` seconds of the world's clock. fails: it will never become ready."""

    spec: UnitSpec
    ready_at: float
    alive: bool = True
    fails: bool = False


@dataclass
class Counted:
    """What the router counted for a unit since its epoch."""

    requests: int = 0
    errors: int = 0
    slow: int = 0


@dataclass
class Smoke:
    """A smoke test. Units: `ends` seconds of the world's clock."""

    ends: float
    state: str = "running"


@dataclass
class World:
    """Everything outside of the process. Implements Runs, Serves, Splits and Measures.

    on_point: called at every call that could be the last one of a killed run. error_rate: by version. start_takes: seconds.
    """

    now: float = 1_000_000.0
    rate: float = 100.0
    start_takes: float = 0.6
    error_rate: dict[str, float] = field(default_factory=dict)
    never_ready: set[str] = field(default_factory=set)
    smoke: str = "succeeded"
    name: str = "fake"
    units: dict[str, Unit] = field(default_factory=dict)
    jobs: dict[str, Smoke] = field(default_factory=dict)
    endpoint: EndpointSpec | None = None
    weights: dict[str, int] = field(default_factory=dict)
    router_up: bool = True
    router_troubles: int = 0
    epoch: int = 1
    counted: dict[str, Counted] = field(default_factory=dict)
    served: Counter[str] = field(default_factory=Counter)
    shifts: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    full_since: dict[str, float] = field(default_factory=dict)
    fence: int = 0
    meddled: bool = False
    overtaken: bool = False
    last_trouble: float = 0.0
    on_point: Callable[[str], None] = lambda name: None
    on_shift: Callable[[Mapping[str, int]], None] = lambda weights: None
    on_remove: Callable[[str], None] = lambda unit: None

    def unit_of(self, version: str) -> Unit | None:
        """Return the unit of a version."""
        return next((u for u in self.units.values() if u.spec.version == version), None)

    def weight_of(self, version: str) -> int:
        """Return the weight a version has now."""
        return sum(w for name, w in self.weights.items() if self._version(name) == version)

    def kill(self, version: str) -> None:
        """End the servers of a version."""
        unit = self.unit_of(version)
        if unit is not None:
            unit.alive = False

    def reboot(self) -> None:
        """End every process; files stay."""
        for unit in self.units.values():
            unit.alive = False
        self.kill_jobs()
        self.kill_router()

    def kill_jobs(self) -> None:
        """End every job that runs."""
        for job in self.jobs.values():
            if job.state == "running":
                job.state = "lost"

    def kill_router(self) -> None:
        """End the router; the weights are in its files and come back with it, its counters do not."""
        self.router_up = False

    def pass_time(self, seconds: float) -> None:
        """Let users send requests for a while."""
        self.now += seconds
        if not self.router_up or not self.weights:
            return
        total = round(self.rate * seconds)
        for name, weight in self.weights.items():
            requests = total * weight // FULL_WEIGHT
            version = self._version(name)
            ready = self._state(self.units[name]) == "ready" if name in self.units else False
            errors = round(requests * self.error_rate.get(version, 0.0)) if ready else requests
            counted = self.counted.setdefault(name, Counted())
            counted.requests += requests
            counted.errors += errors
            self.served[version] += requests

    def start_job(self, job: JobSpec) -> JobStatus:
        self.on_point("start_job")
        self.jobs.setdefault(job.name, Smoke(self.now + 0.3))
        return self.inspect_job(job, {})

    def inspect_job(self, job: JobSpec, handle: Mapping[str, Any], tail: int = 5) -> JobStatus:
        found = self.jobs.get(job.name)
        if found is None:
            return JobStatus("absent", {})
        if found.state == "running" and self.now >= found.ends:
            # A test of servers that are gone cannot pass, whatever the version is worth.
            healthy = any(self._state(u) == "ready" for u in self.units.values())
            found.state = "failed" if self.smoke == "failed" or not healthy else "succeeded"
        state: Any = found.state
        return JobStatus(state, {}, {"succeeded": 0, "failed": 1}.get(found.state))

    def cancel_job(self, job: JobSpec, handle: Mapping[str, Any]) -> None:
        return None

    def ensure_unit(self, unit: UnitSpec) -> UnitStatus:
        self.on_point("ensure_unit")
        known = self.units.get(unit.name)
        if known is None or not known.alive:
            fails = unit.version in self.never_ready
            self.units[unit.name] = Unit(unit, self.now + self.start_takes, fails=fails)
        self.on_point("ensured_unit")
        return self.inspect_unit(unit.name)

    def inspect_unit(self, name: str) -> UnitStatus:
        unit = self.units.get(name)
        if unit is None:
            return UnitStatus(name, "", "", "absent")
        state: Any = self._state(unit)
        return UnitStatus(name, unit.spec.token, unit.spec.version, state, ("127.0.0.1:1",) if unit.alive else ())

    def list_units(self, labels: Mapping[str, str]) -> Sequence[UnitStatus]:
        return [self.inspect_unit(n) for n, u in self.units.items() if labels.items() <= u.spec.labels.items()]

    def remove_unit(self, name: str, drain: float = 10.0) -> None:
        self.on_point("remove_unit")
        if name not in self.units:
            return
        if self.weights.get(name) and self.meddled:
            raise ProviderError("A unit still has traffic", name)
        if self.weights.get(name):
            raise BrokenPromiseError(f"{name} is removed while it has {self.weights[name]} of the traffic")
        self.on_remove(self._version(name))
        del self.units[name]
        self.on_point("removed_unit")

    def unit_logs(self, name: str, lines: int = 20) -> Sequence[str]:
        return ()

    def ensure_endpoint(self, endpoint: EndpointSpec) -> EndpointStatus:
        self.on_point("ensure_endpoint")
        self.endpoint = endpoint
        if not self.router_up:
            self.router_up, self.epoch, self.counted = True, self.epoch + 1, {}
        return self.inspect_endpoint(endpoint.name)

    def inspect_endpoint(self, name: str) -> EndpointStatus:
        if self.endpoint is None:
            return EndpointStatus(name, "", "absent")
        if not self.router_up:
            return EndpointStatus(name, self.endpoint.token, "failed", reason="Envoy does not run")
        return EndpointStatus(name, self.endpoint.token, "ready", "http://127.0.0.1:1", dict(self.weights))

    def list_endpoints(self, labels: Mapping[str, str]) -> Sequence[EndpointStatus]:
        found = self.endpoint is not None and labels.items() <= self.endpoint.labels.items()
        return [self.inspect_endpoint(self.endpoint.name)] if found and self.endpoint else []

    def set_weights(self, name: str, weights: Mapping[str, int]) -> EndpointStatus:
        self.on_point("set_weights")
        if sum(weights.values()) != FULL_WEIGHT or any(w < 0 for w in weights.values()):
            raise BrokenPromiseError(f"weights are not whole: {dict(weights)}")
        self._router_answers()
        self.on_shift({self._version(unit): weight for unit, weight in weights.items()})
        for unit, weight in weights.items():
            if weight:
                self._wait_healthy(unit)
        self.weights, self.meddled = dict(weights), False
        self._shifted()
        self.on_point("weights_set")
        return self.inspect_endpoint(name)

    def move_by_hand(self, unit: str) -> None:
        """Give all traffic to a unit, as somebody would who goes past mlplan. What has baked before has baked."""
        self.weights, self.meddled = dict.fromkeys(self.weights, 0) | {unit: FULL_WEIGHT}, True
        self.full_since.setdefault(self._version(unit), self.now)

    def _shifted(self) -> None:
        by_version = {self._version(unit): weight for unit, weight in self.weights.items()}
        self.shifts.append((self.now, by_version))
        for version, weight in by_version.items():
            if weight == FULL_WEIGHT:
                self.full_since.setdefault(version, self.now)
            else:
                self.full_since.pop(version, None)

    def remove_endpoint(self, name: str) -> None:
        self.on_point("remove_endpoint")
        self.endpoint, self.weights = None, {}

    def measure(self, endpoint: str) -> Mapping[str, VersionCounters]:
        self.on_point("measure")
        self._router_answers()
        found = {}
        for unit in self.weights:
            c = self.counted.setdefault(unit, Counted())
            fast = c.requests - c.slow
            histogram = Histogram(EDGES, (fast, fast, fast), c.requests)
            found[unit] = VersionCounters(self._version(unit), str(self.epoch), c.requests, c.errors, histogram)
        return found

    def check(self) -> None:
        return None

    def _router_answers(self) -> None:
        if not self.router_up:
            raise ProviderError("Envoy does not run", retryable=True)
        if self.router_troubles > 0:
            self.router_troubles -= 1
            self.last_trouble = self.now
            raise ProviderError("Envoy does not answer", retryable=True)

    def _wait_healthy(self, name: str) -> None:
        unit = self.units.get(name)
        if unit is None and not self.overtaken:
            raise BrokenPromiseError(f"traffic is asked for {name}, which does not exist")
        if unit is None:
            raise ProviderError("There is no such unit", name)
        if unit.alive and not unit.fails and unit.ready_at <= self.now + 10:
            self.now = max(self.now, unit.ready_at)
            return
        raise ProviderError("A unit does not run", name, retryable=True)

    def _state(self, unit: Unit) -> str:
        if not unit.alive:
            return "failed"
        return "starting" if unit.fails or unit.ready_at > self.now else "ready"

    def _version(self, unit: str) -> str:
        return self.units[unit].spec.version if unit in self.units else self._remembered(unit)

    def _remembered(self, unit: str) -> str:
        return f"gone:{unit}"


@dataclass
class Book:
    """What survives a killed run: the records. notes: phases that were told of."""

    records: dict[str, Record]
    kept: int = 0
    notes: list[str] = field(default_factory=list)


class FakeContext:
    """The engine's context over a world and a book. Its fence is the lock: a later run has a higher one."""

    lineage = "lineage"

    def __init__(
        self, world: World, book: Book, desired: Mapping[str, Desired], root: Path, *, wait: bool = True
    ) -> None:
        world.fence += 1
        self._fence = world.fence
        self._world, self._book, self._desired = world, book, desired
        self.root, self.run = root, f"run{self._fence}"
        self.options = Options(wait=wait)
        self.services = Services(root, "python", _NoPins())
        self.cancelled = threading.Event()

    @property
    def state(self) -> State:
        return State(self.lineage, records=self._book.records)

    def now(self) -> float:
        return self._world.now

    def wait(self, seconds: float) -> bool:
        self._world.pass_time(seconds)
        self._world.on_point("wait")
        return self.cancelled.is_set()

    def record(self, address: str) -> Record | None:
        return self._book.records.get(address)

    def desired(self, address: str) -> Desired:
        return self._desired[address]

    def find_desired(self, address: str) -> Desired | None:
        return self._desired.get(address)

    def provider(self, name: str | None) -> World:
        return self._world

    def accepted(self, step: Step, handle: Mapping[str, Any]) -> None:
        return None

    def keep(self, record: Record, evidence: Iterable[Evidence] = ()) -> None:
        self._world.on_point("keep")
        self.hold()
        self._book.records[record.address] = record
        self._book.kept += 1
        self._world.on_point("kept")

    def hold(self) -> None:
        """Raise StoreError when another run has the lock now."""
        if self._fence != self._world.fence:
            raise StoreError("the lock was lost")

    def tell(self, event: Event) -> None:
        if event.kind == "note":
            self._book.notes.append(event.text)

    def put_blob(self, key: str, data: bytes) -> None:
        return None

    def get_blob(self, key: str) -> bytes | None:
        return None


class _NoPins:
    def get(self, address: str) -> Mapping[str, Any] | None:
        return None

    def put(self, address: str, values: Mapping[str, Any]) -> None:
        return None

    def drop(self, address: str) -> None:
        return None


MODEL = "model.m"
ENVIRONMENT = "environment.prod"
ADDRESS = 'model.m.deployment["prod"]'


def desired_of(rollout: Mapping[str, Any], strategy: str = "canary", **environment: Any) -> dict[str, Desired]:
    """Return model, environment and deployment as the files would want them."""
    arguments = {"rollout": {strategy: dict(rollout)}, "port": None, "health": {"within": 10.0}, **environment}
    return {
        MODEL: Desired(MODEL, "model", "m", {"deploy_to": ()}),
        ENVIRONMENT: Desired(ENVIRONMENT, "environment", "prod", arguments),
        ADDRESS: Desired(
            ADDRESS,
            "deployment",
            "prod",
            {"model": MODEL, "environment": ENVIRONMENT, "replicas": 1},
            (MODEL, ENVIRONMENT),
        ),
    }


def model_record(*versions: int) -> Record:
    """Return a model whose newest version is the last one."""
    known = {str(v): {"artifact": f"sha256:{v:064d}", "recipe": f"r{v}"} for v in versions}
    return Record(MODEL, "model", {"version": versions[-1], "versions": known})


def newest(book: Book, *versions: int) -> None:
    """Let the model accept further versions."""
    book.records[MODEL] = replace(book.records[MODEL], attributes=model_record(*versions).attributes)
