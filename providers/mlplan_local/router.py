"""The Envoy of one endpoint: its process and its watched files. Starts it, changes what it runs, and proves that it runs it.

Nothing here is remembered outside the endpoint's folder; the caller holds the endpoint's lock. Which units an endpoint has, and what
they are, `endpoints` knows.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlplan.spi.capabilities import ProviderError
from mlplan_local import envoy, ports
from mlplan_local.admin import Admin, AdminError, weights_in
from mlplan_local.files import cut_log, last_lines, read_json, write_atomic
from mlplan_local.process import (
    MARK,
    Identity,
    LaunchError,
    base_environment,
    end_group,
    end_marked,
    launch,
    read_identity,
)

_PROCESS = "process.json"
_LOG = "envoy.log"
_MOST_LOG = 8 * 1024 * 1024
_START_SECONDS = 30.0
_CONFIRM_SECONDS = 10.0
_PAUSE = 0.02
_END_GRACE = 5.0


class Router:
    """The Envoy in `folder`."""

    def __init__(self, folder: Path, name: str, mark: str) -> None:
        self.admin = Admin(folder)
        self._folder = folder
        self._watched = folder / envoy.WATCHED
        self._name = name
        self._mark = mark

    def identity(self) -> Identity | None:
        """Return the running Envoy; None when it does not run."""
        identity = read_identity(self._folder / _PROCESS)
        return identity if identity is not None and identity.alive() else None

    def tail(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(last_lines(self._folder / _LOG, 5))

    def start(self, binary: Path, port: int, workers: int, chosen: bool) -> None:
        """Start Envoy on `port` and wait until it serves there. Raises ProviderError, naming who has the port if that is why."""
        end_marked(self._mark)  # of a starter that was killed: two routers can listen on one port without noticing
        if not ports.is_free(port):
            raise ports.taken(self._name, port, chosen)
        (self._folder / envoy.ADMIN).unlink(missing_ok=True)
        write_atomic(self._folder / envoy.BOOTSTRAP, json.dumps(envoy.bootstrap(self._name, port), indent=1).encode())
        cut_log(self._folder / _LOG, _MOST_LOG)
        command = [str(binary), "-c", envoy.BOOTSTRAP, "--disable-hot-restart", "--concurrency", str(workers)]
        try:
            identity = launch(
                [*command, "--log-level", "warning"],
                {**base_environment(), MARK: self._mark},
                folder=self._folder,
                facts=self._folder / _PROCESS,
                log=self._folder / _LOG,
            )
        except LaunchError as error:
            raise ProviderError("Envoy could not be started", f"Endpoint {self._name}: {error}") from error
        self._wait_started(identity, port, chosen)

    def _wait_started(self, identity: Identity, port: int, chosen: bool) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not (self.admin.ready() and _accepts(port)):
            if not identity.alive():
                if not ports.is_free(port):
                    raise ports.taken(self._name, port, chosen)
                raise ProviderError(
                    "Envoy ended while it started", f"Endpoint {self._name}. Its log ends with:\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                end_group(identity, _END_GRACE)
                raise ProviderError(
                    "Envoy did not start in time",
                    f"Endpoint {self._name}. Its log ends with:\n{self.tail()}",
                    retryable=True,
                )
            time.sleep(_PAUSE)

    def stop(self) -> None:
        """End Envoy."""
        end_group(self.identity(), _END_GRACE)

    def write_endpoints(self, unit: str, addresses: Sequence[tuple[str, int]]) -> None:
        """Say where the replicas of a unit answer; Envoy takes it up by itself."""
        self._write(f"eds.{unit}.json", [envoy.assignment(unit, addresses)])

    def knows(self, unit: str) -> bool:
        """Tell whether a unit has an endpoints file here."""
        return (self._watched / f"eds.{unit}.json").exists()

    def write_clusters(self, units: Mapping[str, str]) -> None:
        """Say which units there are (name -> health path), wait until Envoy has accepted it, forget the files of others."""
        version = self._write("cds.json", [envoy.cluster(unit, path) for unit, path in sorted(units.items())])
        self._confirm("clusters", version)
        for path in self._watched.glob("eds.*.json"):
            if path.name.removeprefix("eds.").removesuffix(".json") not in units:
                path.unlink()

    def write_routes(self, weights: Mapping[str, int], timeout: float) -> None:
        """Set the weights, wait until Envoy has accepted the file, and read them back."""
        version = self._write("rds.json", [envoy.routes(self._name, weights, timeout)])
        self._confirm("routes", version)
        expected = dict(weights) if any(weights.values()) else {}
        found = self.admin.weights() if self.identity() is not None else expected
        if found != expected:
            raise ProviderError(
                "The router does not run the weights it was given",
                f"Endpoint {self._name}: wanted {expected}, found {found}.",
            )

    def written_weights(self) -> dict[str, int]:
        """Return the weights in the watched file: those that Envoy runs, or will run when it starts."""
        resources = (read_json(self._watched / "rds.json") or {}).get("resources", ())
        return weights_in(resources[0]) if resources else {}

    def prepare(self, units: Mapping[str, str], timeout: float) -> None:
        """Make sure that there are files to start from."""
        self._watched.mkdir(exist_ok=True, mode=0o700)
        if not (self._watched / "cds.json").exists():
            self._write("cds.json", [envoy.cluster(unit, path) for unit, path in sorted(units.items())])
        if not (self._watched / "rds.json").exists():
            self._write("rds.json", [envoy.routes(self._name, {}, timeout)])

    def wait_healthy(self, wanted: Mapping[str, Sequence[tuple[str, int]]], seconds: float) -> None:
        """Wait until Envoy itself finds a healthy replica for each unit in `wanted`. Raises ProviderError."""
        deadline = time.monotonic() + seconds
        while True:
            hosts = self.admin.hosts()
            missing = [
                unit
                for unit, addresses in wanted.items()
                if not any(hosts.get(unit, {}).get(f"{host}:{port}") for host, port in addresses)
            ]
            if not missing:
                return
            if time.monotonic() > deadline:
                raise ProviderError(
                    "The router finds no healthy replica",
                    f"Endpoint {self._name} was to send traffic to {', '.join(missing)}, but its health checks there do not "
                    f"pass within {seconds:g} s. The weights are as before.",
                    retryable=True,
                )
            time.sleep(_PAUSE)

    def wait_idle(self, units: Sequence[str], seconds: float) -> bool:
        """Wait until no request to `units` is under way; return whether that is so."""
        deadline = time.monotonic() + seconds
        while any(count.active for count in self.admin.counts(units).values()):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def _write(self, file: str, resources: Sequence[Mapping[str, object]]) -> str:
        version, content = envoy.discovery(resources)
        path = self._watched / file
        if (read_json(path) or {}).get("version_info") != version:
            write_atomic(path, content)
        return version

    def _confirm(self, what: str, version: str) -> None:
        """Wait until Envoy runs `version` of the file; one that does not run will read it when it starts."""
        deadline = time.monotonic() + _CONFIRM_SECONDS
        while self.identity() is not None and self._accepted(what) != version:
            if time.monotonic() > deadline:
                raise ProviderError(
                    "The router did not confirm a change",
                    f"Endpoint {self._name}: Envoy does not run the new {what}. Its log ends with:\n{self.tail()}",
                    retryable=True,
                )
            time.sleep(_PAUSE)

    def _accepted(self, what: str) -> str | None:
        try:
            return self.admin.versions().get(what)
        except AdminError:
            return None  # the caller asks again until its time is over


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True
