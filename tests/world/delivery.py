"""A small project on the real local provider, driven through the command: one model, Envoy, real servers, real requests.

The training script is told by `kind` what to make: "good", "good2", … are alike; "errors" fails on a missing value; "slow" takes long.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.running import plain_environment
from tools.load import Load, LoadResult

FILES = """\
data_contract "rows" {
  source  = "rows.csv"
  columns = {
    a = { type = "float", nullable = true }
    b = { type = "float", nullable = true }
    y = { type = "bool", label = true }
  }
}
environment "prod" {
  rollout "canary" {
    steps         = [20, 100]
    hold          = "4s"
    look_every    = "500ms"
    bake          = "1s"
    give_up_after = "60s"
    success "errors" {
      metric        = "error_rate"
      no_worse_than = "live"
      margin        = 0.1
      min_requests  = 40
    }
    success "latency" {
      metric       = "p50_latency"
      at_most      = "400ms"
      min_requests = 40
    }
  }
}
model "m" {
  task = "binary_classification"
  train {
    run    = "python train.py"
    code   = ["train.py"]
    data   = { train = data_contract.rows }
    params = { kind = "good" }
  }
  deploy_to = [environment.prod]
}
output "url" {
  value = model.m.deployment["prod"].url
}
"""

TRAIN = """\
import mlplan.job
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

job = mlplan.job.load()
frame = job.frame("train")
x, y = frame[["a", "b"]], frame["y"]
kind = job.params["kind"]
if kind == "errors":
    model = LogisticRegression().fit(x.fillna(0.0), y)
elif kind == "slow":
    model = make_pipeline(SimpleImputer(), RandomForestClassifier(1000, max_depth=1, random_state=0)).fit(x, y)
else:
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(x, y)
job.save(model, features=["a", "b"])
"""

BODIES = [
    json.dumps({"instances": [row]}).encode()
    for row in ({"a": 0.5, "b": -1.0}, {"a": None, "b": 0.3}, {"a": 1.5, "b": None}, {"a": 2.0, "b": 0.1})
]


@dataclass
class Delivery:
    """The project and what a user does with it."""

    folder: Path
    kind: str = "good"
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    @staticmethod
    def make(folder: Path) -> Delivery:
        """Write the files and initialise."""
        (folder / "main.mlplan.hcl").write_text(FILES)
        (folder / "train.py").write_text(TRAIN)
        lines = [
            f"{(i * 37 % 100) / 40:.3f},{(i * 61 % 100) / 50 - 1:.3f},{str(i * 37 % 100 > 50).lower()}"
            for i in range(120)
        ]
        (folder / "rows.csv").write_text("a,b,y\n" + "\n".join(lines) + "\n")
        project = Delivery(folder)
        project.run("init")
        return project

    def edit(self, before: str, after: str) -> None:
        """Change the files; what is to be changed must stand there."""
        path = self.folder / "main.mlplan.hcl"
        text = path.read_text()
        assert before in text, f"{before!r} does not stand in the files"
        path.write_text(text.replace(before, after))

    def want(self, kind: str) -> None:
        """Ask for another model."""
        self.edit(f'kind = "{self.kind}"', f'kind = "{kind}"')
        self.kind = kind

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", "mlplan.cli.main", *words], cwd=self.folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=plain_environment() | {"PYTHONPATH": os.getcwd()},
            start_new_session=True,
        )  # fmt: skip
        self.running.append(process)
        return process

    def run(self, *words: str, code: int | None = 0) -> str:
        """Run a command to its end and return what it said; fail when its exit code is another."""
        process = self.start(*words)
        text, _ = process.communicate(timeout=240)
        assert code is None or process.returncode == code, f"exit {process.returncode}, not {code}:\n{text}"
        assert "Traceback" not in text, text
        return text

    def apply(self, code: int = 0) -> str:
        """Apply without being asked."""
        return self.run("apply", "-auto-approve", code=code)

    def settled(self) -> str:
        """Expect that the next plan is empty, and return it."""
        text = self.run("plan", "-detailed-exitcode")
        assert "No changes" in text, text
        return text

    @property
    def url(self) -> str:
        """The endpoint."""
        return self.run("output", "-raw", "url").strip()

    def version(self, url: str) -> str:
        """Ask for one prediction; return the version that answered."""
        request = urllib.request.Request(url + "/predict", BODIES[0], {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            answer = json.loads(response.read())
            assert response.headers["x-mlplan-model-version"] == answer["version"]
        version: str = answer["version"]
        return version

    def load(self, url: str, rate: float = 200.0) -> Load:
        """Return users who send requests, some of them with a value missing; to be used in `with`."""
        return Load(url + "/predict", BODIES, rate, timeout=30.0)

    def records(self) -> dict[str, Any]:
        """Return the deployment's attributes as the state keeps them."""
        from mlplan.app.compose import Settings, open_project
        from mlplan.app.run import read_state

        state = read_state(open_project(Settings(self.folder)))
        return dict(state.records['model.m.deployment["prod"]'].attributes)

    def processes(self, what: str = "") -> list[int]:
        """Return the processes of this project's servers and routers. what: part of the command line."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                words = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if entry.name.isdigit()
                    else ""
                )
                place = os.readlink(entry / "cwd") if words else ""
            except OSError:
                continue
            if place.startswith(str(self.folder / ".mlplan")) and what in words:
                found.append(int(entry.name))
        return found

    def kill(self, what: str) -> int:
        """Kill the processes whose command line holds `what`; return how many there were."""
        pids = self.processes(what)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return len(pids)

    def wait_for(self, what: Callable[[], bool], seconds: float = 90.0) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.1)

    def wait_for_line(self, process: subprocess.Popen[str], pattern: str) -> str:
        """Read what a running command says until a line holds `pattern`; return everything read."""
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if re.search(pattern, line):
                return said
        raise AssertionError(f"it ended before it said {pattern!r}:\n{said}")

    def close(self) -> None:
        """Destroy, and end what is left of this project."""
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        try:
            self.run("destroy", "-auto-approve", code=None)
        finally:
            self.kill("")


def none_lost(load: Load) -> LoadResult:
    """Expect every request to have been answered, and return the counts."""
    result = load.result
    assert result is not None
    assert result.lost == 0, result
    assert result.sent == result.answered > 100
    return result
