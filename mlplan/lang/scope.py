"""What an expression can see while it is evaluated: names, functions, the project's folder, and how much it may spend."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.values import Value

if TYPE_CHECKING:
    from mlplan.lang.functions.registry import Function

MAX_STEPS = 5_000_000
MAX_BYTES = 64 * 1024 * 1024
MAX_SECONDS = 8.0  # so that the diagnostic is there within ten


@dataclass(slots=True)
class Budget:
    """Counts what one evaluation spends, and stops it before it hurts the machine.

    Units: `steps` evaluated nodes and produced elements, `bytes` of produced text and containers (estimated), seconds of wall time.
    """

    max_steps: int = MAX_STEPS
    max_bytes: int = MAX_BYTES
    max_seconds: float = MAX_SECONDS
    steps: int = 0
    bytes: int = 0
    started: float = field(default_factory=time.monotonic)

    def step(self, count: int = 1) -> None:
        """Count steps. Diagnostics: expression-too-costly."""
        before = self.steps
        self.steps += count
        if self.steps > self.max_steps:
            raise _too_costly(f"more than {self.max_steps:,} steps")
        if before >> 10 != self.steps >> 10 and time.monotonic() - self.started > self.max_seconds:
            raise _too_costly(f"longer than {self.max_seconds:g} seconds")

    def produce(self, size: int) -> None:
        """Count produced bytes. Diagnostics: expression-too-costly."""
        self.bytes += size
        if self.bytes > self.max_bytes:
            raise _too_costly(f"more than {self.max_bytes // (1024 * 1024)} MiB of values")

    def restart(self) -> None:
        """Begin a new evaluation with nothing spent."""
        self.steps = 0
        self.bytes = 0
        self.started = time.monotonic()


def _too_costly(what: str) -> DiagnosticError:
    detail = (
        f"Evaluating this expression takes {what}, which is the limit for one expression. "
        "Make it smaller: fewer repetitions, or values that are computed outside."
    )
    return DiagnosticError(Diagnostic("expression-too-costly", "Expression too costly", detail))


class Scope:
    """Names an expression can refer to. A subclass may compute them when they are asked for.

    root: folder that filesystem functions may read, and no other; None forbids them. folder: what relative paths start
    from (a module's own folder; the root when left out). now: the clock; None makes `timestamp()` and other
    effects unknown ("known at apply").
    """

    def __init__(
        self,
        variables: Mapping[str, Value] | None = None,
        *,
        functions: Mapping[str, Function] | None = None,
        root: Path | None = None,
        folder: Path | None = None,
        now: datetime | None = None,
        budget: Budget | None = None,
        parent: Scope | None = None,
    ) -> None:
        self.variables: Mapping[str, Value] = variables if variables is not None else {}
        self.parent = parent
        if functions is None:
            functions = parent.functions if parent is not None else _standard_functions()
        if budget is None:
            budget = parent.budget if parent is not None else Budget()
        self.functions: Mapping[str, Function] = functions
        self.budget: Budget = budget
        self.root: Path | None = parent.root if parent is not None else root
        self.folder: Path | None = parent.folder if parent is not None else (folder or root)
        self.now: datetime | None = parent.now if parent is not None else now

    def lookup(self, name: str) -> Value:
        """Return the value of a root name. Raises KeyError when there is none (null is a value)."""
        if name in self.variables:
            return self.variables[name]
        if self.parent is not None:
            return self.parent.lookup(name)
        raise KeyError(name)

    def names(self) -> set[str]:
        """Return every root name that can be looked up, for suggestions."""
        return set(self.variables) | (self.parent.names() if self.parent is not None else set())

    def child(self, variables: Mapping[str, Value]) -> Scope:
        """Return a scope that sees `variables` first and then this one."""
        return Scope(variables, parent=self)


def _standard_functions() -> Mapping[str, Function]:
    from mlplan.lang.functions import standard_functions  # late: functions need the scope's type

    return standard_functions()
