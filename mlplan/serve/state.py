"""What the parts of a serving process share: its phase, and the model once it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlplan.artifact.flavor import ModelInfo
from mlplan.serve.batching import Batcher
from mlplan.serve.contract import Contract
from mlplan.serve.metrics import Metrics
from mlplan.serve.request_log import RequestLog
from mlplan.serve.settings import Settings

Phase = Literal["starting", "ready", "draining", "failed"]


@dataclass
class Serving:
    """One serving process. The phase goes one way; only "ready" is healthy, and "draining" still answers."""

    settings: Settings
    metrics: Metrics
    phase: Phase = "starting"
    contract: Contract | None = None
    info: ModelInfo | None = None
    batcher: Batcher | None = None
    log: RequestLog | None = None
    busy: int = 0
    """Requests for predictions that are being answered."""

    def enter(self, phase: Phase) -> None:
        """Change the phase."""
        self.phase = phase
        self.metrics.ready.set(1 if phase == "ready" else 0)
