"""What something outside ended says nothing about a model: it is run again, and never rejects a version."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from mlplan.engine.types import Result
from mlplan_local.supervise import ended_with
from tests.world.deploying import Deployer
from tests.world.rollouts import Killed, World, desired_of, newest

SMOKED = {"steps": (100,), "smoke_test": "python smoke.py", "look_every": 1.0}


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (0, "succeeded"), (1, "failed"), (-signal.SIGSEGV, "failed"), (-signal.SIGABRT, "failed"), (139, "failed"), (255, "failed"),
        (-signal.SIGKILL, "lost"), (-signal.SIGTERM, "lost"), (-signal.SIGINT, "lost"), (137, "lost"), (143, "lost"), (None, "lost"),
    ],
)  # fmt: skip
def test_a_signal_from_outside_is_no_failure(code: int | None, state: str) -> None:
    assert ended_with(code)[0] == state


def second(tmp_path: Path) -> Deployer:
    """Return a deployment with v1 live and v2 waiting for its rollout."""
    deployer = Deployer.fresh(World(), desired_of(SMOKED, "blue_green"), tmp_path)
    assert [o.result for o in deployer.apply()] == [Result.DONE]
    newest(deployer.book, 1, 2)
    return deployer


def rejected(deployer: Deployer) -> dict[str, object]:
    assert deployer.record is not None
    return dict(deployer.record.attributes.get("rejected") or {})


def at_smoke(deployer: Deployer, act: object, times: int = 1) -> None:
    """Do `act` each time a smoke test runs, so many times."""
    left = [times]

    def point(name: str) -> None:
        if left[0] and any(job.state == "running" for job in deployer.world.jobs.values()):
            left[0] -= 1
            act()  # type: ignore[operator]

    deployer.world.on_point = point


def test_a_lost_smoke_test_is_run_again_in_the_same_run(tmp_path: Path) -> None:
    deployer = second(tmp_path)
    at_smoke(deployer, deployer.world.kill_jobs)
    deployer.apply()
    assert (deployer.live, rejected(deployer)) == ("v2", {})


def test_a_smoke_test_that_is_lost_each_time_rejects_nothing(tmp_path: Path) -> None:
    deployer = second(tmp_path)
    at_smoke(deployer, deployer.world.kill_jobs, 99)
    with pytest.raises(Exception, match="could not be run to its end"):
        deployer.apply()
    assert (deployer.live, rejected(deployer)) == ("v1", {})
    deployer.world.on_point = lambda name: None
    deployer.apply()
    assert (deployer.live, rejected(deployer)) == ("v2", {})


def test_a_reboot_in_the_smoke_test_rejects_nothing(tmp_path: Path) -> None:
    deployer = second(tmp_path)

    def reboot() -> None:
        deployer.world.reboot()
        raise Killed

    at_smoke(deployer, reboot)
    with pytest.raises(Killed):
        deployer.apply()
    deployer.world.on_point = lambda name: None
    deployer.apply()
    assert (deployer.live, rejected(deployer)) == ("v2", {})


def test_a_failure_that_nobody_watched_is_looked_at_again(tmp_path: Path) -> None:
    deployer = second(tmp_path)

    def die() -> None:
        raise Killed

    at_smoke(deployer, die)
    with pytest.raises(Killed):
        deployer.apply()
    for job in deployer.world.jobs.values():
        if job.state == "running":
            job.state = "failed"  # its servers were gone for a moment
    deployer.world.on_point = lambda name: None
    deployer.apply()
    assert (deployer.live, rejected(deployer)) == ("v2", {})


def test_a_smoke_test_that_fails_by_itself_rejects_also_the_second_time(tmp_path: Path) -> None:
    deployer = second(tmp_path)
    deployer.world.smoke = "failed"
    deployer.apply()
    assert deployer.live == "v1"
    assert list(rejected(deployer)) == ["v2"]
    assert deployer.record is not None
    attributes = {**deployer.record.attributes, "rejected": {}}
    deployer.book.records[deployer.record.address] = type(deployer.record)(
        **{**deployer.record.__dict__, "attributes": attributes}
    )
    deployer.world.smoke = "succeeded"
    deployer.apply()
    assert deployer.live == "v2", "released, it is tested anew and not by the old result"
