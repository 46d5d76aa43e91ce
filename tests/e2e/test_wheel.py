"""The built wheel in a fresh virtual environment: what users install, not the checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("providers", "state")

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return next(folder.glob("mlplan-*.whl"))


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `mlplan` of a fresh environment. Its dependencies are those of this one: only mlplan is installed anew."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    bin_folder = folder / "bin"
    pip = [str(bin_folder / "python"), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    installed = subprocess.run(pip, capture_output=True, text=True, timeout=180, check=False)
    assert installed.returncode == 0, installed.stderr
    site = next(folder.glob("lib/python*/site-packages"))
    # A path in a .pth file is not searched for further .pth files, so the editable checkout stays out of it.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return bin_folder / "mlplan"


def run(command: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder, away from the checkout."""
    return subprocess.run(
        [str(command), *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"},
    )  # fmt: skip


def test_packages_name_every_plug_in_folder() -> None:
    declared = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    )
    found = {f"{room}/{path.name}" for room in ROOMS for path in (ROOT / room).iterdir() if any(path.glob("*.py"))}
    assert declared == {"mlplan", *found}
    assert not [room for room in (*ROOMS, "tests", "examples") if (ROOT / room / "__init__.py").exists()]


def test_wheel_holds_code_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mlplan", "mlplan_local", "mlplan_state"}
    assert not [name for name in names if name.endswith((".pyc", ".hcl", ".jsonl"))]


def test_installed_command_says_its_version(command: Path, tmp_path: Path) -> None:
    done = run(command, tmp_path, "version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mlplan ")


def test_installed_command_makes_plans_and_applies(command: Path, tmp_path: Path) -> None:
    (tmp_path / "main.mlplan.hcl").write_text(
        'environment "dev" {\n  provider = local\n}\noutput "stage" {\n  value = "dev"\n}\n'
    )
    assert run(command, tmp_path, "init").returncode == 0
    planned = run(command, tmp_path, "plan", "--detailed-exitcode")
    assert planned.returncode == 2, planned.stderr
    assert "environment.dev" in planned.stdout
    applied = run(command, tmp_path, "apply", "--auto-approve")
    assert applied.returncode == 0, applied.stderr
    again = run(command, tmp_path, "plan", "--detailed-exitcode")
    assert again.returncode == 0, again.stdout
    assert run(command, tmp_path, "output", "--raw", "stage").stdout.strip() == "dev"
    assert run(command, tmp_path, "destroy", "--auto-approve").returncode == 0
