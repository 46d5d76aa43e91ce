"""`mlplan console` as a user and as a script runs it, compared with `terraform console` where that is installed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.running import mlplan, plain_environment

PIPED = [
    "1 + 2\n",
    "1 +\n2\n",
    "foo\n1\n",
    "exit\n1\n",
    "\n\n1\n",
    '"unclosed\n',
    ")\n1\n",
    "# a comment\n1\n",
    "1 2\n",
    "1 // with a comment\n",
    "type([1, \"a\"])\n",
    "sensitive(1)\n",
    "{ b = [1, null], a = { c = true } }\n",
    '"a\\nb"\n',
    "toset([\"b\", \"a\"])\n",
    "upper()\n",
    "var\n",
    "var.missing\n",
    "local.missing\n",
]  # fmt: skip


@pytest.mark.e2e
@pytest.mark.parametrize("text", PIPED)
def test_piped_input_is_answered_as_terraform_answers_it(text: str, tmp_path: Path) -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("needs the terraform 1.11 binary on PATH")
    theirs = subprocess.run(
        [terraform, "console", "-no-color"], input=text, text=True, capture_output=True, cwd=tmp_path, check=False, timeout=60,
        env={**plain_environment(), "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull},
    )  # fmt: skip
    ours = mlplan("console", folder=tmp_path, given=text)
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    assert bool(ours.stderr) == (ours.returncode != 0)


@pytest.mark.e2e
def test_every_line_is_answered_and_brackets_may_stay_open(tmp_path: Path) -> None:
    done = mlplan("console", "-var", "size=3", folder=tmp_path, given="var.size * 2\n[\n1,\n]\n<<EOT\nhi\nEOT\nlast\n")
    assert done.stdout == "6\n[\n  1,\n]\n<<EOT\nhi\n\nEOT\n"
    assert done.returncode == 1
    assert "last" in done.stderr


@pytest.mark.e2e
def test_files_variables_and_missing_state(tmp_path: Path) -> None:
    (tmp_path / "main.mlplan.hcl").write_text(
        'variable "region" {\n  type    = string\n  default = "eu"\n}\n'
        'variable "token" {\n  default   = "t0p"\n  sensitive = true\n}\n'
        "locals {\n  name = upper(var.region)\n}\n"
        'environment "dev" {\n}\n'
    )
    done = mlplan(
        "console",
        folder=tmp_path,
        given='local.name\nvar.token\nenvironment.dev.ready\nfile("main.mlplan.hcl") != ""\n',
    )
    assert done.stdout == '"EU"\n(sensitive value)\n(known after apply)\ntrue\n'
    assert done.returncode == 0
    other = mlplan("console", "-var", "region=us", "-no-color", folder=tmp_path, given="local.name\n")
    assert other.stdout == '"US"\n'
    undeclared = mlplan("console", "-var", "regoin=us", folder=tmp_path, given="local.name\n")
    assert undeclared.returncode == 1
    assert 'Did you mean "region"?' in undeclared.stderr
    assert not (tmp_path / ".mlplan").exists(), "console must not write into the project"


@pytest.mark.e2e
def test_a_terminal_gets_a_prompt_and_goes_on_after_errors(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlplan.cli.main", "console"], stdin=follower, stdout=follower, stderr=follower,
        cwd=tmp_path, env={**plain_environment(), "TERM": "dumb", "XDG_STATE_HOME": str(tmp_path / "state")},
    )  # fmt: skip
    os.close(follower)
    try:
        shown = _until(leader, "> ")
        for typed, prompt in (("nonsense\n", "> "), ("[1,\n", ": "), ("2]\n", "> "), ("exit\n", None)):
            os.write(leader, typed.encode())
            shown += _until(leader, prompt)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert 'There is nothing named "nonsense" here.' in shown
    assert "  1,\r\n  2,\r\n]" in shown
    assert "nonsense" in (tmp_path / "state" / "mlplan" / "console_history").read_text()


def _until(leader: int, prompt: str | None) -> str:
    """Return what the terminal shows up to a prompt at the end, or up to the end of the program."""
    shown, deadline = "", time.monotonic() + 30
    while time.monotonic() < deadline:
        if not select.select([leader], [], [], 0.5)[0]:
            continue
        try:
            shown += os.read(leader, 4096).decode()
        except OSError:
            return shown
        if prompt is not None and shown.endswith("\n" + prompt):
            return shown
    raise AssertionError(f"no prompt in 30 seconds; shown was {shown!r}")
