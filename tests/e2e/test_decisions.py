"""Decisions of people, from a gate that says no to production: override, promote, release, protected environments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlplan.cli.main import run
from tests.e2e.test_bad_input import FILES, TRAIN

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

MORE = """
environment "dev" {}
environment "prod" {
  promote_from = environment.dev
  promote_when = { approvals = 1, approved_by = ["ada"] }
}
environment "guarded" {
  protected    = true
  promote_from = environment.dev
}
"""

GATE = """
  evaluate {
    data = data_contract.rows
  }
  gate "perfect" {
    metric   = "accuracy"
    at_least = 0.999
  }
  deploy_to = [environment.dev, environment.prod]
  train {
"""


class Told:
    """Runs commands in the project; keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.capsys: pytest.CaptureFixture[str] | None = None

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run a command and return what it said on one line; fail when the exit code is another."""
        assert self.capsys is not None
        self.capsys.readouterr()
        seen = run([f"-chdir={self.folder}", *words])
        said = self.capsys.readouterr()
        text = re.sub(r"\s+", " ", said.out + said.err)
        assert seen == code, f"exit {seen}, not {code}: {text}"
        return text


@pytest.fixture(scope="module")
def _told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("decisions")
    (folder / "main.mlplan.hcl").write_text(FILES.replace("  train {\n", GATE, 1) + MORE)
    (folder / "train.py").write_text(TRAIN)
    rows = [f"{i},{i % 10}.0,{str((i * 7) % 10 > 4).lower()}" for i in range(60)]
    (folder / "rows.csv").write_text("id,a,y\n" + "\n".join(rows) + "\n")
    told = Told(folder)
    assert run(["init", f"-chdir={folder}"]) == 0
    yield told
    assert run(["destroy", f"-chdir={folder}", "-auto-approve"]) == 0


@pytest.fixture
def told(_told: Told, capsys: pytest.CaptureFixture[str]) -> Told:
    _told.capsys = capsys
    return _told


def test_a_gate_says_no_and_is_not_asked_again(told: Told) -> None:
    said = told("apply", "-auto-approve", code=3)
    assert "gate perfect" in said
    assert "accuracy" in said
    assert "v1 rejected" in told("plan", "-detailed-exitcode")


def test_override_wants_a_gate_and_a_reason(told: Told) -> None:
    assert "[invalid-override]" in told("override", "model.m.gate.perfect", code=1)
    assert "[invalid-override]" in told("override", "model.m", "-reason", "why", code=1)


def test_overridden_it_goes_as_far_as_it_may(told: Told) -> None:
    told("override", "model.m.gate.perfect", "-reason", "the data is random", "-who", "ada")
    said = told("apply", "-auto-approve", code=5)
    assert "train v1" not in said  # judged again, not trained again
    assert "0 of 1 approvals" in said
    assert "mlplan promote m@prod" in said
    assert "the data is random" in told("history")


def test_only_an_approver_may_promote(told: Told) -> None:
    assert "[not-an-approver]" in told("promote", "m@prod", "-who", "bob", code=1)
    assert "[unknown-address]" in told("promote", "m@nowhere", code=1)
    assert "ada approved v1" in told("promote", "m@prod", "-who", "ada", "-reason", "looked at it")
    told("apply", "-auto-approve")
    assert "No changes" in told("plan", "-detailed-exitcode")
    assert "[nothing-to-promote]" in told("promote", "m@prod", "-who", "ada", code=1)


def test_nothing_to_release_or_to_abort(told: Told) -> None:
    assert "[nothing-rejected]" in told("release", "m@prod", code=1)
    assert "[nothing-to-abort]" in told("abort", "m@prod", code=1)
    assert "[nothing-rejected]" in told("override", "model.m.gate.perfect", "-reason", "again", code=1)


def test_unattended_a_protected_environment_wants_an_approval(told: Told) -> None:
    path = told.folder / "main.mlplan.hcl"
    path.write_text(path.read_text().replace("environment.prod]", "environment.prod, environment.guarded]"))
    assert "0 of 1 approvals" in told("apply", "-unattended", code=5)
    told("promote", "m@guarded", "-who", "eve")
    told("apply", "-unattended")
    assert "No changes" in told("plan", "-detailed-exitcode")


def test_unattended_nothing_is_removed(told: Told) -> None:
    path = told.folder / "main.mlplan.hcl"
    before = path.read_text()
    path.write_text(before.replace(", environment.guarded]", "]"))
    said = told("apply", "-unattended")
    assert 'model.m.deployment["guarded"] (remove): no longer in the files; removals need an attended apply' in said
    assert 'deployment["guarded"]' in told("state", "list")
    path.write_text(before)
    assert "No changes" in told("plan", "-detailed-exitcode")
