"""An apply that is cut off while it trains: the job goes on by itself, and the next run takes it up instead of training again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import mlplan, plain_environment
from tests.e2e.test_bad_input import FILES, TRAIN

pytestmark = pytest.mark.e2e

SLOW = """\
import time
from pathlib import Path

with Path("trainings").open("a") as file:
    file.write("x")
while not Path("go-on").exists():
    time.sleep(0.05)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.mlplan.hcl").write_text(FILES)
    (tmp_path / "train.py").write_text(SLOW + TRAIN)
    rows = [f"{i},{i % 10}.0,{str(i % 10 > 4).lower()}" for i in range(60)]
    (tmp_path / "rows.csv").write_text("id,a,y\n" + "\n".join(rows) + "\n")
    assert mlplan("init", folder=tmp_path).returncode == 0
    return tmp_path


@pytest.fixture
def applying(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Return an apply that trains."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mlplan.cli.main", "apply", "-auto-approve"], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=plain_environment() | {"PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (folder / "trainings").exists():
        assert time.monotonic() < deadline, "training did not begin"
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    yield process
    (folder / "go-on").touch()  # whatever happened: the job must not sleep for ever
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_killed(folder: Path, applying: subprocess.Popen[str]) -> None:
    applying.send_signal(signal.SIGKILL)
    applying.wait()
    plan = mlplan("plan", folder=folder)
    assert "train, begun by run" in plan.stdout, plan.stdout
    (folder / "go-on").touch()
    again = mlplan("apply", "-auto-approve", folder=folder, timeout=120)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (folder / "trainings").read_text() == "x"
    assert mlplan("plan", "-detailed-exitcode", folder=folder).returncode == 0


def test_interrupted_once_the_step_ends_and_no_more_begins(folder: Path, applying: subprocess.Popen[str]) -> None:
    applying.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert applying.poll() is None, "a running step is let finish"
    (folder / "go-on").touch()
    said, _ = applying.communicate(timeout=120)
    assert applying.returncode == 1, said
    assert "Interrupted" in said
    assert "seal" in said
    assert "Traceback" not in said
    again = mlplan("apply", "-auto-approve", folder=folder, timeout=120)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (folder / "trainings").read_text() == "x"


def test_interrupted_twice_leaves_at_once(folder: Path, applying: subprocess.Popen[str]) -> None:
    applying.send_signal(signal.SIGINT)
    time.sleep(0.5)
    applying.send_signal(signal.SIGINT)
    said, _ = applying.communicate(timeout=30)
    assert applying.returncode != 0
    assert "Leaving now" in said
    (folder / "go-on").touch()
    again = mlplan("apply", "-auto-approve", folder=folder, timeout=120)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (folder / "trainings").read_text() == "x"


def test_no_longer_wanted_the_job_ends(folder: Path, applying: subprocess.Popen[str]) -> None:
    """Killed, and then the recipe changes: the job of the old recipe is ended, not left to run for nobody."""
    applying.send_signal(signal.SIGKILL)
    applying.wait()
    (folder / "train.py").write_text(TRAIN)
    again = mlplan("apply", "-auto-approve", folder=folder, timeout=120)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "cleaned up" in again.stderr
    assert (folder / "trainings").read_text() == "x"
    left = [p for p in Path("/proc").iterdir() if p.name.isdigit() and _runs_in(p, folder)]
    assert left == []


def _runs_in(process: Path, folder: Path) -> bool:
    try:
        return os.readlink(process / "cwd") == str(folder)
    except OSError:
        return False
