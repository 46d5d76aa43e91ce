"""An apply with data, training, packaging, gates, deployment and canary, that dies at any named moment; then the next one, and a third.

Named moments are every call to the provider, before and after its effect, and every write of the ledger, before and after it is
durable. Each apply runs in a child process of its own that is really killed.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplan.ledger import audit
from mlplan.spi.capabilities import FULL_WEIGHT, ProviderError
from mlplan.spi.store import StoreError
from mlplan_state.local import LocalStore
from tests.world.scripted import Scripted, nothing

PROJECT = """
data_contract "points" {
  source   = "points.parquet"
  key      = ["id"]
  min_rows = 50
  columns = {
    id    = { type = "int" }
    x     = { type = "float", between = [-10, 10] }
    y     = { type = "float", between = [-10, 10] }
    label = { type = "bool", label = true }
  }
}
model "tiny" {
  task = "binary_classification"
  train {
    run    = "python train.py"
    code   = ["train.py"]
    data   = { train = data_contract.points }
    params = { c = 1.0 }
    seed   = 7
  }
  evaluate {
    data = data_contract.points
  }
  gate "ranks" {
    metric   = "roc_auc"
    at_least = 0.6
  }
  deploy_to = [environment.prod]
}
environment "prod" {
  provider = local
  rollout "canary" {
    steps           = [50, 100]
    hold            = "0s"
    look_every      = "10ms"
    give_up_after   = "50ms"
    on_inconclusive = "promote"
  }
}
output "version" {
  value = model.tiny.deployment["prod"].version
}
"""
TRAIN = """
from sklearn.linear_model import LogisticRegression
import mlplan.job
job = mlplan.job.load()
frame = job.frame("train")
model = LogisticRegression(C=job.params["c"]).fit(frame[["x", "y"]], frame["label"].to_numpy(dtype=bool))
job.save(model, features=["x", "y"])
"""


def write_project(root: Path) -> None:
    """Write the project and its data."""
    import random

    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = random.Random(1)
    rows = [(rng.gauss(0, 1), rng.gauss(0, 1)) for _ in range(200)]
    table = pa.table({
        "id": list(range(200)), "x": [x for x, _ in rows], "y": [y for _, y in rows],
        "label": [x + y + rng.gauss(0, 0.3) > 0 for x, y in rows],
    })  # fmt: skip
    root.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, root / "points.parquet")
    (root / "main.mlplan.hcl").write_text(PROJECT)
    (root / "train.py").write_text(TRAIN)


def preload() -> None:
    """Import once, here, what every child needs. It is only imported: whoever forks must not have threads."""
    import importlib

    for name in (
        "duckdb", "numpy", "pandas", "pyarrow.parquet", "scipy.stats", "skops.io", "sklearn.linear_model", "zstandard",
        "mlplan.artifact.__main__", "mlplan.artifact.seal", "mlplan.artifact.batch", "mlplan.cli.commands", "mlplan.cli.applying",
        "mlplan.cli.planning", "mlplan.cli.project", "mlplan.data.scan", "mlplan.judge.gates", "mlplan.kinds.deployment.actions",
        "mlplan.kinds.model.judging", "mlplan.report.plan_text",
    ):  # fmt: skip
        importlib.import_module(name)


@dataclass
class Moments:
    """Counts the named moments of a run; at number `at` it does `act`."""

    at: int = -1
    act: Callable[[], None] = lambda: None
    seen: list[str] = field(default_factory=list)

    def __call__(self, call: str, where: str) -> None:
        """One moment."""
        self.seen.append(f"{call}:{where}")
        if len(self.seen) - 1 == self.at:
            self.act()


def die() -> None:
    """Be killed, as by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], str]) -> str | None:
    """Return what `work` says in a child process, None when it was killed."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            try:
                answer = work()
            except BaseException:
                answer = traceback.format_exc()
            data = answer.encode()
            while data:
                data = data[os.write(write_end, data) :]
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        answer_bytes = pipe.read()
    _, status = os.waitpid(child, 0)
    return None if os.WIFSIGNALED(status) else answer_bytes.decode()


def cli(root: Path, *words: str, moments: Moments | None = None) -> str:
    """Run a command of mlplan in this process over the scripted world; return "exit code, newline, all output"."""
    import mlplan.app.compose as compose
    from mlplan.cli.main import run

    hook = moments or nothing
    real = compose.plug_in

    def plug_in(group: str, name: str, what: str) -> Any:
        if group == "mlplan.providers":
            return _Factory(hook)
        return real(group, name, what)

    compose.plug_in = plug_in
    if moments is not None:
        _watch_the_ledger(moments)
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = run([*words, "--chdir", str(root)])
    return f"{code}\n{out.getvalue()}"


class _Factory:
    schema = Scripted.schema

    def __init__(self, hook: Any) -> None:
        self._hook = hook

    def __call__(self, settings: Any, root: Path) -> Scripted:
        return Scripted(root, self._hook)


def _watch_the_ledger(moments: Moments) -> None:
    for name in ("append", "swap_head", "put_blob"):
        real = getattr(LocalStore, name)

        def watched(self: LocalStore, *arguments: Any, _real: Any = real, _name: str = name) -> Any:
            moments(_name, "before")
            answer = _real(self, *arguments)
            moments(_name, "after")
            return answer

        setattr(LocalStore, name, watched)


class Stage:
    """Templates of the project: fresh after init, and with v1 live and a new recipe in the files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = folder / "first"
        self.second = folder / "second"
        preload()
        assert in_child(lambda: str(write_project(self.first))) == "None"
        said = in_child(lambda: cli(self.first, "init"))
        assert said is not None and said.startswith("0\n"), said  # noqa: PT018
        shutil.copytree(self.first, self.second)
        said = in_child(lambda: cli(self.second, "apply", "-y"))
        assert said is not None and said.startswith("0\n"), said  # noqa: PT018
        path = self.second / "main.mlplan.hcl"
        path.write_text(path.read_text().replace("c = 1.0", "c = 0.5"))

    def moments(self, template: Path) -> list[str]:
        """Return the named moments of an undisturbed apply from a template."""
        root = self.copy(template, "moments")
        found = in_child(lambda: "\n".join(_recorded(root)))
        shutil.rmtree(root)
        assert found is not None
        return found.split("\n")

    def copy(self, template: Path, name: str) -> Path:
        """Return a fresh copy of a template."""
        root = self.folder / "runs" / name
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(template, root, symlinks=True)
        return root


def _recorded(root: Path) -> list[str]:
    moments = Moments()
    said = cli(root, "apply", "-y", moments=moments)
    assert said.startswith("0\n"), said
    return moments.seen


FATES = ("kill", "reboot", "kill job", "kill unit", "kill endpoint", "lost answer", "disk")


def after(stage: Stage, template: Path, at: int, fate: str) -> str:
    """Let an apply meet its fate at a moment; return what is wrong after the second apply and the third plan, empty when nothing."""
    root = stage.copy(template, f"{template.name}-{at}-{fate.replace(' ', '-')}")
    world = Scripted(root)
    acts: dict[str, Callable[[], None]] = {
        "kill": die, "reboot": die, "lost answer": _lost, "disk": _disk,
        "kill job": lambda: world.end("job"), "kill unit": lambda: world.end("unit"),
        "kill endpoint": lambda: world.end("endpoint"),
    }  # fmt: skip
    first = in_child(lambda: cli(root, "apply", "-y", moments=Moments(at, acts[fate])))
    if first is not None and "mlplan made a mistake" in first:
        return f"the disturbed run: {first}"
    if fate == "reboot":
        world.reboot()
    plan = in_child(lambda: cli(root, "plan"))
    if plan is None or not plan.startswith("0\n"):
        return f"the plan after it: {plan}"
    for _ in range(2 if fate not in ("kill", "reboot") else 1):
        second = in_child(lambda: cli(root, "apply", "-y"))
    if second is None or not second.startswith("0\n"):
        return f"the second run: {second}"
    third = in_child(lambda: cli(root, "plan", "--detailed-exitcode"))
    if third is None or not third.startswith("0\n"):
        return f"the third plan is not empty: {third}"
    problem = in_child(lambda: wrong_in(root, world))
    if not problem:
        shutil.rmtree(root)
    return problem if problem is not None else "looking was killed"


def _lost() -> None:
    raise ProviderError("The answer was lost", "Nobody knows whether it happened.", retryable=True)


def _disk() -> None:
    raise StoreError("The disk is full", "injected")


def wrong_in(root: Path, world: Scripted) -> str:
    """Return what does not fit between world and state."""
    from mlplan.ledger.session import open_store

    store = LocalStore({}, root, "default")
    state = open_store(store).state
    deployment = state.records['model.tiny.deployment["prod"]'].attributes
    live = deployment["live"]["version"]
    unit = deployment["units"][live]["name"]
    units, endpoints, jobs = world.facts("unit"), world.facts("endpoint"), world.facts("job")
    problems = [audit.verify(store, state).problem]
    if state.operations or state.unswept or state.open_run:
        problems.append(f"unfinished: {list(state.operations)}, {state.unswept}, {state.open_run}")
    if list(units) != [unit] or units[unit]["state"] != "ready":
        problems.append(f"units { ({n: u['state'] for n, u in units.items()}) }, expected {unit} ready")
    if len(endpoints) != 1 or next(iter(endpoints.values()))["state"] != "ready":
        problems.append(f"endpoints {list(endpoints)}")
    for facts in endpoints.values():
        weights = {name: weight for name, weight in facts["weights"].items() if weight}
        if weights != {unit: FULL_WEIGHT}:
            problems.append(f"weights {weights}")
    running = [name for name, facts in jobs.items() if facts["state"] == "running"]
    if running:
        problems.append(f"jobs still run: {running}")
    return "; ".join(p for p in problems if p)


def main() -> None:
    """Try every so-many-th moment with every fate: python -m tests.world.apply_crash FOLDER STEP."""
    stage = Stage(Path(sys.argv[1]))
    step = int(sys.argv[2])
    for template in (stage.first, stage.second):
        names = stage.moments(template)
        sys.stdout.write(f"{template.name}: {len(names)} moments\n")
        for fate in FATES:
            for at in range(0, len(names), step):
                problem = after(stage, template, at, fate)
                sys.stdout.write(
                    f"{'ok' if not problem else 'BAD'} {template.name} {fate} at {at} {names[at]} {problem[:3000]}\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
