"""What every provider must keep, as checks that run against a real one. A plug-in's tests run all of `CHECKS`; so do ours.

Each check gets a `Kit`: how to open the provider anew, as another process would, and how a small test server is started
there. Checks of capabilities that the provider does not offer pass over it. A check that fails raises AssertionError.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlplan.spi.capabilities import (
    FULL_WEIGHT,
    EndpointSpec,
    JobSpec,
    JobStatus,
    Measures,
    Provider,
    ProviderError,
    Runs,
    Serves,
    Splits,
    UnitSpec,
    UnitStatus,
)
from mlplan.spi.kit_server import SERVER

LABELS = {"mlplan.lineage": "kit", "mlplan.address": "model.kit"}
PATIENCE = 60.0


@dataclass(frozen=True)
class Kit:
    """What a check needs. open: the provider anew. folder: for job folders. server: argv of the test server."""

    open: Callable[[], Provider]
    folder: Path
    server: Callable[[str, str], tuple[str, ...]] = lambda version, behaviour: (
        sys.executable, "-c", SERVER, version, behaviour
    )  # fmt: skip
    python: str = sys.executable

    def job(self, name: str, code: str, **changes: Any) -> JobSpec:
        """Return a job that runs Python code in a folder of its own."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {"timeout": 60.0, "labels": LABELS, **changes}
        return JobSpec(name, f"token-{name}", (self.python, "-c", code), folder, folder, **settings)

    def unit(self, version: str, behaviour: str = "ok", **changes: Any) -> UnitSpec:
        """Return a unit of the endpoint "kit-end"."""
        settings: dict[str, Any] = {"ready_within": 30.0, "labels": {**LABELS, "version": version}, **changes}
        return UnitSpec(
            f"kit-{version}", f"token-{version}", "kit-end", version, self.server(version, behaviour), **settings
        )

    def endpoint(self, **changes: Any) -> EndpointSpec:
        """Return the endpoint."""
        return EndpointSpec("kit-end", "token-end", "kit", latency_limits=(50.0, 1000.0), labels=LABELS, **changes)


@dataclass
class Stage:
    """A provider that serves and splits, with helpers; everything is removed at the end."""

    provider: Any
    made: list[str] = field(default_factory=list)

    def start(self, unit: UnitSpec) -> UnitStatus:
        """Ensure a unit and wait until it is ready."""
        self.made.append(unit.name)
        self.provider.ensure_unit(unit)
        return self.until(unit.name, "ready")

    def until(self, name: str, state: str) -> UnitStatus:
        """Wait for a state of a unit."""
        deadline = time.monotonic() + PATIENCE
        while (status := self.provider.inspect_unit(name)).state != state:
            assert time.monotonic() < deadline, f"{name} is {status.state} ({status.reason}), not {state}"
            time.sleep(0.1)
        found: UnitStatus = status
        return found

    def close(self) -> None:
        """Remove everything."""
        self.provider.remove_endpoint("kit-end")
        for name in self.made:
            self.provider.remove_unit(name, 2.0)


def raises(call: Callable[..., Any], *arguments: Any) -> ProviderError:
    """Return the ProviderError that `call` raises; fail when it raises none."""
    try:
        call(*arguments)
    except ProviderError as error:
        found = error
    else:
        raise AssertionError(f"{call} raised no ProviderError")
    assert found.summary, "an error says in one line what is wrong"
    return found


def finish(runs: Runs, job: JobSpec, status: JobStatus) -> JobStatus:
    """Wait for the end of a job."""
    deadline = time.monotonic() + PATIENCE
    while status.state == "running":
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.1)
        status = runs.inspect_job(job, status.handle, 20)
    return status


def send(url: str, count: int) -> list[tuple[int, str]]:
    """Post requests one after the other; return status and version of each answer. Raises OSError when one gets none."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    answers = []
    for _ in range(count):
        connection.request("POST", "/predict", b"{}")
        response = connection.getresponse()
        response.read()
        answers.append((response.status, response.headers.get("x-mlplan-model-version", "")))
    connection.close()
    return answers


def check_job_runs_once(kit: Kit) -> None:
    """A job runs to its end; starting it again, from elsewhere too, is the same job and not a second one."""
    provider = kit.open()
    if not isinstance(provider, Runs):
        return
    job = kit.job("once", "open('count', 'a').write('x'); print('said', flush=True)")
    assert provider.inspect_job(job, {}).state == "absent"
    status = finish(provider, job, provider.start_job(job))
    assert (status.state, status.exit_code) == ("succeeded", 0), status
    assert "said" in "\n".join(status.tail)
    other = kit.open()
    assert isinstance(other, Runs)
    assert other.start_job(job).state == "succeeded"
    assert other.inspect_job(job, {}).state == "succeeded", "name and token find a job without its handle"
    assert (job.folder / "count").read_text() == "x"


def check_job_fails(kit: Kit) -> None:
    """The exit code and the last lines are kept; a program that is not there is a failed job, not an exception."""
    provider = kit.open()
    if not isinstance(provider, Runs):
        return
    job = kit.job("fails", "import sys; print('why'); sys.exit(3)")
    status = finish(provider, job, provider.start_job(job))
    assert (status.state, status.exit_code) == ("failed", 3), status
    assert "why" in "\n".join(status.tail)


def check_job_limits(kit: Kit) -> None:
    """A job that takes too long is ended, with everything it started; so is one that is cancelled."""
    provider = kit.open()
    if not isinstance(provider, Runs):
        return
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']); time.sleep(99)"
    job = kit.job("long", code, timeout=1.0)
    assert finish(provider, job, provider.start_job(job)).state == "timed_out"
    job = kit.job("cancelled", code)
    status = provider.start_job(job)
    assert status.state == "running"
    provider.cancel_job(job, status.handle)
    assert finish(provider, job, provider.inspect_job(job, status.handle)).state == "cancelled"
    provider.cancel_job(job, status.handle)  # again: nothing to do


def check_job_environment(kit: Kit) -> None:
    """A job gets what it was given and nothing of the caller; secrets reach it and no log."""
    import os

    provider = kit.open()
    if not isinstance(provider, Runs):
        return
    os.environ["KIT_OF_THE_CALLER"] = "leaked"
    try:
        code = "import os; print(os.environ.get('KIT_OF_THE_CALLER'), os.environ['GIVEN'], os.environ['SECRET'], len(os.environ['SECRET']))"
        job = kit.job("environment", code, environment={"GIVEN": "given"}, secrets={"SECRET": "hush-hush-1"})
        status = finish(provider, job, provider.start_job(job))
    finally:
        del os.environ["KIT_OF_THE_CALLER"]
    said = "\n".join(status.tail)
    assert "None given" in said, said
    assert said.rstrip().endswith("11"), said
    assert "hush-hush-1" not in said


def _stage(kit: Kit) -> Stage | None:
    provider = kit.open()
    return Stage(provider) if isinstance(provider, Serves) and isinstance(provider, Splits) else None


def check_units(kit: Kit) -> None:
    """A unit is made once, found by name and labels, answers where it says, and goes without a trace."""
    stage = _stage(kit)
    if stage is None:
        return
    provider = stage.provider
    try:
        assert provider.inspect_unit("kit-v1").state == "absent"
        unit = kit.unit("v1", replicas=2)
        first = stage.start(unit)
        assert (len(first.addresses), first.version, first.token) == (2, "v1", unit.token)
        assert {send(f"http://{a}", 1)[0] for a in first.addresses} == {(200, "v1")}
        again = kit.open()
        assert isinstance(again, Serves)
        again.ensure_unit(unit)
        assert sorted(stage.until(unit.name, "ready").addresses) == sorted(first.addresses)
        assert [u.name for u in provider.list_units({**LABELS, "version": "v1"})] == [unit.name]
        assert not provider.list_units({"version": "v9"})
        assert any("serving v1" in line for line in provider.unit_logs(unit.name))
        raises(provider.ensure_unit, UnitSpec(unit.name, "another-token", "kit-end", "v1", unit.command))
        provider.remove_unit(unit.name, 2.0)
        assert provider.inspect_unit(unit.name).state == "absent"
        provider.remove_unit(unit.name, 2.0)
    finally:
        stage.close()


def check_units_that_fail(kit: Kit) -> None:
    """A unit that ends says so with its last words; one that never gets ready is not called ready."""
    stage = _stage(kit)
    if stage is None:
        return
    try:
        unit = kit.unit("bad", "fails")
        stage.made.append(unit.name)
        stage.provider.ensure_unit(unit)
        assert "it cannot start" in stage.until(unit.name, "failed").reason
        slow = kit.unit("never", "never", ready_within=1.0)
        stage.made.append(slow.name)
        stage.provider.ensure_unit(slow)
        time.sleep(1.5)
        assert stage.provider.inspect_unit(slow.name).state != "ready"
    finally:
        stage.close()


def check_split(kit: Kit) -> None:
    """Traffic goes as the weights say, which are read back; what cannot be is refused and changes nothing."""
    stage = _stage(kit)
    if stage is None:
        return
    provider = stage.provider
    try:
        one, two = kit.unit("v1"), kit.unit("v2")
        stage.start(one)
        stage.start(two)
        made = provider.ensure_endpoint(kit.endpoint())
        assert made.state == "ready"
        assert {status for status, _ in send(made.url, 3)} == {503}, "without weights there is nobody to ask"
        weights = {one.name: 7000, two.name: 3000}
        assert dict(provider.set_weights("kit-end", weights).weights) == weights
        share = sum(version == "v2" for _, version in send(made.url, 400)) / 400
        assert 0.18 < share < 0.42, share
        raises(provider.set_weights, "kit-end", {one.name: 9000, two.name: 2000})
        raises(provider.set_weights, "kit-end", {one.name: 5000, "kit-unknown": 5000})
        raises(provider.remove_unit, two.name)
        other = kit.open()
        assert isinstance(other, Splits)
        assert other.ensure_endpoint(kit.endpoint()).url == made.url
        assert dict(other.inspect_endpoint("kit-end").weights) == weights
        assert [e.name for e in other.list_endpoints(LABELS)] == ["kit-end"]
        raises(provider.ensure_endpoint, EndpointSpec("kit-end", "another-token", "kit"))
        provider.set_weights("kit-end", {two.name: FULL_WEIGHT})
        assert {version for _, version in send(made.url, 30)} == {"v2"}
    finally:
        stage.close()
    assert provider.inspect_endpoint("kit-end").state == "absent"
    provider.remove_endpoint("kit-end")


def check_shift_loses_nothing(kit: Kit) -> None:
    """Weights change, and a unit leaves, while requests run: every one is answered, and answered well."""
    stage = _stage(kit)
    if stage is None:
        return
    provider, answers, stop = stage.provider, list[tuple[int, str]](), threading.Event()
    lost: list[OSError] = []
    try:
        one, two = kit.unit("v1"), kit.unit("v2")
        stage.start(one)
        stage.start(two)
        url = provider.ensure_endpoint(kit.endpoint()).url
        provider.set_weights("kit-end", {one.name: FULL_WEIGHT})

        def users() -> None:
            while not stop.is_set():
                try:
                    answers.extend(send(url, 20))
                except OSError as error:
                    lost.append(error)

        threads = [threading.Thread(target=users) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for share in (1000, 5000, 10_000):
                provider.set_weights("kit-end", {one.name: FULL_WEIGHT - share, two.name: share})
                time.sleep(0.4)
            provider.set_weights("kit-end", {two.name: FULL_WEIGHT})
            provider.remove_unit(one.name)
            time.sleep(0.3)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not lost, lost[:3]
        assert {status for status, _ in answers} == {200}
        assert {version for _, version in answers} == {"v1", "v2"}
    finally:
        stop.set()
        stage.close()


def check_measures(kit: Kit) -> None:
    """Every request is counted for the version that got it: errors, codes, and slow ones at the limits that were asked for."""
    stage = _stage(kit)
    if stage is None or not isinstance(stage.provider, Measures):
        return
    provider: Any = stage.provider
    try:
        good, bad, slow = kit.unit("v1"), kit.unit("v2", "errors"), kit.unit("v3", "slow")
        for unit in (good, bad, slow):
            stage.start(unit)
        url = provider.ensure_endpoint(kit.endpoint()).url
        sent = {good.name: 40, bad.name: 30, slow.name: 10}
        everyone = dict.fromkeys(sent, 0)
        epochs: Mapping[str, str] = {}
        for name, count in sent.items():
            provider.set_weights("kit-end", {**everyone, name: FULL_WEIGHT})
            epochs = epochs or {n: c.epoch for n, c in provider.measure("kit-end").items()}
            send(url, count)
        deadline = time.monotonic() + 10
        while sum(c.latency.total for c in provider.measure("kit-end").values()) < 80 and time.monotonic() < deadline:
            time.sleep(0.2)
        found = provider.measure("kit-end")
        assert {n: c.requests for n, c in found.items()} == sent
        assert {n: c.errors for n, c in found.items()} == {good.name: 0, bad.name: 30, slow.name: 0}
        assert {n: c.version for n, c in found.items()} == {good.name: "v1", bad.name: "v2", slow.name: "v3"}
        assert {n: c.epoch for n, c in found.items()} == epochs
        latency = found[slow.name].latency
        assert {50.0, 1000.0} <= set(latency.edges)
        assert list(latency.counts) == sorted(latency.counts)
        assert latency.total == 10
        assert latency.counts[latency.edges.index(50.0)] == 0
    finally:
        stage.close()


CHECKS: tuple[Callable[[Kit], None], ...] = (
    check_job_runs_once,
    check_job_fails,
    check_job_limits,
    check_job_environment,
    check_units,
    check_units_that_fail,
    check_split,
    check_shift_loses_nothing,
    check_measures,
)
