"""Running the jobs of a model: folders by name and attempt, waiting with the log shown, reattaching after a crash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mlplan.engine.events import Event
from mlplan.engine.kind import Context
from mlplan.engine.types import Step
from mlplan.kinds import capabilities
from mlplan.ledger.names import labels, physical_name
from mlplan.ledger.records import Operation
from mlplan.spi.capabilities import JobSpec, JobStatus, Runs

MOST_ATTEMPTS = 1000
MOST_LOST = 3
"""In a row, of one run: what ends a job from outside each time is there to stay, and a person has to look."""
_MANIFEST = "output.json"
"""Digests of what an attempt left, written when its end is first seen: damage after that is noticed."""
_REFUSED = "refused"


@dataclass(frozen=True)
class Finished:
    """A job that ended. folder: its attempt's folder. Units: `seconds`."""

    status: JobStatus
    folder: Path

    @property
    def succeeded(self) -> bool:
        """Tell whether it exited with 0."""
        return self.status.state == "succeeded"

    @property
    def lost(self) -> bool:
        """Tell whether something from outside ended it: that is no evidence of anything."""
        return self.status.ended_from_outside

    def why(self) -> str:
        """Return why it did not succeed, with the end of its log."""
        status = self.status
        words = {
            "timed_out": "ran longer than its limit",
            "cancelled": "was cancelled",
            "lost": "vanished without an exit code (killed from outside, or the machine restarted)",
        }
        what = words.get(status.state) or f"ended with exit code {status.exit_code}"
        tail = "\n".join(f"    {line}" for line in status.tail)
        return f"it {status.reason or what}. Its log: {self.folder / 'log'}" + (f"\n{tail}" if tail else "")


@dataclass(frozen=True)
class Job:
    """What to run for a step. document: written as job.json into the attempt's folder before the start; the word "{job}" in
    the command stands for its path. script: it is the user's own, and finds everything in MLPLAN_* as well."""

    command: tuple[str, ...]
    document: Mapping[str, Any]
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    timeout: float
    memory: int | None = None
    cpu: float | None = None
    script: bool = False


def run(step: Step, purpose: str, job: Job, provider_name: str | None, context: Context) -> Finished:
    """Run `job` to its end, or take up the one that an earlier run of the same step started.

    An attempt that failed, was lost or cancelled is left as it is for the curious; the next one gets a folder of its own. One
    that is lost while we wait is followed by another at once, a few times.
    """
    lost = 0
    runs = capabilities.runs(context.provider(provider_name))
    name = physical_name(f"{step.address}-{purpose}", step.token)
    for attempt in range(1, MOST_ATTEMPTS):
        folder = context.services.jobs / name / str(attempt)
        spec = _spec(step, job, name, attempt, folder, context)
        status = runs.inspect_job(spec, {})
        if refused(folder):
            continue
        if status.state == "succeeded" and (why := altered(folder)):
            refuse(folder, why)
            context.tell(Event("note", step.address, f"attempt {attempt} is not taken: {why}", step.id))
            continue
        if status.state == "absent":
            if folder.exists() and any(folder.iterdir()) and not (folder / "job.json").exists():
                continue
            status = _start(runs, spec, job, folder)
            context.accepted(step, {"job": spec.name, "folder": str(folder), **status.handle})
        elif status.state not in ("running", "succeeded"):
            continue
        status = _wait(runs, spec, status, step, context)
        if status.state == "succeeded":
            _remember(folder)
        done = Finished(status, folder)
        lost += status.state == "lost"
        if status.state == "lost" and lost < MOST_LOST and not context.cancelled.is_set():
            context.tell(
                Event("note", step.address, f"attempt {attempt} says nothing: {done.why()}; running it again", step.id)
            )
            continue
        return done
    raise AssertionError("unreachable: a thousand attempts of one step")


def cancel_all(operation: Operation, provider_name: str | None, context: Context) -> None:
    """End every attempt of a step that nobody wants any more, also one whose start was never journaled."""
    runs = capabilities.runs(context.provider(provider_name))
    jobs: Path = context.services.jobs
    for folder in sorted(jobs.glob(f"*-{operation.token[:8]}/[0-9]*")):
        name = f"{folder.parent.name}-{folder.name}"
        spec = JobSpec(name, f"{operation.token}-{folder.name}", (), folder, context.root)
        runs.cancel_job(spec, {})


def altered(folder: Path) -> str:
    """Return how the output of a finished attempt differs from what it was when it ended; empty when it does not."""
    try:
        known = orjson.loads((folder / _MANIFEST).read_bytes())
    except FileNotFoundError:
        return ""  # it ended while nobody looked: what it is now is what counts from here on
    except orjson.JSONDecodeError:
        return f"{_MANIFEST} cannot be read"
    found = _digests(folder)
    wrong = sorted(name for name in {*known, *found} if known.get(name) != found.get(name))
    return f"{', '.join(wrong[:3])} is not what the job left" if wrong else ""


def refuse(folder: Path, why: str) -> None:
    """Mark an attempt as one that is never taken up again; it stays as it is for the curious."""
    (folder / _REFUSED).write_text(why + "\n", encoding="utf-8")


def refused(folder: Path) -> bool:
    """Tell whether an attempt was marked by `refuse`."""
    return (folder / _REFUSED).exists()


def _remember(folder: Path) -> None:
    if not (folder / _MANIFEST).exists():
        temporary = folder / f"{_MANIFEST}.tmp"
        temporary.write_bytes(orjson.dumps(_digests(folder), option=orjson.OPT_SORT_KEYS))
        temporary.replace(folder / _MANIFEST)


def _digests(folder: Path) -> dict[str, str]:
    """Return name -> SHA-256 of the files below `output`."""
    output = folder / "output"
    found = {}
    for path in sorted(output.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                found[str(path.relative_to(output))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _spec(step: Step, job: Job, name: str, attempt: int, folder: Path, context: Context) -> JobSpec:
    return JobSpec(
        f"{name}-{attempt}",
        f"{step.token}-{attempt}",
        tuple(str(folder / "job.json") if word == "{job}" else word for word in job.command),
        folder,
        context.root,
        {**_variables(job, folder), **job.environment, "MLPLAN_JOB": str(folder / "job.json")},
        job.secrets,
        job.timeout,
        job.memory,
        job.cpu,
        labels(context.lineage, step.address, step.token, context.run),
    )


def _variables(job: Job, folder: Path) -> dict[str, str]:
    from mlplan.job import environment_of

    return environment_of({"output": str(folder / "output"), **job.document}) if job.script else {}


def _start(runs: Runs, spec: JobSpec, job: Job, folder: Path) -> JobStatus:
    (folder / "output").mkdir(parents=True, exist_ok=True)
    document = {"output": str(folder / "output"), **job.document, "result": str(folder / "result.json")}
    (folder / "job.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return runs.start_job(spec)


def _wait(runs: Runs, spec: JobSpec, status: JobStatus, step: Step, context: Context) -> JobStatus:
    shown: tuple[str, ...] = ()
    progress = Progress(spec.folder / "output" / "progress.jsonl")
    while status.state == "running":
        if context.wait(0.2):
            # The first interrupt lets running steps finish: the job does, and this only stops sleeping.
            import time

            time.sleep(0.2)
        status = runs.inspect_job(spec, status.handle)
        for line in _new_lines(shown, status.tail):
            context.tell(Event("log", step.address, line, step.id))
        shown = status.tail
        for metrics in progress.read():
            context.tell(Event("progress", step.address, "", step.id, data=metrics))
    return status


def _new_lines(before: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines of `now` that did not end `before`: the tail of a log is a window that moves on."""
    for overlap in range(min(len(before), len(now)), 0, -1):
        if before[-overlap:] == now[:overlap]:
            return now[overlap:]
    return now


class Progress:
    """Reads what a training script reports, line by line; a half-written last line waits for its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[dict[str, Any]]:
        """Return the reports since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(1_000_000)
        except FileNotFoundError:
            return []
        whole, _, _ = data.rpartition(b"\n")
        self._offset += len(whole) + (1 if whole else 0)
        found = []
        for line in whole.splitlines():
            try:
                report = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # the script may write what it likes; only its own reports are shown
            if isinstance(report, dict):
                found.append(report)
        return found
