"""What happens during a run, as values. The terminal, plain lines and `--json` are fed by this one stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """One happening. kind: "step_started", "step_ended", "log", "progress", "look", "weights", "alert",
    "note".

    at: seconds since the epoch, filled in by the executor. data: plain JSON, by kind:
    log {line}; progress {done 0..1, metrics}; weights {weights by version in 1/10,000}; look {version, requests, errors, criteria};
    alert {notify}; step_ended {result, summary, seconds}.
    """

    kind: str
    address: str
    text: str = ""
    step: str = ""
    at: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]
