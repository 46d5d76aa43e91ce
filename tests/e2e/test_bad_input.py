"""What people get wrong, one case a row: the command says what, where, why and what to do, and nothing is lost."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlplan.cli.main import run

pytestmark = pytest.mark.e2e

FILES = """\
data_contract "rows" {
  owner    = "ada@example.org"
  source   = "rows.csv"
  key      = ["id"]
  min_rows = 20
  columns = {
    id = { type = "int" }
    a  = { type = "float", between = [0, 10] }
    y  = { type = "bool", label = true }
  }
}
model "m" {
  task = "binary_classification"
  train {
    run     = "python train.py"
    code    = ["train.py"]
    data    = { train = data_contract.rows }
    limits  = { time = "30s" }
    secrets = {}
  }
}
"""

TRAIN = """\
import mlplan.job
from sklearn.linear_model import LogisticRegression

job = mlplan.job.load()
frame = job.frame("train")
job.save(LogisticRegression().fit(frame[["a"]], frame["y"]))
"""


@dataclass
class Project:
    """A project in a folder, and what the last command said."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def edit(self, before: str, after: str, file: str = "main.mlplan.hcl") -> None:
        """Change a file; what is to be changed must stand there."""
        path = self.folder / file
        text = path.read_text()
        assert before in text, before
        path.write_text(text.replace(before, after))

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command; return exit code and everything said, as one line."""
        self.capsys.readouterr()
        code = run([words[0], f"-chdir={self.folder}", *words[1:]])
        said = self.capsys.readouterr()
        text = said.out + said.err
        assert "Traceback (most recent call last)" not in text or "train.py" in text, text
        return code, text


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    (tmp_path / "main.mlplan.hcl").write_text(FILES)
    (tmp_path / "train.py").write_text(TRAIN)
    rows = [f"{i},{i % 10}.5,{str(i % 10 > 4).lower()}" if i % 10 < 9 else f"{i},9.0,true" for i in range(60)]
    (tmp_path / "rows.csv").write_text("id,a,y\n" + "\n".join(rows) + "\n")
    made = Project(tmp_path, capsys)
    assert made.run("init")[0] == 0
    return made


def flat(text: str) -> str:
    """Return text on one line: messages are wrapped for the terminal."""
    return re.sub(r"\s+", " ", text)


Edit = Callable[[Project], None]

PLANS: dict[str, tuple[Edit, int, str, tuple[str, ...]]] = {
    "unknown block": (
        lambda p: p.edit('model "m" {', 'modell "m" {'), 1, "unknown-block", ("modell", "model", "main.mlplan.hcl"),
    ),
    "unknown argument": (
        lambda p: p.edit("min_rows = 20", "minrows = 20"), 1, "unknown-argument", ("minrows", "min_rows"),
    ),
    "wrong type": (
        lambda p: p.edit("min_rows = 20", 'min_rows = "many"'), 1, "wrong-type", ("min_rows",),
    ),
    "missing argument": (
        lambda p: p.edit('task = "binary_classification"', ""), 1, "missing-argument", ("task",),
    ),
    "value that is no choice": (
        lambda p: p.edit("binary_classification", "binary"), 1, "", ("binary", "binary_classification"),
    ),
    "unknown reference": (
        lambda p: p.edit("data_contract.rows }", "data_contract.row }"), 1, "", ("data_contract.row", "data_contract.rows"),
    ),
    "missing code file": (
        lambda p: (p.folder / "train.py").unlink(), 1, "code-missing", ("train.py", "model.m"),
    ),
    "missing data file": (
        lambda p: (p.folder / "rows.csv").unlink(), 1, "", ("rows.csv", "data_contract.rows"),
    ),
    "empty data file": (
        lambda p: (p.folder / "rows.csv").write_text(""), 1, "source-empty", ("rows.csv",),
    ),
    "header without rows": (
        lambda p: (p.folder / "rows.csv").write_text("id,a,y\n"), 3, "", ("0", "20"),
    ),
    "a column is missing": (
        lambda p: p.edit("id,a,y", "id,b,y", "rows.csv"), 3, "", ('Column "a" is declared', "ada@example.org"),
    ),
    "values out of range": (
        lambda p: p.edit("\n7,7.5", "\n7,77.5", "rows.csv"), 3, "", ("77.5", "ada@example.org", "id"),
    ),
    "a key stands twice": (
        lambda p: p.edit("\n7,", "\n8,", "rows.csv"), 3, "", ("8", "ada@example.org"),
    ),
    "text that is no number": (
        lambda p: p.edit("\n7,7.5", "\n7,seven", "rows.csv"), 3, "", ("seven",),
    ),
    "not HCL": (
        lambda p: p.edit('model "m" {', 'model "m" {{'), 1, "", ("main.mlplan.hcl",),
    ),
    "unknown metric": (
        lambda p: p.edit(
            '  train {', '  evaluate {\n    data = data_contract.rows\n  }\n  gate "g" {\n    metric = "auc_roc"\n    at_least = 0.5\n  }\n  train {'
        ), 1, "unknown-metric", ("auc_roc", "roc_auc"),
    ),
    "a gate without a limit": (
        lambda p: p.edit(
            '  train {', '  evaluate {\n    data = data_contract.rows\n  }\n  gate "g" {\n    metric = "roc_auc"\n  }\n  train {'
        ), 1, "invalid-gate", ("at_least",),
    ),
    "steps that do not end at 100": (
        lambda p: p.edit('model "m" {', 'environment "e" {\n  rollout "canary" {\n    steps = [50, 20]\n  }\n}\nmodel "m" {'),
        1, "invalid-rollout", ("steps",),
    ),
    "code outside of the project": (
        lambda p: p.edit('code    = ["train.py"]', 'code    = ["../secret.py"]'), 1, "code-outside", ("../secret.py",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_plan_says_what_is_wrong(name: str, project: Project) -> None:
    edit, code, diagnostic, words = PLANS[name]
    edit(project)
    seen, text = project.run("plan")
    assert seen == code, text
    if diagnostic:
        assert f"[{diagnostic}]" in text, text
    for word in words:
        assert word in flat(text), (word, text)
    assert not (project.folder / ".mlplan" / "jobs").exists() or not any(
        (project.folder / ".mlplan" / "jobs").iterdir()
    )


def test_contract_broken_later_keeps_what_there_was(project: Project) -> None:
    """A good snapshot is pinned; bad data comes: refused once with exit 3, held afterwards, good data is taken again."""
    assert project.run("check", "-target=data_contract.rows")[0] == 0
    good = (project.folder / "rows.csv").read_text()
    project.edit("\n7,7.5", "\n7,77.5", "rows.csv")
    code, text = project.run("check", "-target=data_contract.rows")
    assert code == 3, text
    code, text = project.run("plan", "-target=data_contract.rows")
    assert code == 0
    assert "held" in text
    (project.folder / "rows.csv").write_text(good)
    code, text = project.run("plan", "-target=data_contract.rows")
    assert code == 0
    assert "held" not in text


TRAININGS: dict[str, tuple[str, Edit, int, str, tuple[str, ...]]] = {
    "fails": (
        'raise SystemExit("no disk left")', lambda p: None, 1, "training-failed", ("no disk left", "exit code 1", "log"),
    ),
    "falls over": (
        'print("reading")\n1 / 0', lambda p: None, 1, "training-failed", ("ZeroDivisionError", "model.m"),
    ),
    "hangs": (
        "import time\nprint('waiting', flush=True)\ntime.sleep(600)", lambda p: p.edit('"30s"', '"1s"'), 1, "training-failed",
        ("after 1 s, the limit", "waiting"),
    ),
    "saves no model": (
        'print("done")', lambda p: None, 1, "", ("model.m", "save(model)"),
    ),
    "saves something else": (
        "import mlplan.job\njob = mlplan.job.load()\njob.save({'a': 1})", lambda p: None, 1, "training-failed", ("model",),
    ),
    "leaves a file that is no model": (
        "import os\nopen(os.environ['MLPLAN_OUTPUT'] + '/model.skops', 'w').write('x')", lambda p: None, 1, "", ("model.skops",),
    ),
    "is not there": (
        "", lambda p: p.edit("python train.py", "no-such-program train.py"), 1, "training-failed", ("no-such-program",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAININGS)
def test_training_that_goes_wrong(name: str, project: Project) -> None:
    script, edit, code, diagnostic, words = TRAININGS[name]
    (project.folder / "train.py").write_text(script + "\n")
    edit(project)
    seen, text = project.run("apply", "-auto-approve")
    assert seen == code, text
    if diagnostic:
        assert f"[{diagnostic}]" in text, text
    for word in words:
        assert word in flat(text), (word, text)
    assert project.run("plan")[0] == 0


def test_mended_training_goes_on(project: Project) -> None:
    (project.folder / "train.py").write_text("raise SystemExit(3)\n")
    assert project.run("apply", "-auto-approve")[0] == 1
    (project.folder / "train.py").write_text(TRAIN)
    code, text = project.run("apply", "-auto-approve")
    assert code == 0, text
    assert project.run("plan", "-detailed-exitcode")[0] == 0


def test_secrets_are_masked_everywhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Printed whole, in pieces and encoded as a URL would: it stands in no output and in no file of the project."""
    monkeypatch.setenv("TOKEN_FOR_TEST", "s3cr3t/of ada+1")
    project.edit("secrets = {}", 'secrets = { TOKEN = "env:TOKEN_FOR_TEST" }')
    (project.folder / "train.py").write_text(
        "import os, sys, time\ntoken = os.environ['TOKEN']\nprint('it is', token, flush=True)\n"
        "sys.stdout.write(token[:5])\nsys.stdout.flush()\ntime.sleep(0.2)\nprint(token[5:], flush=True)\n"
        "raise RuntimeError(token)\n"
    )
    code, text = project.run("apply", "-auto-approve", "-json")
    assert code == 1, text
    assert "it is" in text
    found = [str(p) for p in project.folder.rglob("*") if p.is_file() and b"s3cr3t/of ada+1" in p.read_bytes()]
    assert found == []
    assert "s3cr3t" not in text


def test_secret_that_is_not_there(project: Project) -> None:
    project.edit("secrets = {}", 'secrets = { TOKEN = "env:NOT_THERE_AT_ALL" }')
    code, text = project.run("apply", "-auto-approve")
    assert code == 1
    assert "[secret-missing]" in text
    assert "TOKEN" in text


@pytest.mark.envoy
def test_port_of_somebody_else(project: Project) -> None:
    """The endpoint's port is taken: said with who has it; free again, the same apply goes through."""
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        project.edit('model "m" {', f'environment "e" {{\n  port = {port}\n}}\nmodel "m" {{')
        project.edit("  train {", "  deploy_to = [environment.e]\n  train {")
        code, text = project.run("apply", "-auto-approve")
        assert code == 1, text
        assert str(port) in text
        assert f"pid {os.getpid()}" in text
        assert Path(sys.executable).name[:6] in text
    try:
        code, text = project.run("apply", "-auto-approve")
        assert code == 0, text
    finally:
        assert project.run("destroy", "-auto-approve")[0] == 0
