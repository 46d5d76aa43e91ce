"""Endpoints: one stable port for each, one Envoy behind it, its weights over units, and what it counted.

An endpoint's folder holds `endpoint.json` (what it is, its port, the units its router knows), `process.json`, `envoy.log`, the
bootstrap, the admin socket and the watched files in `xds/`. The weights live in the watched files alone: after a restart Envoy
goes on with them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from mlplan.spi.capabilities import (
    FULL_WEIGHT,
    EndpointSpec,
    EndpointStatus,
    ProviderError,
    VersionCounters,
)
from mlplan_local import envoy, ports
from mlplan_local.admin import AdminError
from mlplan_local.files import locked, read_json, write_json
from mlplan_local.places import LOCK_SECONDS, Places
from mlplan_local.process import end_marked
from mlplan_local.router import Router
from mlplan_local.units import addresses_of, facts_of

_FACTS = "endpoint.json"
_HEALTHY_SECONDS = 10.0
_DRAIN_SECONDS = 30.0
_T = TypeVar("_T")


class Endpoints:
    """Splits and counts traffic; the methods are those of `Splits` and `Measures`. Units: `timeout` seconds a request."""

    def __init__(self, places: Places, binary: str | None, workers: int, timeout: float) -> None:
        self._places = places
        self._binary = binary
        self._workers = workers
        self._timeout = timeout

    def ensure_endpoint(self, endpoint: EndpointSpec) -> EndpointStatus:
        """Make Envoy run on the endpoint's port with the weights it had; start it again when it was killed."""
        binary = envoy.binary(self._binary)
        folder = self._places.endpoint(endpoint.name)
        with locked(self._places.lock("endpoint", endpoint.name), LOCK_SECONDS):
            known = read_json(folder / _FACTS)
            if known is not None and known["token"] != endpoint.token:
                raise ProviderError(
                    "An endpoint with this name belongs to something else",
                    f"Endpoint {endpoint.name} carries another token. It is left as it is: remove it, or use another name.",
                )
            router = self._router(endpoint.name, endpoint.token)
            facts = _facts(endpoint, known)
            if known is None or known["port"] != facts["port"]:
                router.stop()
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_json(folder / _FACTS, facts)
            router.prepare(_health_paths(facts), self._timeout)
            for unit in facts["units"]:
                router.write_endpoints(unit, addresses_of(self._places, unit))
            if router.identity() is None:
                router.start(binary, facts["port"], self._workers, chosen=endpoint.port is None)
        return self.inspect_endpoint(endpoint.name)

    def inspect_endpoint(self, name: str) -> EndpointStatus:
        """Return what Envoy says it runs."""
        folder = self._places.endpoint(name)
        facts = read_json(folder / _FACTS)
        if facts is None:
            if folder.is_dir():
                return EndpointStatus(
                    name, "", "failed", reason=f"{folder} has no readable {_FACTS}: half made or damaged"
                )
            return EndpointStatus(name, "", "absent")
        url = f"http://127.0.0.1:{facts['port']}"
        router = self._router(name, facts["token"])
        weights: Mapping[str, int] = {}
        reason = ""
        try:
            if router.identity() is None:
                reason = f"Envoy does not run; its log ends with:\n{router.tail()}"
            elif not router.admin.ready():
                reason = "Envoy runs but does not serve"
            else:
                weights = router.admin.weights()
        except AdminError as error:
            reason = f"Envoy does not answer: {error}"
        return EndpointStatus(
            name, facts["token"], "failed" if reason else "ready", url, weights, reason, facts["labels"]
        )

    def list_endpoints(self, labels: Mapping[str, str]) -> Sequence[EndpointStatus]:
        """Return endpoints by labels; one whose facts are unreadable carries none and is listed when no label is asked for."""
        found = []
        for name in self._places.names("endpoint"):
            facts = read_json(self._places.endpoint(name) / _FACTS) or {"labels": {}}
            if labels.items() <= facts["labels"].items():
                found.append(self.inspect_endpoint(name))
        return found

    def set_weights(self, name: str, weights: Mapping[str, int]) -> EndpointStatus:
        """Make new units known, wait until Envoy finds them healthy, shift, then drain and forget the units that are left out.

        In this order no request meets a cluster that is not there: clusters are added before the first route to them and
        removed after the last request to them.
        """
        _check_weights(name, weights)
        with locked(self._places.lock("endpoint", name), LOCK_SECONDS):
            facts, router = self._running(name)
            addresses = {unit: self._addresses(name, unit, weights[unit]) for unit in weights}
            # First what is known: the cluster of a unit that was being forgotten goes, and its counters with it.
            self._asking(name, lambda: router.write_clusters(_health_paths(facts)))
            self._make_known(facts, weights)
            for unit in weights:
                router.write_endpoints(unit, addresses[unit])
            self._asking(name, lambda: router.write_clusters(_health_paths(facts)))
            wanted = {unit: addresses[unit] for unit, weight in weights.items() if weight}
            self._asking(name, lambda: router.wait_healthy(wanted, _HEALTHY_SECONDS))
            self._asking(name, lambda: router.write_routes(weights, self._timeout))
            self._forget(facts, router, [unit for unit in facts["units"] if unit not in weights], _DRAIN_SECONDS)
        return self.inspect_endpoint(name)

    def remove_endpoint(self, name: str) -> None:
        """End Envoy and remove the folder."""
        folder = self._places.endpoint(name)
        if not folder.is_dir():
            return
        with locked(self._places.lock("endpoint", name), LOCK_SECONDS):
            facts = read_json(folder / _FACTS) or {}
            token = facts.get("token", "")
            self._router(name, token).stop()
            if token:
                end_marked(self._places.mark("endpoint", name, token))
            shutil.rmtree(folder)
            self._places.tidy("endpoint", name)

    def measure(self, endpoint: str) -> Mapping[str, VersionCounters]:
        """Return what Envoy counted for each unit it knows. The epoch names the Envoy process and the time since it knows the unit."""
        facts, router = self._running(endpoint)
        identity = router.identity()
        counts = self._asking(endpoint, lambda: router.admin.counts(sorted(facts["units"])))
        if identity is None or router.identity() != identity:
            raise ProviderError("The router restarted while it was asked", f"Endpoint {endpoint}.", retryable=True)
        return {
            unit: VersionCounters(
                version=facts["units"][unit]["version"],
                epoch=f"{identity.text()}-{facts['units'][unit]['arrival']}",
                requests=count.requests,
                errors=count.errors,
                latency=count.histogram(facts["latency_limits"]),
                codes=count.codes,
            )
            for unit, count in counts.items()
        }

    def moved(self, name: str, unit: str) -> None:
        """Tell the router where a unit answers now, if it knows the unit."""
        if not self._places.endpoint(name).is_dir():
            return
        with locked(self._places.lock("endpoint", name), LOCK_SECONDS):
            facts = read_json(self._places.endpoint(name) / _FACTS)
            if facts is None or unit not in facts["units"]:
                return
            self._router(name, facts["token"]).write_endpoints(unit, addresses_of(self._places, unit))

    def leave(self, name: str, unit: str, drain: float) -> None:
        """Make the router forget a unit that is about to stop. Raises ProviderError while it has traffic."""
        if not self._places.endpoint(name).is_dir():
            return
        with locked(self._places.lock("endpoint", name), LOCK_SECONDS):
            facts = read_json(self._places.endpoint(name) / _FACTS)
            if facts is None or unit not in facts["units"]:
                return
            router = self._router(name, facts["token"])
            weights = router.written_weights()
            if weights.get(unit):
                raise ProviderError(
                    "A unit still has traffic",
                    f"Unit {unit} gets {weights[unit]} of {FULL_WEIGHT} of the requests to endpoint {name}. "
                    "Set its weight to 0, or remove the endpoint first.",
                )
            left = {other: weight for other, weight in weights.items() if other != unit}
            self._asking(name, lambda: router.write_routes(left, self._timeout))
            self._forget(facts, router, [unit], drain)

    def _router(self, name: str, token: str) -> Router:
        return Router(self._places.endpoint(name), name, self._places.mark("endpoint", name, token))

    def _running(self, name: str) -> tuple[dict[str, Any], Router]:
        facts = read_json(self._places.endpoint(name) / _FACTS)
        if facts is None:
            raise ProviderError("There is no such endpoint", f"Endpoint {name} does not exist here.")
        router = self._router(name, facts["token"])
        if router.identity() is None:
            raise ProviderError(
                "Envoy does not run",
                f"Endpoint {name} has no running router; ensuring the endpoint starts it. {router.tail()}".strip(),
                retryable=True,
            )
        return facts, router

    def _addresses(self, endpoint: str, unit: str, weight: int) -> tuple[tuple[str, int], ...]:
        if facts_of(self._places, unit) is None:
            raise ProviderError(
                "There is no such unit", f"Endpoint {endpoint} cannot send traffic to {unit}: it does not exist."
            )
        addresses = addresses_of(self._places, unit)
        if weight and not addresses:
            raise ProviderError(
                "A unit does not run",
                f"Endpoint {endpoint} cannot send traffic to {unit}: none of its processes runs.",
                retryable=True,
            )
        return addresses

    def _make_known(self, facts: dict[str, Any], weights: Mapping[str, int]) -> None:
        for unit in weights:
            described = facts_of(self._places, unit) or {}
            known = facts["units"].get(unit)
            if known is None:
                facts["arrivals"] += 1
            facts["units"][unit] = {
                "arrival": known["arrival"] if known else facts["arrivals"],
                "version": described.get("version", ""),
                "health_path": described.get("health_path", facts["health_path"]),
            }
        write_json(self._places.endpoint(facts["name"]) / _FACTS, facts)

    def _forget(self, facts: dict[str, Any], router: Router, units: Sequence[str], drain: float) -> None:
        """Remove units without a route from the router once their last request is answered, or `drain` seconds are over."""
        if not units:
            return
        name = facts["name"]
        if router.identity() is not None:
            self._asking(name, lambda: router.wait_idle(units, drain))
        for unit in units:
            del facts["units"][unit]
        write_json(self._places.endpoint(name) / _FACTS, facts)
        self._asking(name, lambda: router.write_clusters(_health_paths(facts)))

    @staticmethod
    def _asking(name: str, ask: Callable[[], _T]) -> _T:
        try:
            return ask()
        except AdminError as error:
            raise ProviderError("Envoy does not answer", f"Endpoint {name}: {error}", retryable=True) from error


def _facts(endpoint: EndpointSpec, known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the facts of an endpoint as wanted now; port and units are those it has."""
    port = endpoint.port or (known["port"] if known else ports.choose(endpoint.name))
    return {
        "name": endpoint.name,
        "token": endpoint.token,
        "model": endpoint.model,
        "port": port,
        "health_path": endpoint.health_path,
        "latency_limits": list(endpoint.latency_limits),
        "labels": dict(endpoint.labels),
        "units": dict(known["units"]) if known else {},
        "arrivals": known["arrivals"] if known else 0,
    }


def _health_paths(facts: Mapping[str, Any]) -> dict[str, str]:
    return {unit: known["health_path"] for unit, known in facts["units"].items()}


def _check_weights(name: str, weights: Mapping[str, int]) -> None:
    total = sum(weights.values())
    if total != FULL_WEIGHT or any(weight < 0 for weight in weights.values()):
        raise ProviderError(
            "Weights are not whole",
            f"Endpoint {name} got {dict(weights)}: weights are not negative and sum to {FULL_WEIGHT}, not {total}.",
        )
