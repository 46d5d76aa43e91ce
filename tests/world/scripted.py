"""A provider whose whole world is files in one folder: jobs, units, endpoints. Its calls can be lost, answered twice, or be the last.

Jobs do their work in this process when they are looked at for the second time: a job that was started goes on whether or not the run
that started it lives. `reboot` ends everything that runs, as a power cycle does.
"""

from __future__ import annotations

import json
import os
import runpy
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from mlplan.spi.schema import BlockSchema

Hook = Callable[[str, str], None]


def nothing(call: str, where: str) -> None:
    """The hook of a quiet world."""


class Scripted:
    """The provider. hook: called with the name of a call and "before" or "after"; what it raises happens."""

    name = "scripted"
    schema = BlockSchema("A world in files.")

    def __init__(self, root: Path, hook: Hook = nothing) -> None:
        self.root = root
        self.folder = root / ".world"
        self.hook = hook

    def check(self) -> None:
        """Nothing can be wrong."""

    # jobs

    def start_job(self, job: JobSpec) -> JobStatus:
        self.hook("start_job", "before")
        path = self._path("job", job.name)
        if not path.exists():
            facts = {"token": job.token, "state": "running", "looks": 0, "folder": str(job.folder)}
            self._write(path, {**facts, "command": list(job.command), "environment": dict(job.environment)})
        self.hook("start_job", "after")
        return self._status(job)

    def inspect_job(self, job: JobSpec, handle: Mapping[str, Any], tail: int = 5) -> JobStatus:
        self.hook("inspect_job", "before")
        path = self._path("job", job.name)
        facts = self._read(path)
        if facts is not None and facts["state"] == "running":
            facts["looks"] += 1
            if facts["looks"] > 1:
                self._work(facts)
                facts["state"] = "succeeded"
            self._write(path, facts)
        return self._status(job)

    def cancel_job(self, job: JobSpec, handle: Mapping[str, Any]) -> None:
        self.hook("cancel_job", "before")
        path = self._path("job", job.name)
        facts = self._read(path)
        if facts is not None and facts["state"] == "running":
            self._write(path, {**facts, "state": "cancelled"})
        self.hook("cancel_job", "after")

    def _status(self, job: JobSpec) -> JobStatus:
        facts = self._read(self._path("job", job.name))
        if facts is None:
            return JobStatus("absent", {})
        if facts["token"] != job.token:
            raise ProviderError("The job belongs to something else", job.name)
        code = 0 if facts["state"] == "succeeded" else None
        return JobStatus(facts["state"], {"name": job.name}, code, 0.1)

    def _work(self, facts: Mapping[str, Any]) -> None:
        words = list(facts["command"])
        if "mlplan.artifact" in words:
            from mlplan.artifact.__main__ import main

            main(words[words.index("mlplan.artifact") + 1 :])
            return
        before, where = dict(os.environ), Path.cwd()
        os.environ.update(facts["environment"])
        os.chdir(self.root)
        try:
            script = next(word for word in words if word.endswith(".py"))
            runpy.run_path(str(self.root / script), run_name="__main__")
        finally:
            os.chdir(where)
            os.environ.clear()
            os.environ.update(before)

    # units

    def ensure_unit(self, unit: UnitSpec) -> UnitStatus:
        self.hook("ensure_unit", "before")
        path = self._path("unit", unit.name)
        known = self._read(path)
        if known is not None and known["token"] != unit.token:
            raise ProviderError("A unit with this name belongs to something else", unit.name)
        facts = {"token": unit.token, "version": unit.version, "labels": dict(unit.labels), "state": "ready"}
        self._write(path, {**facts, "command": shlex.join(unit.command)})
        self.hook("ensure_unit", "after")
        return self._unit(unit.name)

    def inspect_unit(self, name: str) -> UnitStatus:
        self.hook("inspect_unit", "before")
        return self._unit(name)

    def _unit(self, name: str) -> UnitStatus:
        facts = self._read(self._path("unit", name))
        if facts is None:
            return UnitStatus(name, "", "", "absent")
        return UnitStatus(
            name, facts["token"], facts["version"], facts["state"], ("127.0.0.1:1",), labels=facts["labels"]
        )

    def list_units(self, labels: Mapping[str, str]) -> Sequence[UnitStatus]:
        self.hook("list_units", "before")
        found = [self._unit(name) for name in self.names("unit")]
        return [unit for unit in found if labels.items() <= unit.labels.items()]

    def remove_unit(self, name: str, drain: float = 10.0) -> None:
        self.hook("remove_unit", "before")
        self._path("unit", name).unlink(missing_ok=True)
        self.hook("remove_unit", "after")

    def unit_logs(self, name: str, lines: int = 20) -> Sequence[str]:
        return ()

    # endpoints

    def ensure_endpoint(self, endpoint: EndpointSpec) -> EndpointStatus:
        self.hook("ensure_endpoint", "before")
        path = self._path("endpoint", endpoint.name)
        known = self._read(path) or {"weights": {}}
        facts = {"token": endpoint.token, "labels": dict(endpoint.labels), "state": "ready"}
        self._write(path, {**facts, "weights": known["weights"]})
        self.hook("ensure_endpoint", "after")
        return self._endpoint(endpoint.name)

    def inspect_endpoint(self, name: str) -> EndpointStatus:
        self.hook("inspect_endpoint", "before")
        return self._endpoint(name)

    def _endpoint(self, name: str) -> EndpointStatus:
        facts = self._read(self._path("endpoint", name))
        if facts is None:
            return EndpointStatus(name, "", "absent")
        weights = dict(facts["weights"])
        return EndpointStatus(
            name, facts["token"], facts["state"], "http://127.0.0.1:1", weights, labels=facts["labels"]
        )

    def list_endpoints(self, labels: Mapping[str, str]) -> Sequence[EndpointStatus]:
        self.hook("list_endpoints", "before")
        found = [self._endpoint(name) for name in self.names("endpoint")]
        return [endpoint for endpoint in found if labels.items() <= endpoint.labels.items()]

    def set_weights(self, name: str, weights: Mapping[str, int]) -> EndpointStatus:
        self.hook("set_weights", "before")
        assert sum(weights.values()) == FULL_WEIGHT, weights
        path = self._path("endpoint", name)
        facts = self._read(path)
        if facts is None or facts["state"] != "ready":
            raise ProviderError("There is no such endpoint", name)
        gone = [unit for unit, weight in weights.items() if weight and self._unit(unit).state == "absent"]
        if gone:
            raise ProviderError("There is no such unit", ", ".join(gone))
        self._write(path, {**facts, "weights": dict(weights)})
        self.hook("set_weights", "after")
        return self._endpoint(name)

    def remove_endpoint(self, name: str) -> None:
        self.hook("remove_endpoint", "before")
        self._path("endpoint", name).unlink(missing_ok=True)
        self.hook("remove_endpoint", "after")

    def measure(self, endpoint: str) -> Mapping[str, VersionCounters]:
        self.hook("measure", "before")
        facts = self._read(self._path("endpoint", endpoint)) or {"weights": {}}
        empty = Histogram((1.0,), (0,), 0)
        return {unit: VersionCounters(unit, "0", 0, 0, empty) for unit in facts["weights"]}

    # what happens in this world without anybody asking

    def reboot(self) -> None:
        """End everything that runs."""
        for kind, running, ended in (
            ("job", "running", "lost"),
            ("unit", "ready", "failed"),
            ("endpoint", "ready", "failed"),
        ):
            for name in self.names(kind):
                path = self._path(kind, name)
                facts = self._read(path)
                if facts is not None and facts["state"] == running:
                    self._write(path, {**facts, "state": ended})

    def end(self, kind: str) -> None:
        """End what runs of one kind: "job", "unit", "endpoint"."""
        ended = "lost" if kind == "job" else "failed"
        for name in self.names(kind):
            facts = self._read(self._path(kind, name))
            if facts is not None and facts["state"] in ("running", "ready"):
                self._write(self._path(kind, name), {**facts, "state": ended})

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind."""
        return sorted(path.stem for path in (self.folder / kind).glob("*.json"))

    def facts(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return all objects of a kind."""
        return {name: self._read(self._path(kind, name)) or {} for name in self.names(kind)}

    def _path(self, kind: str, name: str) -> Path:
        return self.folder / kind / f"{name}.json"

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            return dict(json.loads(path.read_text()))
        except FileNotFoundError:
            return None

    def _write(self, path: Path, facts: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(facts))
        temporary.replace(path)
