"""The same accidents on Terraform and on mlplan, side by side: ten objects, a kill while the state is written, an emptied state, an
altered value. Objects are files, so that it can be seen what is there and who knows of it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from mlplan.ledger.records import Record
from mlplan.ledger.session import Ledger, open_store
from mlplan.spi.store import StoreDamaged
from mlplan_state.files import Files
from tests.world.ledger_work import HOLDER, broken_promise, local
from tests.world.strace_work import killed_at

OBJECTS = 10
PROJECT = f"""
resource "terraform_data" "thing" {{
  count = {OBJECTS}
  input = "value-${{count.index}}"
  provisioner "local-exec" {{
    command = "touch object-${{count.index}}"
  }}
}}
"""


def compare() -> dict[str, Any]:
    """Return the table and the numbers behind it."""
    if shutil.which("terraform") is None:
        return {"table": ["Terraform is not installed here."]}
    killed, emptied, altered = _killed(), _emptied(), _altered()
    version = subprocess.run(["terraform", "version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    table = [
        f"| accident | {version} | mlplan |",
        "|---|---|---|",
        f"| killed while the state is written | {killed} | {_mlplan_killed()} |",
        f"| the state file is empty | {emptied} | {_mlplan(b'')} |",
        f"| one value in the state file is altered | {altered} | {_mlplan(None)} |",
    ]
    return {"table": table}


def _project(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.tf").write_text(PROJECT)
    _terraform(folder, "init", "-input=false", "-no-color")


def _terraform(folder: Path, *words: str) -> str:
    done = subprocess.run(["terraform", *words], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _killed() -> str:
    """Kill an apply at each write to its state file; say the worst that was seen."""
    worst, seen = "", 0
    for number in range(1, 6):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _project(folder)
            state = folder / "terraform.tfstate"
            state.touch()
            command = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(state), "-e", "trace=write,pwrite64"]
            inject = ["-e", f"inject=write,pwrite64:signal=SIGKILL:when={number}"]
            apply = ["terraform", "apply", "-auto-approve", "-input=false", "-no-color", "-parallelism=2"]
            done = subprocess.run([*command, *inject, *apply], cwd=folder, capture_output=True, check=False)
            if done.returncode == 0:
                break
            seen += 1
            made = len(list(folder.glob("object-*")))
            size = state.stat().st_size
            plan = _terraform(folder, "plan", "-input=false", "-no-color")
            adds = re.search(r"Plan: (\d+) to add", plan)
            known = OBJECTS - int(adds[1]) if adds else OBJECTS
            orphaned = max(0, made - known)
            words = (
                f"{size} bytes left, {orphaned} of {made} objects orphaned, next plan: {adds[0] if adds else 'none'}"
            )
            if "Error" in plan:
                words += ", with an error"
            if not worst or orphaned >= int(re.findall(r"(\d+) of", worst)[0]):
                worst = words
    return f"{worst} (worst of {seen} kills)"


def _applied(folder: Path) -> Path:
    _project(folder)
    _terraform(folder, "apply", "-auto-approve", "-input=false", "-no-color")
    return folder / "terraform.tfstate"


def _emptied() -> str:
    with tempfile.TemporaryDirectory() as name:
        _applied(Path(name)).write_bytes(b"")
        plan = _terraform(Path(name), "plan", "-input=false", "-no-color")
    found = re.search(r"Plan: .*|No changes.*|Error: .*", plan)
    return f"no warning; {found[0]}" if found and "Error" not in found[0] else f"{found[0] if found else plan[:80]}"


def _altered() -> str:
    with tempfile.TemporaryDirectory() as name:
        state = _applied(Path(name))
        document = json.loads(state.read_text())
        document["resources"][0]["instances"][0]["attributes"]["id"] = "somebody-else"
        state.write_text(json.dumps(document))
        plan = _terraform(Path(name), "plan", "-input=false", "-no-color")
    return "not noticed: No changes" if "No changes" in plan else plan[-120:].replace("\n", " ")


def _mlplan(data: bytes | None) -> str:
    with tempfile.TemporaryDirectory() as name:
        store = local(Files(), Path(name))
        ledger = Ledger(store)
        ledger.initialise()
        with ledger.begin("r", HOLDER, "apply") as session:
            for number in range(OBJECTS):
                session.put_record(Record(f"thing.t{number}", "thing", {"value": number}))
            session.end("done")
        path = store.folder / "state.json"
        path.write_bytes(path.read_bytes().replace(b'"value": 3', b'"value": 4') if data is None else data)
        try:
            open_store(store)
        except StoreDamaged:
            return "refused, with the ways to repair it"
        return "not noticed"


def _mlplan_killed() -> str:
    lost = 0
    moments = [("write", 20), ("rename", 3), ("rename", 4), ("fsync", 14), ("fdatasync", 6)]
    for call, number in moments:
        with tempfile.TemporaryDirectory() as name:
            promises, killed = killed_at(Path(name), call, number)
            assert killed
            lost += bool(broken_promise(local(Files(), Path(name)), promises))
    return f"{lost} states lost, {lost} objects orphaned ({len(moments)} kills)"
