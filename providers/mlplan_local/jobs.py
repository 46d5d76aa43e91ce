"""Jobs: commands that run to their end below a supervisor process, in a folder that the caller gives.

The folder holds `process.json` (who the supervisor is, and the job's token), `exit.json` once it ended, `log` and a lock file.
Nothing else remembers the job. It does not retry: a lost job stays lost, and a new attempt gets a new folder.
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlplan.spi.capabilities import JobSpec, JobState, JobStatus, ProviderError
from mlplan_local.files import last_lines, locked, read_json, write_json
from mlplan_local.process import (
    MARK,
    Identity,
    LaunchError,
    base_environment,
    end_marked,
    helper,
    identity_from,
    launch,
    wait_gone,
)
from mlplan_local.supervise import EXIT, GRACE, LOG

_FACTS = "process.json"
_LOCK = "lock"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS")
_STATES: dict[str, JobState] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "timed_out": "timed_out",
    "cancelled": "cancelled",
    "lost": "lost",
}


class Jobs:
    """Runs jobs; the methods are those of `Runs`."""

    def start_job(self, job: JobSpec) -> JobStatus:
        """Start `job`, or return the status of the job with this name and token that its folder already holds."""
        job.folder.mkdir(parents=True, exist_ok=True)
        with locked(job.folder / _LOCK):
            facts = read_json(job.folder / _FACTS)
            if facts is not None and (facts.get("token"), facts.get("name")) != (job.token, job.name):
                raise ProviderError(
                    "The job folder belongs to another job",
                    f"{job.folder} holds job {facts.get('name')!r} with another token. It is left as it is; "
                    "a new attempt needs a new folder.",
                )
            if facts is None:
                self._start(job)
        return self.inspect_job(job, {})

    def inspect_job(self, job: JobSpec, handle: Mapping[str, Any], tail: int = 5) -> JobStatus:
        """Return what the folder and the process table say; `handle` is only looked at when the folder lost its facts."""
        facts = read_json(job.folder / _FACTS)
        identity = identity_from(facts) or identity_from(handle)
        alive = (
            identity is not None and identity.alive()
        )  # before the exit file: it is written before the supervisor ends
        ended = read_json(job.folder / EXIT)
        if identity is None and ended is None:
            return JobStatus("absent", {})
        known = {**identity.to_json(), "token": job.token} if identity is not None else {}
        lines = tuple(_tail(job.folder, tail))
        if ended is not None:
            state = _STATES.get(str(ended.get("state")), "failed")
            return JobStatus(
                state, known, ended.get("exit_code"), ended.get("seconds", 0.0), lines, ended.get("reason", "")
            )
        started = float((facts or {}).get("started", 0.0))
        if alive:
            return JobStatus("running", known, seconds=max(0.0, time.time() - started) if started else 0.0, tail=lines)
        reason = "lost its supervisor before it ended: killed from outside, or the machine restarted"
        return JobStatus("lost", known, tail=lines, reason=reason)

    def cancel_job(self, job: JobSpec, handle: Mapping[str, Any]) -> None:
        """End the job and every process it started, also when its supervisor is dead or does not answer."""
        facts = read_json(job.folder / _FACTS)
        identity = identity_from(facts) or identity_from(handle)
        if identity is None:
            end_marked(_mark(job))  # its starter may have been killed before it said who it is
            return
        if facts is not None and facts.get("token") != job.token:
            raise ProviderError(
                "The job folder belongs to another job", f"{job.folder} has another token; nothing was ended."
            )
        was_running = identity.alive()
        _end_supervisor(identity)
        end_marked(_mark(job))
        if was_running and read_json(job.folder / EXIT) is None:
            seconds = round(time.time() - float((facts or {}).get("started", time.time())), 3)
            document = {"state": "cancelled", "exit_code": None, "reason": "was cancelled", "seconds": seconds}
            write_json(job.folder / EXIT, document)

    def _start(self, job: JobSpec) -> None:
        end_marked(_mark(job))  # of a starter that was killed: two of it would write to one folder
        environment = {**base_environment(), **_thread_limits(job.cpu), **job.environment, MARK: _mark(job)}
        order = {
            "command": list(job.command),
            "folder": str(job.folder.resolve()),
            "working_directory": str(job.working_directory.resolve()),
            "environment": environment,
            "secrets": dict(job.secrets),
            "timeout": job.timeout,
            "memory": job.memory,
        }
        extra = {"name": job.name, "token": job.token, "labels": dict(job.labels), "started": time.time()}
        memory_file = os.memfd_create("mlplan-job", 0)
        try:
            _write_all(memory_file, json.dumps(order).encode())
            launch(
                [*helper("supervise"), str(memory_file)],
                {**base_environment(), MARK: _mark(job)},
                folder=job.folder.resolve(),
                facts=job.folder.resolve() / _FACTS,
                log=job.folder.resolve() / LOG,
                extra=extra,
                keep=(memory_file,),
            )
        except LaunchError as error:
            raise ProviderError("The job could not be started", f"{job.name}: {error}", retryable=True) from error
        finally:
            os.close(memory_file)


def _mark(job: JobSpec) -> str:
    return f"job:{job.name}:{job.token}:{job.folder.resolve()}"


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _thread_limits(cpu: float | None) -> dict[str, str]:
    """Return what tells numeric libraries how many threads to use; processes get their share from the scheduler."""
    return {} if cpu is None else dict.fromkeys(_THREADS, str(max(1, math.ceil(cpu))))


def _tail(folder: Path, lines: int) -> list[str]:
    found = last_lines(folder / LOG, lines)
    return found if len(found) >= lines else [*last_lines(folder / f"{LOG}.1", lines - len(found)), *found]


def _end_supervisor(identity: Identity) -> None:
    """Ask the supervisor to end its job; kill it when it does not within its grace."""
    if not identity.alive():
        return
    with suppress(ProcessLookupError):
        os.kill(identity.pid, signal.SIGTERM)
    if not wait_gone(identity, GRACE + 3.0):
        with suppress(ProcessLookupError):
            os.kill(identity.pid, signal.SIGKILL)
        wait_gone(identity, 2.0)
