"""A job of a step after a crash: taken up, adopted, refused, run again, or ended, by what is found of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlplan.engine.types import Step
from mlplan.kinds.model import jobs
from mlplan.ledger.names import token
from mlplan.ledger.records import Operation, State
from tests.world.scripted import Scripted

TOKEN = token("lineage", "model.m#train", 1)
STEP = Step("model.m#train", "model.m", "model", "train", "train v1", TOKEN)


@dataclass
class Services:
    root: Path
    python: str = "python"

    @property
    def jobs(self) -> Path:
        return self.root / ".mlplan" / "jobs"


@dataclass
class Context:
    """As much of a run as a job needs."""

    root: Path
    world: Scripted
    run: str = "r"
    told: list[str] = field(default_factory=list)
    handles: list[dict[str, Any]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    lineage: str = "lineage"

    def __post_init__(self) -> None:
        self.services = Services(self.root)
        self.state = State("lineage")

    def provider(self, name: str | None) -> Scripted:
        return self.world

    def accepted(self, step: Step, handle: dict[str, Any]) -> None:
        self.handles.append(handle)

    def wait(self, seconds: float) -> bool:
        return False

    def tell(self, event: Any) -> None:
        self.told.append(event.text)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "train.py").write_text(
        "import json, os\nfrom pathlib import Path\n"
        'job = json.loads(Path(os.environ["MLPLAN_JOB"]).read_text())\n'
        'Path(job["output"], "model.bin").write_text("trained")\n'
    )
    return Context(tmp_path, Scripted(tmp_path))


def train(context: Context) -> jobs.Finished:
    job = jobs.Job(("python", "train.py"), {}, {}, {}, 60.0)
    return jobs.run(STEP, "train", job, None, context)  # type: ignore[arg-type]


def starts(context: Context) -> list[str]:
    calls: list[str] = []
    context.world.hook = lambda call, where: calls.append(call) if where == "after" and call == "start_job" else None
    return calls


def started(context: Context) -> Path:
    """Start the job and be killed before waiting for it; return its folder."""

    class Killed(BaseException):
        pass

    def wait(seconds: float) -> bool:
        raise Killed

    context.wait = wait  # type: ignore[method-assign]
    with pytest.raises(Killed):
        train(context)
    del context.wait  # type: ignore[attr-defined]
    return next(context.services.jobs.glob("*/1"))


def test_a_job_that_runs_is_waited_for_not_started_again(context: Context) -> None:
    folder = started(context)
    calls = starts(context)
    done = train(context)
    assert (done.succeeded, done.folder, calls) == (True, folder, [])


def test_a_job_that_ended_well_is_adopted(context: Context) -> None:
    first = train(context)
    calls = starts(context)
    again = train(context)
    assert (again.folder, again.succeeded, calls) == (first.folder, True, [])


@pytest.mark.parametrize("damage", ["altered", "emptied", "gone", "more"])
def test_output_that_is_not_what_the_job_left_is_never_taken(context: Context, damage: str) -> None:
    first = train(context)
    path = first.folder / "output" / "model.bin"
    if damage == "gone":
        path.unlink()
    elif damage == "more":
        (first.folder / "output" / "extra").write_text("x")
    else:
        path.write_text("" if damage == "emptied" else "forged")
    again = train(context)
    assert again.folder.name == "2"
    assert (again.folder / "output" / "model.bin").read_text() == "trained"
    assert any("is not what the job left" in text for text in context.told)
    assert train(context).folder.name == "2"  # for good


def test_a_lost_job_gets_a_new_attempt_and_the_old_one_stays_as_it_is(context: Context) -> None:
    folder = started(context)
    context.world.reboot()
    done = train(context)
    assert (done.succeeded, done.folder.name) == (True, "2")
    assert folder.is_dir()
    assert [handle["job"][-2:] for handle in context.handles] == ["-1", "-2"]


def test_a_start_whose_answer_was_lost_is_found_by_name_and_token(context: Context) -> None:
    class Killed(BaseException):
        pass

    def die(call: str, where: str) -> None:
        if (call, where) == ("start_job", "after"):
            raise Killed

    context.world.hook = die
    with pytest.raises(Killed):
        train(context)
    assert context.handles == []
    calls = starts(context)
    assert train(context).folder.name == "1"
    assert calls == []


def test_an_abandoned_step_ends_its_job_even_when_its_start_was_never_journaled(context: Context) -> None:
    started(context)
    other = Step("model.n#train", "model.n", "model", "train", "train v1", token("lineage", "model.n#train", 1))
    job = jobs.Job(("python", "train.py"), {}, {}, {}, 60.0)
    jobs.run(other, "train", job, None, context)  # type: ignore[arg-type]
    operation = Operation("model.m", STEP.id, "train", "model", TOKEN)
    jobs.cancel_all(operation, None, context)  # type: ignore[arg-type]
    states = {name[:7]: facts["state"] for name, facts in context.world.facts("job").items()}
    assert states == {"model-m": "cancelled", "model-n": "succeeded"}


def test_a_job_that_is_lost_is_run_again_at_once_but_not_for_ever(context: Context) -> None:
    ends = [1]

    def end(call: str, where: str) -> None:
        if call == "start_job" and where == "after" and ends[0]:
            ends[0] -= 1
            context.world.end("job")

    context.world.hook = end
    assert train(context).succeeded
    assert "says nothing" in context.told[0]
    again = Context(context.root, Scripted(context.root / "other"))
    ends[0] = 99
    again.world.hook = lambda call, where: again.world.end("job") if (call, where) == ("start_job", "after") else None
    step = Step("model.n#train", "model.n", "model", "train", "train v1", token("lineage", "model.n#train", 1))
    done = jobs.run(step, "train", jobs.Job(("python", "train.py"), {}, {}, {}, 60.0), None, again)  # type: ignore[arg-type]
    assert (done.lost, done.folder.name) == (True, str(jobs.MOST_LOST))
