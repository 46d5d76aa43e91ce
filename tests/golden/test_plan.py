"""Whole outputs of a plan, made from files, state and world: text wide, narrow and in ASCII, JSON, Markdown.

A case is a folder in tests/golden/plan: `main.mlplan.hcl`; `before.mlplan.hcl`, applied first, makes the state; `world.json` says what
has happened to the world since, and the options. Or `made.json`, a plan as a saved plan holds it. MLPLAN_ACCEPT=1 rewrites.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from mlplan.engine.planfile import _marked
from mlplan.engine.types import Plan
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.records import Operation
from mlplan.report.markdown import MOST, plan_markdown
from mlplan.report.plan_json import plan_json
from mlplan.report.plan_text import plan_text
from mlplan.report.style import Style
from tests.world.bench import HOLDER, Bench

CASES = Path(__file__).parent / "plan"
SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "plan.schema.json"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


def made(case: Path, root: Path) -> Plan:
    """Return the plan of a case."""
    if (case / "made.json").exists():
        from pydantic import TypeAdapter

        return TypeAdapter(Plan).validate_python(_marked(orjson.loads((case / "made.json").read_bytes())))
    bench = Bench(root)
    world: dict[str, Any] = json.loads((case / "world.json").read_text()) if (case / "world.json").exists() else {}
    if (case / "before.mlplan.hcl").exists():
        bench.write((case / "before.mlplan.hcl").read_text())
        assert bench.apply().exit_code == 0
    for address in world.get("gone", ()):
        bench.toys.remove(bench.state.records[address].token)
    bench.toys.surprises = {address: tuple(texts) for address, texts in world.get("surprises", {}).items()}
    bench.toys.measured = {
        address: tuple(_evidence(address, facts) for facts in found)
        for address, found in world.get("measured", {}).items()
    }
    bench.toys.down = set(world.get("down", ()))
    if "pending" in world:
        session = bench.ledger.begin("9f3c", HOLDER, "apply")
        for address in world["pending"]:
            session.intent(Operation(address, f"{address}#make", "make", "thing", "token"))
        session.close()
    bench.write((case / "main.mlplan.hcl").read_text())
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in world.get("options", {}).items()}
    return bench.plan(**options)


def _evidence(subject: str, facts: dict[str, Any]) -> Evidence:
    interval = facts.pop("interval", None)
    verdict = Verdict(facts.pop("verdict"))
    return Evidence(subject, facts.pop("question"), verdict, interval=tuple(interval) if interval else None, **facts)


def outputs(plan: Plan) -> dict[str, str]:
    """Return every output of a plan by file name, without what differs from run to run."""
    plan = replace(plan, id="0" * 32)
    document = plan_json(plan, {})
    document["mlplan_version"] = document["prior_state"]["mlplan_version"] = "0"
    texts = {
        "wide.txt": plan_text(plan, Style(width=140)),
        "narrow.txt": plan_text(plan, Style(width=50)),
        "ascii.txt": plan_text(plan, Style(width=80, ascii=True)),
        "compact.txt": plan_text(plan, Style(width=100), compact=True),
        "plan.json": orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n",
        "comment.md": plan_markdown(plan, "flights", "mlplan apply plan.mlplan"),
    }
    return {name: re.sub(r"sha256:[0-9a-f]{64}", "sha256:0", text) for name, text in texts.items()}


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_as_recorded(name: str, tmp_path: Path) -> None:
    found = outputs(made(CASES / name, tmp_path))
    for file, text in found.items():
        path = CASES / name / file
        if os.environ.get("MLPLAN_ACCEPT") == "1":
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text, f"{path} differs; MLPLAN_ACCEPT=1 rewrites it"


@pytest.mark.parametrize("name", NAMES)
def test_outputs_keep_their_promises(name: str, tmp_path: Path) -> None:
    import jsonschema

    plan = made(CASES / name, tmp_path)
    found = outputs(plan)
    jsonschema.validate(json.loads(found["plan.json"]), json.loads(SCHEMA.read_text()))
    assert found["ascii.txt"].isascii()
    assert len(found["comment.md"]) <= MOST
    for file in ("wide.txt", "narrow.txt", "ascii.txt", "compact.txt", "comment.md"):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028]", found[file]), file
        assert "never shown" not in found[file]
    assert "never shown" not in found["plan.json"]
    for file, width in (("narrow.txt", 50), ("ascii.txt", 82), ("wide.txt", 140)):
        long = [line for line in found[file].splitlines() if len(line) > width and " " in line.strip()]
        assert not [line for line in long if not re.match(r"Plan:|No changes|\s*[-+~!>x/]+ (thing|model)", line)], file
    coloured = plan_text(plan, Style(colour=True, width=140))
    assert re.sub(r"sha256:[0-9a-f]{64}", "sha256:0", re.sub(r"\x1b\[[0-9;]*m", "", coloured)) == found["wide.txt"]
