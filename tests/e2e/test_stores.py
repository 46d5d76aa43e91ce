"""A real project whose state is in SeaweedFS or PostgreSQL, encrypted: killed and resumed, cut off and rescued, moved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.e2e.running import mlplan, plain_environment
from tests.world.small_project import write_project
from tools.services import Services

ENCRYPTION = '  encryption {\n    key      = "env:STATE_KEY"\n    enforced = true\n  }'


def backend(kind: str, services: Services) -> str:
    """Return the block of a place that nobody used before; its secrets are references."""
    if kind == "local":
        return ""
    name = uuid.uuid4().hex
    if kind == "postgres":
        return f'  backend "postgres" {{\n    conn_str    = "env:PG_URL"\n    schema_name = "e_{name}"\n  }}\n'
    lines = {
        "bucket": services.facts["bucket"], "key": f"e2e/{name}", "endpoint": services.facts["s3"],
        "access_key": "env:S3_KEY", "secret_key": "env:S3_SECRET",
    }  # fmt: skip
    return '  backend "s3" {\n' + "".join(f'    {k} = "{v}"\n' for k, v in lines.items()) + "  }\n"


def environment(services: Services) -> dict[str, str]:
    """Return the secrets that the blocks refer to."""
    facts = services.facts
    return {
        "S3_KEY": facts["access_key"], "S3_SECRET": facts["secret_key"], "PG_URL": facts["postgres"], "STATE_KEY": "5a" * 32,
    }  # fmt: skip


def begin(folder: Path, services: Services) -> subprocess.Popen[bytes]:
    """Start an apply and return once its script runs and waits for the file `go`."""
    with (folder / "told.txt").open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlplan.cli.main", "apply", "-auto-approve"],
            cwd=folder, env=plain_environment() | environment(services), stdout=told, stderr=told,
        )  # fmt: skip
    until(lambda: (folder / "began").exists() or process.poll() is not None)
    assert (folder / "began").exists(), (folder / "told.txt").read_text()
    return process


def until(condition: object) -> None:
    """Wait for a condition, for as long as a busy machine may need."""
    deadline = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def project(folder: Path, settings: str) -> None:
    here = f"{str(folder)!r}"
    wait = (
        f"import pathlib, time\npathlib.Path({here}, 'began').touch()\n"
        f"while not pathlib.Path({here}, 'go').exists(): time.sleep(0.1)"
    )
    write_project(folder, settings, more=wait)


@pytest.mark.parametrize("kind", ["s3", "postgres"])
def test_a_killed_run_is_taken_up_at_once(kind: str, services: Services, tmp_path: Path) -> None:
    """kill -9 in the middle of training: the next run needs no unlock, and the job that ran on is found again."""
    given = environment(services)
    project(tmp_path, backend(kind, services) + ENCRYPTION)
    assert mlplan("init", folder=tmp_path, environment=given).returncode == 0
    process = begin(tmp_path, services)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (tmp_path / "go").touch()
    second = mlplan("apply", "-auto-approve", folder=tmp_path, environment=given, timeout=300)
    assert second.returncode == 0, second.stdout + second.stderr
    assert len([p for p in (tmp_path / ".mlplan/jobs").rglob("exit.json") if "train" in str(p)]) == 1
    third = mlplan("plan", "-detailed-exitcode", folder=tmp_path, environment=given)
    assert third.returncode == 0, third.stdout + third.stderr
    assert not (tmp_path / ".mlplan/state").exists()


def test_a_store_that_goes_away_in_the_middle(services: Services, tmp_path: Path) -> None:
    """What the run still had to tell is on disk, encrypted, and can be pushed when the store is back."""
    given = environment(services)
    project(tmp_path, backend("s3", services) + ENCRYPTION)
    assert mlplan("init", folder=tmp_path, environment=given).returncode == 0
    process = begin(tmp_path, services)
    services.tell("stop", "seaweedfs")
    try:
        (tmp_path / "go").touch()
        assert process.wait(240) != 0
    finally:
        services.tell("start", "seaweedfs")
    told = (tmp_path / "told.txt").read_text()
    assert "mlplan state push" in " ".join(told.split())
    assert "Traceback" not in told
    (rescue,) = (tmp_path / ".mlplan/rescue").glob("*.rescue")
    assert b"model.toy" not in rescue.read_bytes()
    warned = mlplan("plan", folder=tmp_path, environment=given)
    assert "[rescue-waiting]" in warned.stderr
    pushed = mlplan("state", "push", str(rescue), folder=tmp_path, environment=given)
    assert pushed.returncode == 0, pushed.stderr
    assert "Taken in: " in pushed.stderr
    after = mlplan("apply", "-auto-approve", folder=tmp_path, environment=given, timeout=300)
    assert after.returncode == 0, after.stdout + after.stderr
    assert "train v1" not in after.stderr, "its outcome was known, nothing was trained again"


def test_a_state_moves_through_all_stores(services: Services, tmp_path: Path) -> None:
    """local → S3 → PostgreSQL, encrypted → local again: nothing is planned anywhere, and no unnoticed change of place."""
    given = environment(services)
    (tmp_path / "main.mlplan.hcl").write_text('environment "dev" {}\n')
    for words in (
        ("init",),
        ("apply", "-auto-approve"),
        ("workspace", "new", "other"),
        ("workspace", "select", "default"),
    ):
        assert mlplan(*words, folder=tmp_path, environment=given).returncode == 0
    for kind, more in (("s3", ""), ("postgres", ENCRYPTION), ("local", ENCRYPTION)):
        block = backend(kind, services)
        (tmp_path / "main.mlplan.hcl").write_text(f'mlplan {{\n{block}{more}\n}}\nenvironment "dev" {{}}\n')
        refused = mlplan("plan", folder=tmp_path, environment=given)
        assert refused.returncode == 1
        assert "[backend-changed]" in refused.stderr
        if (
            kind == "local"
        ):  # the copy that the first move left there is in plain text: it is neither used nor overwritten
            left = (tmp_path / ".mlplan/state/default/state.json").read_bytes()
            again = mlplan("init", "-migrate-state", folder=tmp_path, environment=given)
            assert again.returncode == 1
            assert "Plain text is forbidden" in again.stderr
            assert (tmp_path / ".mlplan/state/default/state.json").read_bytes() == left
            (tmp_path / ".mlplan/state").rename(tmp_path / "old-state")
        moved = mlplan("init", "-migrate-state", folder=tmp_path, environment=given)
        assert moved.returncode == 0, moved.stderr
        assert "Moved workspace default: 1 records" in moved.stderr
        assert "Moved workspace other: 0 records" in moved.stderr
        assert mlplan("plan", "-detailed-exitcode", folder=tmp_path, environment=given).returncode == 0
    assert b"environment.dev" not in (tmp_path / ".mlplan/state/default/state.json").read_bytes()
    kept = (tmp_path / ".mlplan/backend.json").read_text()
    assert given["PG_URL"] not in kept


def test_a_missing_key_and_a_wrong_key_are_told(services: Services, tmp_path: Path) -> None:
    given = environment(services)
    (tmp_path / "main.mlplan.hcl").write_text(f'mlplan {{\n{ENCRYPTION}\n}}\nenvironment "dev" {{}}\n')
    assert mlplan("init", folder=tmp_path, environment=given).returncode == 0
    assert mlplan("plan", "-out", "p", folder=tmp_path, environment=given).returncode == 0
    assert b"environment" not in (tmp_path / "p").read_bytes()
    missing = mlplan("plan", folder=tmp_path)
    assert "STATE_KEY is not set" in missing.stderr
    wrong = mlplan("plan", folder=tmp_path, environment={"STATE_KEY": "00" * 32})
    assert "encrypted with another key" in wrong.stderr
    for broken in (missing, wrong):
        assert (broken.returncode, "Traceback" in broken.stderr) == (1, False)
    assert mlplan("apply", "p", folder=tmp_path, environment=given).returncode == 0
