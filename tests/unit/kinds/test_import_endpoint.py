"""A running endpoint is taken over as it is: names of another state are kept, what is unclear is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlplan.engine.kind import Options, View
from mlplan.kinds.deployment.kind import DeploymentKind
from mlplan.kinds.deployment.spec import ARTIFACT_LABEL, place
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.ledger.names import labels, physical_name, token
from mlplan.ledger.records import State
from mlplan.spi.capabilities import EndpointStatus, UnitStatus
from tests.unit.kinds.planning import DEPLOYMENT, ENVIRONMENT, deployment, environment

DIGEST = "ab" * 32
URL = "http://127.0.0.1:4711"


@dataclass
class Machine:
    """One endpoint and its unit, named by another state. Implements what `Serves` and `Splits` ask for."""

    endpoint: EndpointStatus
    unit: UnitStatus
    name: str = "fake"
    touched: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Always well."""

    def list_endpoints(self, labels: Mapping[str, str]) -> Sequence[EndpointStatus]:
        return [self.endpoint]

    def inspect_endpoint(self, name: str) -> EndpointStatus:
        return self.endpoint

    def inspect_unit(self, name: str) -> UnitStatus:
        return self.unit

    def list_units(self, labels: Mapping[str, str]) -> Sequence[UnitStatus]:
        return [self.unit]

    def unit_logs(self, name: str, lines: int = 20) -> Sequence[str]:
        return ()

    def _touch(self, *given: Any, **more: Any) -> Any:
        self.touched.append(str(given))

    ensure_unit = remove_unit = ensure_endpoint = set_weights = remove_endpoint = _touch


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home = "another-lineage"
    mark = token(home, DEPLOYMENT, 1)
    name, unit = physical_name(DEPLOYMENT, mark), "unit-v7"
    found = EndpointStatus(name, mark, "ready", URL, {unit: 10_000}, labels=labels(home, DEPLOYMENT, mark, "run"))
    served = UnitStatus(unit, "t", "v7", "ready", ("127.0.0.1:1",), labels={ARTIFACT_LABEL: DIGEST[:40]})
    (tmp_path / "artifacts" / "ab" / DIGEST).mkdir(parents=True)
    return Machine(found, served)


def adopt(machine: Machine, root: Path, identity: str = URL) -> Any:
    desired = deployment()
    view = View(
        root, State("lineage"), Options(), 0.0, lambda _: machine, SimpleNamespace(artifacts=root / "artifacts"),
        lambda _: None, {DEPLOYMENT: desired, ENVIRONMENT: environment()},
    )  # fmt: skip
    return DeploymentKind().adopt(desired, identity, view)


@pytest.mark.parametrize("by", ["url", "name", "url/"])
def test_it_is_found_by_name_and_url(machine: Machine, tmp_path: Path, by: str) -> None:
    identity = {"url": URL, "name": machine.endpoint.name, "url/": URL + "/"}[by]
    change = adopt(machine, tmp_path, identity)
    assert change.planned["version"] == "v7"
    assert change.steps[0].inputs["artifact"] == f"sha256:{DIGEST}"
    assert change.steps[0].free
    assert not machine.touched


def test_names_of_another_state_are_kept(machine: Machine, tmp_path: Path) -> None:
    from mlplan.engine.types import Result
    from mlplan.kinds.deployment.adopting import take_over

    change = adopt(machine, tmp_path)
    world = {DEPLOYMENT: deployment(), ENVIRONMENT: environment()}
    context: Any = SimpleNamespace(
        desired=world.__getitem__, lineage="lineage", run="r", checked=lambda _: machine, state=State("lineage"),
        services=SimpleNamespace(artifacts=tmp_path / "artifacts"), now=lambda: 5.0,
    )  # fmt: skip
    outcome = take_over(change.steps[0], context)
    assert outcome.result is Result.DONE
    record = outcome.record
    assert record is not None
    where = place(deployment(), environment(), "lineage", record)
    assert where.endpoint_name == machine.endpoint.name == record.physical_name
    assert where.endpoint_token == machine.endpoint.token
    assert record.inputs == where.serving_inputs()
    assert {machine.endpoint.name, "unit-v7"} <= set(DeploymentKind().claims(record, State("lineage")))
    machine.unit = replace(machine.unit, version="v8")
    with pytest.raises(DiagnosticError, match="something else"):
        take_over(change.steps[0], context)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"identity": "http://127.0.0.1:1"}, "There is no endpoint"),
        ({"endpoint": {"state": "failed", "reason": "gone"}}, "is failed (gone)"),
        ({"endpoint": {"weights": {"unit-v7": 5000, "other": 5000}}}, "unit-v7 50 %, other 50 %"),
        ({"endpoint": {"weights": {}}}, "goes to nobody"),
        ({"endpoint": {"labels": {}}}, "was not made by mlplan"),
        ({"unit": {"state": "unready"}}, "are unready"),
        ({"unit": {"labels": {ARTIFACT_LABEL: "cd" * 20}}}, "is not in"),
        ({"unit": {"labels": {}}}, "does not say which artifact"),
    ],
)
def test_what_is_unclear_is_refused(machine: Machine, tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
    machine.endpoint = replace(machine.endpoint, **wrong.get("endpoint", {}))
    machine.unit = replace(machine.unit, **wrong.get("unit", {}))
    with pytest.raises(DiagnosticError) as caught:
        adopt(machine, tmp_path, wrong.get("identity", URL))
    assert words in caught.value.diagnostics[0].detail
