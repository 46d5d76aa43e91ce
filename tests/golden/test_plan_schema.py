"""The published schema of plan JSON: what 1.0 promised stays true in every later 1.x."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlplan.report.plan_json import FORMAT_VERSION

HERE = Path(__file__).parent
NOW: dict[str, Any] = json.loads((HERE.parents[1] / "docs" / "reference" / "plan.schema.json").read_text())
RELEASED = sorted((HERE / "plan_schema").glob("*.json"))


def broken(old: Any, new: Any, path: str = "$") -> list[str]:
    """Return where a newer schema promises less than an older one: a field gone, no longer required, or of another type."""
    if not isinstance(old, dict):
        return [] if old == new else [f"{path}: {old!r} became {new!r}"]
    if not isinstance(new, dict):
        return [f"{path}: gone"]
    found = []
    for key in ("type", "const", "pattern", "$ref"):
        if old.get(key) != new.get(key):
            found.append(f"{path}.{key}: {old.get(key)!r} became {new.get(key)!r}")
    found += [
        f"{path}: {name} is not required any more"
        for name in set(old.get("required", ())) - set(new.get("required", ()))
    ]
    if not set(new.get("enum", ())) >= set(old.get("enum", ())):
        found.append(f"{path}: words are gone: {set(old['enum']) - set(new.get('enum', ()))}")
    for part in ("properties", "$defs"):
        for name, inner in old.get(part, {}).items():
            found += broken(inner, new.get(part, {}).get(name), f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(old.get(part), dict):
            found += broken(old[part], new.get(part), f"{path}.{part}")
    return found


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_what_was_promised_is_kept(path: Path) -> None:
    assert broken(json.loads(path.read_text()), NOW) == []


def test_the_test_finds_a_broken_promise() -> None:
    for change in (
        {"properties": {}},
        {"required": []},
        {"properties": {**NOW["properties"], "steps": {"type": "object"}}},
    ):
        assert broken(NOW, {**NOW, **change})


def test_the_schema_is_a_schema_and_the_version_is_released() -> None:
    jsonschema.Draft202012Validator.check_schema(NOW)
    assert FORMAT_VERSION in {path.stem for path in RELEASED}


@pytest.mark.parametrize("change", [{"format_version": "2.0"}, {"resource_changes": None}, {"steps": [{}]}])
def test_the_schema_refuses_what_is_wrong(change: dict[str, Any]) -> None:
    document = json.loads((HERE / "plan" / "create-everything" / "plan.json").read_text())
    jsonschema.validate(document, NOW)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, **change}, NOW)
