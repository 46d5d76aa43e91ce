"""A rename never retrains: contract, model, environment and deployment get other names inside a module, and the servers go on."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

from tests.e2e.running import mlplan
from tests.world.small_project import write_project

MOVES = {
    "data_contract.rows": "module.core.data_contract.table",
    "model.toy": 'module.core.model.fast["a"]',
    "environment.dev": "module.core.environment.live",
}
MODULE = """
module "core" {
  source = "./core"
}
output "url" {
  value = module.core.url
}
"""


def serve(main: Path) -> None:
    text = main.read_text().replace("  task =", "  deploy_to = [environment.dev]\n  task =")
    text += 'environment "dev" {}\noutput "url" {\n  value = model.toy.deployment["dev"].url\n}\n'
    main.write_text(text)


def rename(folder: Path) -> None:
    """Put everything into a module, under other names."""
    main = folder / "main.mlplan.hcl"
    text = main.read_text().partition('variable "note"')[2].partition("}")[2].partition('output "toy"')[0]
    for before, after in (("rows", "table"), ("toy", "fast"), ("dev", "live")):
        text = re.sub(rf'(?<=[."]){before}\b(?!\.csv)', after, text)
    text = text.replace('model "fast" {', 'model "fast" {\n  for_each = toset(["a"])')
    text += 'environment "live" {}\noutput "url" {\n  value = model.fast["a"].deployment["live"].url\n}\n'
    (folder / "core").mkdir()
    (folder / "core" / "core.mlplan.hcl").write_text(text)
    moved = "".join(f"moved {{\n  from = {old}\n  to   = {new}\n}}\n" for old, new in MOVES.items())
    main.write_text(MODULE + moved)


def test_a_rename_never_retrains(tmp_path: Path) -> None:
    main = write_project(tmp_path) / "main.mlplan.hcl"
    serve(main)
    assert mlplan("init", folder=tmp_path).returncode == 0
    made = mlplan("apply", "-auto-approve", folder=tmp_path, timeout=300)
    try:
        assert made.returncode == 0, made.stderr
        url = mlplan("output", "-raw", "url", folder=tmp_path).stdout.strip()
        jobs = {p.name for p in (tmp_path / ".mlplan" / "jobs").iterdir()}
        rename(tmp_path)

        shown = mlplan("plan", "-json", folder=tmp_path)
        plan = json.loads(shown.stdout)
        assert not plan["steps"], shown.stdout
        assert {c["address"]: c.get("previous_address") for c in plan["resource_changes"]} == {
            **{new: old for old, new in MOVES.items()},
            'module.core.model.fast["a"].deployment["live"]': 'model.toy.deployment["dev"]',
        }
        moved = mlplan("apply", "-auto-approve", folder=tmp_path, timeout=120)
        assert moved.returncode == 0, moved.stderr
        assert mlplan("plan", "-detailed-exitcode", folder=tmp_path).returncode == 0
        assert {p.name for p in (tmp_path / ".mlplan" / "jobs").iterdir()} == jobs
        assert mlplan("output", "-raw", "url", folder=tmp_path).stdout.strip() == url
        with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=10) as answer:
            assert answer.status == 200
        lock = (tmp_path / "mlplan.lock.hcl").read_text()
        assert "module.core.data_contract.table" in lock
        assert '"data_contract.rows"' not in lock
    finally:
        gone = mlplan("destroy", "-auto-approve", folder=tmp_path, timeout=120)
    assert gone.returncode == 0, gone.stderr
    assert not list((tmp_path / ".mlplan" / "local").glob("*/*"))
