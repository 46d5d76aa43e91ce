"""Shell completion: the scripts are there, and commands, options, addresses and workspaces are offered."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.running import mlplan

FILES = """\
data_contract "rows" {
  source  = "*.parquet"
  columns = { x = { type = "float" }, y = { type = "bool", label = true } }
}
model "m" {
  task = "binary_classification"
  train {
    run  = "python train.py"
    code = ["train.py"]
    data = { train = data_contract.rows }
  }
  deploy_to = [environment.dev]
}
environment "dev" {}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project with two workspaces."""
    (tmp_path / "main.mlplan.hcl").write_text(FILES)
    assert mlplan("init", folder=tmp_path).returncode == 0
    assert mlplan("workspace", "new", "staging", folder=tmp_path).returncode == 0
    return tmp_path


def offered(folder: Path, words: str) -> list[str]:
    """Return what bash would offer for the last word."""
    asked = {"_MLPLAN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    return mlplan(folder=folder, environment=asked).stdout.split()


@pytest.mark.e2e
def test_what_is_offered(folder: Path) -> None:
    assert offered(folder, "mlplan pl") == ["plan"]
    assert offered(folder, "mlplan state sh") == ["show"]
    assert "--detailed-exitcode" in offered(folder, "mlplan plan --de")
    assert offered(folder, "mlplan plan --target mod") == ["model.m", 'model.m.deployment["dev"]']
    assert offered(folder, "mlplan promote m@") == ["m@dev"]
    assert offered(folder, "mlplan workspace select st") == ["staging"]
    assert offered(folder, "mlplan plan --workspace de") == ["default"]


@pytest.mark.e2e
def test_broken_files_offer_nothing_and_say_nothing(folder: Path) -> None:
    (folder / "broken.mlplan.hcl").write_text("x = \n")
    asked = {"_MLPLAN_COMPLETE": "complete_bash", "COMP_WORDS": "mlplan plan --target ", "COMP_CWORD": "3"}
    done = mlplan(folder=folder, environment=asked)
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.e2e
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_read_by_their_shell(shell: str, tmp_path: Path) -> None:
    # Otherwise typer looks which shell started it, and here that is none of the three.
    asked = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = mlplan("--show-completion", shell, folder=tmp_path, environment=asked)
    assert "_MLPLAN_COMPLETE" in script.stdout
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell} (apt-get install {shell})")
    read = subprocess.run([program, "-n"], input=script.stdout, text=True, capture_output=True, check=False, timeout=60)
    assert read.returncode == 0, read.stderr
