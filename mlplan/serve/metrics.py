"""What the server counts, in its own registry.

Every series carries model, version and endpoint; cardinality is bounded by the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_SCORES = tuple(i / 20 for i in range(1, 21))
_MAX_CLASSES = 50


class Metrics:
    """Counters and histograms of one serving process."""

    def __init__(self, model: str, version: str, endpoint: str, waiting: Callable[[], float] = lambda: 0) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        labels = ("model", "version", "endpoint")
        values = (model, version, endpoint)

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(f"mlplan_{name}", text, (*labels, *more), registry=self.registry)

        self._values = values
        self._requests = counter("requests", "Requests by route and HTTP status.", "route", "code")
        self._rejected = counter("rejected_inputs", "Requests refused for their input.", "column", "reason")
        self._warned = counter("warned_inputs", "Values outside the contract that were answered.", "column", "reason")
        self._classes = counter("predictions", "Rows predicted by predicted class.", "prediction")
        self.log_drops = counter("log_dropped", "Requests missing in the prediction log.").labels(*values)
        self._seconds = Histogram(
            "mlplan_request_seconds", "Time to answer.", (*labels, "route"), buckets=_SECONDS, registry=self.registry
        )
        self.batch_rows = Histogram(
            "mlplan_batch_rows", "Rows predicted at once.", labels, buckets=_ROWS, registry=self.registry
        ).labels(*values)
        self.scores = Histogram(
            "mlplan_score", "Scores of predicted rows.", labels, buckets=_SCORES, registry=self.registry
        ).labels(*values)
        self.ready = Gauge("mlplan_ready", "1 while the server takes traffic.", labels, registry=self.registry).labels(
            *values
        )
        queue = Gauge("mlplan_waiting_rows", "Rows waiting for the model.", labels, registry=self.registry).labels(
            *values
        )
        queue.set_function(waiting)
        self._cache: dict[Any, Any] = {}

    def request(self, route: str, code: int, seconds: float) -> None:
        """Count one answered request."""
        key = (route, code)
        pair = self._cache.get(key)
        if pair is None:  # looking children up by label is most of what a count costs
            pair = self._cache[key] = (
                self._requests.labels(*self._values, route, str(code)),
                self._seconds.labels(*self._values, route),
            )
        pair[0].inc()
        pair[1].observe(seconds)

    def rejected(self, column: str, reason: str) -> None:
        """Count a request refused for its input. column: a contract column, or empty."""
        self._rejected.labels(*self._values, column, reason).inc()

    def warned(self, column: str, reason: str) -> None:
        """Count a value outside the contract that was answered all the same."""
        self._warned.labels(*self._values, column, reason).inc()

    def predicted(self, outputs: Mapping[str, list[Any]], is_classifier: bool) -> None:
        """Count what was predicted."""
        for score in outputs.get("score", ()):
            self.scores.observe(score)
        if not is_classifier:
            return
        for prediction in outputs["prediction"]:
            child = self._cache.get(("class", prediction))
            if child is None:
                name = str(prediction) if len(self._cache) < _MAX_CLASSES + 100 else "other"
                child = self._cache[("class", prediction)] = self._classes.labels(*self._values, name)
            child.inc()

    def text(self) -> bytes:
        """Return everything in the Prometheus text format."""
        return generate_latest(self.registry)
