"""A canary over real servers and a real Envoy, with real requests that are counted one by one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.world.delivery import Delivery, none_lost

pytestmark = [pytest.mark.envoy, pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    """Given v1 in production."""
    made = Delivery.make(tmp_path_factory.mktemp("canary"))
    try:
        made.apply()
        assert made.version(made.url) == "v1"
        yield made
    finally:
        made.close()


def test_good_candidate_is_promoted_and_loses_no_request(project: Delivery) -> None:
    project.want("good2")
    with project.load(project.url) as load:
        said = project.apply()
    assert "traffic v1 80 %, v2 20 %" in said
    result = none_lost(load)
    assert set(result.codes) == {"200"}
    assert min(result.answers_of("v1"), result.answers_of("v2")) > 0
    assert project.version(project.url) == "v2"
    project.settled()


def test_errors_roll_back_and_stay_rolled_back(project: Delivery) -> None:
    project.want("errors")
    with project.load(project.url) as load:
        said = project.apply(code=4)
    assert "rolled back to v2" in said
    result = none_lost(load)
    failed = {v: sum(n for code, n in codes.items() if code != "200") for v, codes in result.versions.items()}
    assert failed.get("v3", 0) > 0
    assert failed.get("v2", 0) == 0
    assert project.version(project.url) == "v2"
    assert "held at v2 (v3 rejected" in project.settled()


def test_release_lets_it_try_again(project: Delivery) -> None:
    project.run("release", "m@prod", "-reason", "the requests were wrong")
    assert "v3 is ready" in project.run("plan")
    with project.load(project.url) as load:
        project.apply(code=4)
    none_lost(load)
    assert "held" in project.settled()


def test_slow_candidate_rolls_back(project: Delivery) -> None:
    project.want("slow")
    project.edit('"400ms"', '"30ms"')
    with project.load(project.url, rate=40.0) as load:
        said = project.apply(code=4)
    assert "over 30" in said
    none_lost(load)
    assert project.version(project.url) == "v2"
    project.want("good2")
    project.edit('"30ms"', '"400ms"')
    project.apply()
    assert project.version(project.url) == "v2"
    project.settled()


def test_servers_of_the_candidate_killed(project: Delivery) -> None:
    project.want("good3")
    with project.load(project.url) as load:
        process = project.start("apply", "-auto-approve")
        project.wait_for_line(process, "20 %")
        assert project.kill("--version v5 ") == 1
        text, _ = process.communicate(timeout=120)
    assert process.returncode == 4, text
    assert project.version(project.url) == "v2"
    assert "v5 rejected" in project.settled()
    result = load.result
    assert result is not None
    assert result.lost == 0  # Envoy answers for a server that is gone, and tries the request elsewhere
    project.run("release", "m@prod")


def test_killed_in_the_middle_the_next_run_goes_on(project: Delivery) -> None:
    with project.load(project.url) as load:
        process = project.start("apply", "-auto-approve")
        project.wait_for_line(process, "20 %")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert project.records()["rollout"]["target"] == "v5"
        generation = project.records()["rollouts"]
        said = project.apply()
    assert "v5: provisioning" not in said  # it went on; it did not begin again
    assert project.records()["rollouts"] == generation
    none_lost(load)
    assert project.version(project.url) == "v5"
    project.settled()


def test_interrupted_the_next_run_goes_on(project: Delivery) -> None:
    project.want("good4")
    with project.load(project.url) as load:
        process = project.start("apply", "-auto-approve")
        project.wait_for_line(process, "20 %")
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=120)
        assert process.returncode in (1, 5), text
        assert project.records()["rollout"]["target"] == "v6"
        project.apply()
    none_lost(load)
    assert project.version(project.url) == "v6"
    project.settled()


def test_router_killed_in_the_middle(project: Delivery) -> None:
    """Requests are lost while there is no router, and no longer: it comes back on its port with its weights."""
    url = project.url
    project.want("good5")
    with project.load(url) as load:
        process = project.start("apply", "-auto-approve")
        project.wait_for_line(process, "20 %")
        assert project.kill("envoy") == 1
        text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text
    assert load.result is not None
    assert load.result.answers_of("v7") > 0
    assert project.url == url
    assert project.version(url) == "v7"
    project.settled()


@pytest.mark.parametrize("what", ["mlplan.serve", "envoy", ""])
def test_what_was_killed_shows_and_is_repaired(project: Delivery, what: str) -> None:
    """Servers, the router, or everything at once as after a restart of the machine."""
    url = project.url
    assert project.kill(what) >= 1
    plan = project.run("plan")
    assert "serve v7 again" in plan, plan
    project.apply()
    assert project.version(url) == "v7"
    project.settled()


def test_weights_moved_by_hand_are_put_back(project: Delivery) -> None:
    from mlplan.spi.capabilities import FULL_WEIGHT, UnitSpec
    from mlplan_local import LocalProvider

    provider = LocalProvider({}, project.folder)
    (endpoint,) = provider.list_endpoints({})
    (unit,) = provider.list_units({})
    foreign = UnitSpec("by-hand", "t", endpoint.name, "v0", ("sleep", "60"))
    provider.ensure_unit(foreign)
    provider.set_weights(endpoint.name, {unit.name: FULL_WEIGHT, foreign.name: 0})
    assert "traffic is not all on v7" in project.run("plan")
    project.apply()
    assert dict(provider.inspect_endpoint(endpoint.name).weights) == {unit.name: FULL_WEIGHT}
    provider.remove_unit(foreign.name, 1.0)
    project.settled()


def test_aborted_by_hand(project: Delivery) -> None:
    """Interrupted, aborted, applied: all traffic is back at once, and the version is rejected until it is released."""
    project.want("good8")
    with project.load(project.url) as load:
        process = project.start("apply", "-auto-approve")
        project.wait_for_line(process, "20 %")
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 5, text
        project.run("abort", "m@prod", "-reason", "the press called")
        assert "is to be ended: aborted by" in project.run("plan")
        said = project.apply(code=4)
    assert "the press called" in said
    none_lost(load)
    assert project.version(project.url) == "v7"
    assert "v8 rejected: aborted by" in project.settled()


def test_two_applies_at_once(project: Delivery) -> None:
    project.want("good6")
    process = project.start("apply", "-auto-approve")
    project.wait_for_line(process, "train v9")
    said = project.run("apply", "-auto-approve", code=6)
    assert "lock" in said
    assert str(process.pid) in said
    with project.load(project.url):
        text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text
    project.settled()


def test_altered_artifact_gets_no_traffic(project: Delivery) -> None:
    """Altered after it was sealed, before its rollout: refused, and the live version goes on."""
    project.want("good7")
    project.run("check")
    import json

    model = json.loads(project.run("state", "show", "-json", "model.m"))
    digest = str(model["attributes"]["artifact"]).removeprefix("sha256:")
    sealed = next((project.folder / ".mlplan" / "artifacts").glob(f"*/{digest}/model.skops"))
    os.chmod(sealed, 0o644)
    sealed.write_bytes(sealed.read_bytes() + b"x")
    said = project.apply(code=1)
    assert "artifact-altered" in said
    assert project.version(project.url) == "v9"


def test_destroy_leaves_nothing(project: Delivery) -> None:
    project.run("destroy", "-auto-approve")
    assert project.processes() == []
    assert "to add" in project.run("plan")
