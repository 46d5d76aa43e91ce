"""Plans of strangers' files: what the sandbox shows of this machine, that it fails closed, and when CI makes it automatic."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlplan.app import untrusted
from mlplan.app.policy import policy_changes
from mlplan.cli.main import run
from mlplan.lang.diagnostic import DiagnosticError
from tests.e2e.running import mlplan

MAIN = 'variable "size" {\n  default = 1\n}\nenvironment "dev" {\n  description = "size ${var.size}"\n}\n'
PROBE = """
import json, os, socket, sys
def tried(action):
    try:
        return str(action())
    except OSError as error:
        return type(error).__name__
print(json.dumps({
    "environment": sorted(os.environ),
    "network": tried(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2)),
    "passwd": tried(lambda: open("/etc/passwd").read()),
    "home": tried(lambda: os.listdir(sys.argv[2])),
    "key": tried(lambda: open("/project/.mlplan/key").read()),
    "git": tried(lambda: os.listdir("/project/.git")),
    "secret": tried(lambda: open("/project/secret").read()),
    "write": tried(lambda: open("/project/main.mlplan.hcl", "a")),
    "own": tried(lambda: open("/project/new", "w")) != "",
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
}))
"""


def sandbox() -> None:
    """Skip where no sandbox can be made."""
    try:
        untrusted._try(untrusted._bubblewrap())
    except DiagnosticError as error:
        pytest.skip(f"needs bubblewrap and user namespaces (apt-get install bubblewrap): {error}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project with a state and things that nobody else may see."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "main.mlplan.hcl").write_text(MAIN)
    assert run([f"-chdir={project}", "init"]) == 0
    (project / ".mlplan" / "key").write_text("signing key")
    (project / ".git").mkdir()
    (tmp_path / "outside").write_text("not yours")
    (project / "secret").symlink_to(tmp_path / "outside")
    return project


@pytest.mark.e2e
def test_the_sandbox_shows_the_project_and_nothing_else(folder: Path) -> None:
    sandbox()
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        words = [
            *untrusted.argv(untrusted._bubblewrap(), folder), sys.executable, "-I", "-c", PROBE,
            str(server.getsockname()[1]), str(Path.home()),
        ]  # fmt: skip
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=60, env={"AWS_SECRET_ACCESS_KEY": "x"}
        )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert "AWS_SECRET_ACCESS_KEY" not in seen["environment"]
    assert seen["network"] in ("ConnectionRefusedError", "OSError")
    for hidden in ("passwd", "key", "git", "secret"):
        assert seen[hidden] in ("FileNotFoundError", "PermissionError"), hidden
    home = seen["home"]
    assert home in ("FileNotFoundError", "PermissionError") or ".ssh" not in home
    assert seen["write"] in ("OSError", "PermissionError")
    assert seen["processes"] <= 3


@pytest.mark.e2e
def test_an_untrusted_plan_reads_the_state_and_tells_of_changed_rules(folder: Path) -> None:
    sandbox()
    git = shutil.which("git")
    assert git is not None
    shutil.rmtree(folder / ".git")
    for words in (
        ("init", "-q"),
        ("add", "main.mlplan.hcl"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "base"),
    ):
        subprocess.run([git, "-C", str(folder), *words], check=True)
    shown = mlplan("plan", "-untrusted", "-var", "size=5", "-detailed-exitcode", folder=folder)
    assert shown.returncode == 2
    assert "made under strange rules" in shown.stderr
    assert "+ environment.dev" in shown.stdout
    (folder / "main.mlplan.hcl").write_text(MAIN.replace("size ${", "other ${"))
    told = mlplan("plan", "-untrusted", "-base", "HEAD", folder=folder)
    assert told.returncode == 0
    assert "This head changes environment.dev" in told.stderr
    assert mlplan("plan", "-untrusted", "-base", "nowhere", folder=folder).returncode == 1
    assert mlplan("plan", "-untrusted", "-out", "p.mlplan", folder=folder).returncode == 1


RULED = """
locals {
  least = LEAST
}
data_contract "rows" {
  source  = "rows.csv"
  columns = { x = { type = "float" }, y = { type = "float", label = true } }
}
model "m" {
  task = "regression"
  train {
    run  = "python train.py"
    code = ["train.py"]
    data = { train = data_contract.rows }
  }
  evaluate {
    data = data_contract.rows
  }
  gate "good" {
    metric   = "r2"
    at_least = local.least
  }
}
"""


@pytest.mark.e2e
def test_the_rules_of_a_plan_are_those_of_its_base(folder: Path) -> None:
    """A gate that is weakened by the local that it reads is asked for as the base has it, and the change is told."""
    sandbox()
    git = shutil.which("git")
    assert git is not None
    shutil.rmtree(folder / ".git")
    (folder / "train.py").write_text("raise SystemExit(1)\n")
    (folder / "rows.csv").write_text("x,y\n" + "".join(f"{n},{n}\n" for n in range(20)))
    main = folder / "main.mlplan.hcl"
    main.write_text(RULED.replace("LEAST", "0.9"))
    for words in (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "base"),
    ):
        subprocess.run([git, "-C", str(folder), *words], check=True)
    main.write_text(RULED.replace("LEAST", "0.1"))
    done = mlplan("plan", "-untrusted", "-base", "HEAD", "-json", folder=folder)
    assert done.returncode == 0, done.stderr
    change = next(c for c in json.loads(done.stdout)["resource_changes"] if c["address"] == "model.m")
    assert change["questions"] == ["gate good ? r2 >= 0.9, lower 95 % bound"]
    assert "This head changes what model.m.gate.good asks for" in done.stderr

    main.write_text(
        RULED.replace("LEAST", "0.1").replace('"rows"', '"other"').replace("contract.rows", "contract.other")
    )
    renamed = mlplan("plan", "-untrusted", "-base", "HEAD", folder=folder)
    assert renamed.returncode == 1
    assert "which this head does not declare" in renamed.stderr

    main.write_text("locals {\n  broken = \n}\n")
    subprocess.run(
        [git, "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "broken"], check=True
    )
    main.write_text(RULED.replace("LEAST", "0.1"))
    closed = mlplan("plan", "-untrusted", "-base", "HEAD", folder=folder)
    assert (closed.returncode, closed.stdout) == (1, "")
    assert "base-unreadable" in closed.stderr


@pytest.mark.e2e
def test_hostile_files_end_inside_their_limits(folder: Path) -> None:
    sandbox()
    (folder / "bomb.mlplan.hcl").write_text(
        "locals {\n  a = range(1000)\n  b = [for x in local.a : [for y in local.a : [for z in local.a : z]]]\n"
        '  c = file("/etc/passwd")\n}\noutput "x" {\n  value = local.b\n}\noutput "y" {\n  value = local.c\n}\n'
    )
    done = mlplan("plan", "-untrusted", folder=folder)
    assert done.returncode == 1
    assert "root:" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.e2e
def test_without_a_sandbox_nothing_is_done(folder: Path, tmp_path: Path) -> None:
    done = mlplan("plan", "-untrusted", folder=folder, environment={"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert "[no-sandbox]" in done.stderr


@pytest.mark.parametrize(
    ("event", "strange"),
    [
        ({"pull_request": {"head": {"repo": {"full_name": "a/b"}}, "base": {"repo": {"full_name": "a/b"}}}}, False),
        ({"pull_request": {"head": {"repo": {"full_name": "x/b"}}, "base": {"repo": {"full_name": "a/b"}}}}, True),
        ({"pull_request": {"head": {"repo": None}, "base": {"repo": {"full_name": "a/b"}}}}, True),
        ({"pull_request": []}, True),
        ("nonsense", True),
    ],
)
def test_github_tells_forks(event: object, strange: bool, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event) if event != "nonsense" else "{")
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request_target", "GITHUB_EVENT_PATH": str(file)}
    assert (untrusted.foreign_head(environment) is not None) == strange
    assert untrusted.foreign_head({**environment, "GITHUB_EVENT_NAME": "push"}) is None


def test_other_systems_tell_forks() -> None:
    assert untrusted.foreign_head({"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2", "CI_MERGE_REQUEST_PROJECT_ID": "1"})
    assert not untrusted.foreign_head({"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1", "CI_MERGE_REQUEST_PROJECT_ID": "1"})
    assert untrusted.foreign_head({"SYSTEM_PULLREQUEST_ISFORK": "True"})
    assert not untrusted.foreign_head(dict.fromkeys(os.environ, "x"))


@pytest.mark.parametrize("command", ["apply", "check", "destroy", "test"])
def test_what_would_run_strange_code_is_refused(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYSTEM_PULLREQUEST_ISFORK", "True")
    assert run([f"-chdir={folder}", command]) == 1
    assert "[untrusted-head]" in capsys.readouterr().err


def test_rules_are_compared_by_what_they_say() -> None:
    before = {"a": 'model "m" {\n  gate "g" {\n    at_least = 0.9\n  }\n  gate "h" {\n    at_most = 1\n  }\n}\n'}
    after = {
        "b": 'model "m" {\n  gate "g" {\n    at_least   = 0.5\n  }\n  gate "h" {\n      at_most   = 1\n  }\n  gate "i" {\n  }\n}\n'
    }
    found = {d.address: d.detail.split()[2] for d in policy_changes(before, after)}
    assert found == {"model.m.gate.g": "changes", "model.m.gate.i": "adds"}
    assert [d.address for d in policy_changes(after, before)] == ["model.m.gate.g", "model.m.gate.i"]
