"""A version that passed everything fails in service later: the monitor sees it, and the unattended run goes back."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.world.delivery import FILES, Delivery

pytestmark = [pytest.mark.envoy, pytest.mark.e2e, pytest.mark.slow]

MONITOR = """
monitor "w" {
  model       = model.m
  environment = environment.prod
  every       = "10m"
  watch "service" {
    error_rate = { at_most = 0.05 }
  }
  on_breach "service" {
    do      = "rollback"
    at_most = "2/day"
  }
}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    """Given v1, then v2 by one switch after a smoke test; v2 cannot do with a missing value, and nobody noticed."""
    made = Delivery.make(tmp_path_factory.mktemp("monitor"))
    begin, end = FILES.index('  rollout "canary"'), FILES.index('model "m"')
    path = made.folder / "main.mlplan.hcl"
    blue_green = '  rollout "blue_green" {\n    smoke_test = "python smoke.py"\n  }\n}\n'
    path.write_text(FILES[:begin] + blue_green + FILES[end:] + MONITOR)
    (made.folder / "smoke.py").write_text(
        "import json, os, urllib.request\n"
        'body = json.dumps({"instances": [{"a": 1.0, "b": 0.5}]}).encode()\n'
        'request = urllib.request.Request(os.environ["MLPLAN_URL"] + "/predict", body, {"content-type": "application/json"})\n'
        "print(urllib.request.urlopen(request, timeout=10).read())\n"
    )
    try:
        made.apply()
        made.want("errors")
        assert "smoke test succeeded" in made.apply()
        yield made
    finally:
        made.close()


def ask(url: str, value: float | None, times: int) -> list[int]:
    """Return the statuses of requests with this value."""
    statuses = []
    for _ in range(times):
        body = json.dumps({"instances": [{"a": value, "b": 0.1}]}).encode()
        request = urllib.request.Request(url + "/predict", body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                statuses.append(response.status)
        except urllib.error.HTTPError as error:
            statuses.append(error.code)
            error.close()
    return statuses


def test_errors_in_service_are_answered_by_going_back(project: Delivery) -> None:
    url = project.url
    assert project.version(url) == "v2"
    assert set(ask(url, 1.0, 20)) == {200}
    assert "breach" not in project.settled()

    assert set(ask(url, None, 40)) == {500}
    plan = project.run("plan")
    assert "! breach" in plan
    assert "roll back to v1" in plan
    assert "0 of 2 used" in plan

    said = project.run("apply", "-unattended", code=4)
    assert "rolled back: v1 has all traffic" in said
    assert project.version(url) == "v1"
    assert set(ask(url, None, 20)) == {200}
    assert "held at v1 (v2 rejected" in project.settled()
    assert len(project.records()["roll_backs"]) == 1


def test_a_second_breach_has_nowhere_to_go(project: Delivery) -> None:
    """The only version before is the rejected one: it is said, and traffic stays."""
    project.edit('kind = "errors"', 'kind = "good"')
    project.edit("at_most = 0.05", "at_most = 0.0")
    url = project.url
    statuses = ask(url, "long", 30)  # type: ignore[arg-type]
    assert set(statuses) == {422}, "a wrong request is the client's mistake, not an error of the service"
    project.run("apply", "-unattended", code=None)
    assert project.version(url) == "v1"
