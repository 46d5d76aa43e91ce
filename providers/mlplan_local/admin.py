"""Ask a running Envoy: is it ready, which configuration does it really run, what did it count. Reads only.

Envoy's admin interface listens on a socket file in the endpoint's folder, which only its owner may enter.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlplan.spi.capabilities import Histogram
from mlplan_local.envoy import ADMIN, ROUTE

_MOST_ANSWER = 64 * 1024 * 1024
EDGES = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100, 120, 150, 200, 250, 300, 400),
    *(500, 600, 700, 800, 900, 1000, 1200, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10000, 15000, 20000, 30000, 60000),
)
"""Milliseconds at which latency is always counted."""


class AdminError(Exception):
    """Envoy's admin interface did not answer as expected."""


@dataclass(frozen=True)
class Counts:
    """What Envoy counted for one cluster since it knows the cluster. `active`: requests under way."""

    requests: int
    errors: int
    active: int
    codes: Mapping[str, int]
    bins: Sequence[tuple[float, float, int]]

    def histogram(self, limits: Iterable[float]) -> Histogram:
        """Return cumulative counts at the usual edges and at `limits` (milliseconds).

        Envoy keeps bins of two significant digits. An edge inside a bin counts only the bins below it: at such an edge the share
        of slow requests is rather too high than too low, and the same for all versions.
        """
        edges = tuple(sorted({float(edge) for edge in (*EDGES, *limits)}))
        counts = tuple(sum(count for low, width, count in self.bins if low + width <= edge) for edge in edges)
        return Histogram(edges, counts, sum(count for _, _, count in self.bins))


class _SocketFile(HTTPConnection):
    """HTTP over a socket file, reached through its open folder: paths of socket files are limited to 108 bytes."""

    def __init__(self, folder: Path, timeout: float) -> None:
        super().__init__("envoy", timeout=timeout)
        self._folder = folder

    def connect(self) -> None:
        handle = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{handle}/{ADMIN}")
        finally:
            os.close(handle)


class Admin:
    """The admin interface of the Envoy in `folder`."""

    def __init__(self, folder: Path, timeout: float = 5.0) -> None:
        self._folder = folder
        self._timeout = timeout

    def ready(self) -> bool:
        """Tell whether Envoy serves."""
        try:
            return self._get("/ready")[0] == 200
        except AdminError:
            return False

    def weights(self) -> dict[str, int]:
        """Return the weights in the route table that Envoy runs; empty while nothing has traffic."""
        configs = self._json("/config_dump?resource=dynamic_route_configs").get("configs", ())
        tables = (config.get("route_config", {}) for config in configs)
        return next((weights_in(table) for table in tables if table.get("name") == ROUTE), {})

    def versions(self) -> dict[str, str]:
        """Return the versions of the files that Envoy has accepted: "routes", "clusters"."""
        names = {f"http.front.rds.{ROUTE}.version_text": "routes", "cluster_manager.cds.version_text": "clusters"}
        entries = self._json("/stats?format=json&filter=version_text$").get("stats", ())
        return {names[entry["name"]]: str(entry["value"]) for entry in entries if entry.get("name") in names}

    def hosts(self) -> dict[str, dict[str, bool]]:
        """Return for each active cluster its hosts ("127.0.0.1:4711") and whether Envoy holds them for healthy."""
        found: dict[str, dict[str, bool]] = {}
        for status in self._json("/clusters?format=json").get("cluster_statuses", ()):
            hosts = found.setdefault(status["name"], {})
            for host in status.get("host_statuses", ()):
                address = host["address"]["socket_address"]
                hosts[f"{address['address']}:{address['port_value']}"] = _is_healthy(host.get("health_status", {}))
        return found

    def counts(self, units: Sequence[str]) -> dict[str, Counts]:
        """Return what was counted for each unit; units that Envoy does not know are left out."""
        if not units:
            return {}
        one_of = "|".join(re.escape(unit) for unit in units)
        pattern = rf"^cluster\.({one_of})\.upstream_rq_(completed|active|time|[1-5]xx|[1-5][0-9][0-9])$"
        document = self._json(f"/stats?format=json&histogram_buckets=detailed&filter={quote(pattern, safe='')}")
        return _counts(document, units)

    def _json(self, path: str) -> dict[str, Any]:
        status, body = self._get(path)
        if status != 200:
            raise AdminError(f"{path} answers {status}")
        try:
            document = json.loads(body)
        except ValueError as error:
            raise AdminError(f"{path}: not JSON") from error
        if not isinstance(document, dict):
            raise AdminError(f"{path}: not an object")
        return document

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = _SocketFile(self._folder, self._timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST_ANSWER)
        except (OSError, HTTPException) as error:
            raise AdminError(f"{path}: {error or type(error).__name__}") from error
        finally:
            connection.close()


def weights_in(table: Mapping[str, Any]) -> dict[str, int]:
    """Return the weights in a route table."""
    routes = (route for host in table.get("virtual_hosts", ()) for route in host.get("routes", ()))
    clusters = (route.get("route", {}).get("weighted_clusters", {}).get("clusters", ()) for route in routes)
    return {entry["name"]: int(entry.get("weight", 0)) for group in clusters for entry in group}


def _is_healthy(status: Mapping[str, Any]) -> bool:
    failures = (
        "failed_active_health_check",
        "pending_active_hc",
        "failed_outlier_check",
        "failed_active_degraded_check",
    )
    return not any(status.get(failure) for failure in failures)


def _counts(document: Mapping[str, Any], units: Sequence[str]) -> dict[str, Counts]:
    values: dict[str, dict[str, int]] = {}
    bins: dict[str, list[tuple[float, float, int]]] = {}
    for entry in document.get("stats", ()):
        if "name" in entry:
            unit, _, name = entry["name"].removeprefix("cluster.").partition(".")
            values.setdefault(unit, {})[name.removeprefix("upstream_rq_")] = int(entry["value"])
        for detail in entry.get("histograms", {}).get("details", ()):
            unit = detail["name"].removeprefix("cluster.").partition(".")[0]
            bins[unit] = [(b["lower_bound"], b["width"], b["count"]) for b in detail.get("totals", ())]
    return {
        unit: Counts(
            requests=values[unit].get("completed", 0),
            errors=values[unit].get("5xx", 0),
            active=values[unit].get("active", 0),
            codes={name: count for name, count in values[unit].items() if name.isdigit()},
            bins=bins.get(unit, []),
        )
        for unit in units
        if unit in values
    }
