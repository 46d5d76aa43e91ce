"""plan, apply, destroy and show as a user runs them: saved plans, selection, events for programs, the end after a partial failure."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlplan.cli.main import run
from mlplan.kinds.environment.kind import EnvironmentKind
from mlplan.spi.capabilities import ProviderError

FILES = """
variable "note" {
  default = "none"
}
variable "token" {
  default   = "not-given"
  sensitive = true
}
environment "dev" {
  description = var.note
}
environment "staging" {
  promote_from = environment.dev
}
environment "prod" {
  promote_from = environment.staging
}
environment "other" {}
output "dev" {
  value = environment.dev.ready
}
output "token" {
  value     = "uses ${var.token}"
  sensitive = true
}
"""

Mlplan = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLPLAN_WORKSPACE", raising=False)
    (tmp_path / "main.mlplan.hcl").write_text(FILES)
    return tmp_path


@pytest.fixture
def mlplan(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mlplan:
    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(words)
        out, err = capsys.readouterr()
        return code, out, err

    # Whether Envoy is installed is no question of planning.
    monkeypatch.setattr("mlplan_local.provider.LocalProvider.check", lambda self: None)
    assert call("init")[0] == 0
    return call


def test_a_saved_plan_is_applied_once_with_the_variables_it_was_made_with(mlplan: Mlplan, folder: Path) -> None:
    assert mlplan("plan", "-out=p", "-var=note=hello")[0] == 0
    (folder / "main.mlplan.hcl").rename(folder / "aside")
    code, out, _ = mlplan("show", "p")
    assert (code, "environment.dev" in out, "hello" in out) == (0, True, True)
    (folder / "aside").rename(folder / "main.mlplan.hcl")
    code, out, err = mlplan("apply", "p")
    assert code == 0
    assert "Apply: 4 done." in err
    code, _, err = mlplan("apply", "p")
    assert (code, "used once" in err) == (6, True)
    assert mlplan("plan", "-detailed-exitcode", "-var=note=hello")[0] == 0
    assert mlplan("plan", "-detailed-exitcode")[0] == 2


def test_sensitive_values_are_in_no_file_and_no_output(mlplan: Mlplan, folder: Path) -> None:
    secret = "s3cr3t-s3cr3t"
    texts = [mlplan("plan", "--out", "p", "--var", f"token={secret}")]
    texts += [mlplan("show", "p"), mlplan("show", "--json", "p"), mlplan("show", "--markdown", "p")]
    code, out, err = mlplan("apply", "p", "--var", f"token={secret}")
    assert code == 0, err
    texts += [(code, out, err), mlplan("show", "--json"), mlplan("apply", "--json", "-auto-approve")]
    assert not [text for _, out, err in texts for text in (out, err) if secret in text]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("how", ["files", "state", "variables", "workspace", "tampered", "project"])
def test_a_plan_that_does_not_fit_any_more_exits_6(mlplan: Mlplan, folder: Path, how: str) -> None:
    assert mlplan("plan", "--out", "p")[0] == 0
    words = ["apply", "p"]
    if how == "files":
        (folder / "more.mlplan.hcl").write_text('environment "more" {}\n')
    elif how == "state":
        assert mlplan("apply", "--auto-approve", "--target", "environment.other")[0] == 0
    elif how == "variables":
        words += ["--var", "note=other"]
    elif how == "workspace":
        assert mlplan("workspace", "new", "eu")[0] == 0
    elif how == "tampered":
        (folder / "p").write_text((folder / "p").read_text().replace("environment.dev", "environment.dex"))
    else:
        (folder / ".mlplan" / "key").write_text("ab" * 32)
    code, _, err = mlplan(*words)
    assert code == 6, err
    assert "Plan again" in err or "Nothing was done" in err
    assert mlplan("state", "list", "--workspace=default")[1].count("\n") == (1 if how == "state" else 0)


def test_options_that_select_exclude_a_saved_plan(mlplan: Mlplan) -> None:
    assert mlplan("plan", "--out", "p")[0] == 0
    assert mlplan("apply", "p", "--target", "environment.dev")[0] == 1
    assert mlplan("plan", "--refresh-only", "--destroy")[0] == 1


def test_independent_branches_go_on_and_the_end_says_what_is_left(
    mlplan: Mlplan, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = EnvironmentKind.execute

    def execute(self, step, resumed, context):
        if step.address == "environment.staging":
            raise ProviderError("The machine room is on fire", "It is hot.")
        return work(self, step, resumed, context)

    monkeypatch.setattr(EnvironmentKind, "execute", execute)
    code, _, err = mlplan("apply", "--auto-approve")
    assert code == 1
    assert "!! environment.staging (configure)" in err
    assert "-- environment.prod (configure)" in err
    assert "not started: environment.staging#configure failed" in err
    assert "Apply: 2 done, 1 failed, 1 skipped." in err
    assert "Left: environment.staging, environment.prod." in err
    assert mlplan("state", "list")[1] == "environment.dev\nenvironment.other\n"
    monkeypatch.setattr(EnvironmentKind, "execute", work)
    code, _, err = mlplan("apply", "--auto-approve")
    assert (code, "Apply: 2 done." in err) == (0, True)


def test_programs_get_one_document_a_line(mlplan: Mlplan) -> None:
    code, out, err = mlplan("apply", "--auto-approve", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert err == ""
    assert [line["type"] for line in lines[:2]] == ["version", "plan"]
    assert {line["type"] for line in lines[2:-1]} == {"event"}
    kinds = [line["kind"] for line in lines[2:-1]]
    assert kinds.count("step_started") == kinds.count("step_ended") == 4
    assert lines[-1]["type"] == "summary"
    assert (lines[-1]["exit_code"], lines[-1]["left"], lines[-1]["outputs"]) == (
        0,
        [],
        {"dev": True, "token": "(sensitive)"},
    )
    code, out, _ = mlplan("apply", "--json")
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["version", "plan", "summary"]


def test_plan_json_follows_its_schema(mlplan: Mlplan) -> None:
    import jsonschema

    schema = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "plan.schema.json").read_text())
    for words in (("plan",), ("plan", "-destroy"), ("plan", "-target=environment.dev"), ("plan", "-refresh-only")):
        code, out, _ = mlplan(*words, "-json")
        assert code == 0
        jsonschema.validate(json.loads(out), schema)
    mlplan("apply", "-auto-approve")
    document = json.loads(mlplan("plan", "-json", "-var=note=x")[1])
    change = next(c for c in document["resource_changes"] if c["address"] == "environment.dev")
    assert change["change"]["actions"] == ["update"]
    assert (change["change"]["before"]["description"], change["change"]["after"]["description"]) == ("none", "x")
    token = document["output_changes"]["token"]
    assert (token["after_sensitive"], token["after"]) == (True, None)
    assert "value" not in document["planned_values"]["outputs"]["token"]


def test_workspaces_are_separate(mlplan: Mlplan) -> None:
    assert mlplan("apply", "--auto-approve")[0] == 0
    assert mlplan("workspace", "new", "eu")[0] == 0
    assert mlplan("plan", "--detailed-exitcode")[0] == 2
    assert mlplan("apply", "--auto-approve", "--target", "environment.dev")[0] == 0
    assert mlplan("state", "list")[1] == "environment.dev\n"
    assert mlplan("destroy", "--auto-approve")[0] == 0
    assert mlplan("state", "list", "--workspace", "default")[1].count("environment") == 4
    assert mlplan("plan", "--detailed-exitcode", "--workspace", "default")[0] == 0


def test_destroying_one_keeps_the_outputs_of_the_others(mlplan: Mlplan) -> None:
    mlplan("apply", "--auto-approve")
    code, out, _ = mlplan("destroy", "--auto-approve", "--target", "environment.other")
    assert (code, "Outputs" in out) == (0, False)
    assert mlplan("output", "dev")[1] == "true\n"


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def test_changed_since_selects_by_block_and_says_what_it_left(mlplan: Mlplan, folder: Path) -> None:
    git(folder, "init", "-q")
    git(folder, "add", "main.mlplan.hcl")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    code, out, _ = mlplan("plan", "--changed-since", "HEAD")
    assert "Plan: 0 to add" in out
    (folder / "main.mlplan.hcl").write_text(
        FILES.replace('environment "staging" {', 'environment "staging" {\n  port = 8123')
    )
    code, out, _ = mlplan("plan", "--changed-since", "HEAD", "--compact")
    assert code == 0
    assert "environment.other (add): not selected" in out
    assert "Plan: 3 to add" in out  # staging itself, dev that it needs, prod that needs it
    (folder / "main.mlplan.hcl").write_text(FILES.replace('"none"', '"other"'))
    assert "Plan: 4 to add" in mlplan("plan", "--changed-since", "HEAD", "--compact")[1]
    code, _, err = mlplan("plan", "--changed-since", "no-such-thing")
    assert (code, "[unknown-revision]" in err) == (1, True)
    assert mlplan("plan", "--changed-since=--output=x")[0] == 1
    assert not (folder / "x").exists()
