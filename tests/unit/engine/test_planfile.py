"""Saved plans: the same after reading, signed, used once, refused when anything moved, and without secrets."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import orjson
import pytest

from mlplan.engine.plan import state_digest
from mlplan.engine.planfile import KEY_VARIABLE, Present, check_fresh, plan_document, project_key, read_plan, write_plan
from mlplan.engine.types import Given, Plan
from mlplan.lang.diagnostic import DiagnosticError
from tests.world.bench import HOLDER, Bench

FILES = 'thing "a" {\n  secret = "hush-hush-hush"\n}\nthing "b" {\n  text = thing.a.identity\n}\n'
KEY = b"k" * 32


@pytest.fixture
def saved(bench: Bench, tmp_path: Path) -> tuple[Bench, Plan, Path]:
    bench.write(FILES)
    plan = bench.plan()
    path = tmp_path / "plan.mlplan"
    write_plan(plan, path, KEY)
    return bench, plan, path


def code(error: pytest.ExceptionInfo[DiagnosticError]) -> str:
    return error.value.diagnostics[0].code


def present(bench: Bench, plan: Plan, **changes: object) -> Present:
    state = bench.state
    found = Present(state, state_digest(state), plan.config, plan.pins, plan.workspace, dict(plan.given.programs))
    return dataclasses.replace(found, **changes)


def test_what_is_read_is_what_was_written(saved: tuple[Bench, Plan, Path]) -> None:
    _, plan, path = saved
    assert plan_document(read_plan(path, KEY)) == plan_document(plan)
    assert [s.needs for s in read_plan(path, KEY).steps] == [s.needs for s in plan.steps]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_plan_read_back_can_be_applied(saved: tuple[Bench, Plan, Path]) -> None:
    bench, _, path = saved
    assert bench.apply(read_plan(path, KEY)).exit_code == 0
    assert bench.plan().is_empty


def test_no_secret_is_in_the_file(saved: tuple[Bench, Plan, Path]) -> None:
    _, _, path = saved
    assert b"hush" not in path.read_bytes()


@pytest.mark.parametrize("what", ["step", "cut", "letter", "signature", "no signature"])
def test_a_changed_file_is_refused(saved: tuple[Bench, Plan, Path], what: str) -> None:
    _, _, path = saved
    data = path.read_bytes()
    document = json.loads(data)
    if what == "step":
        document["plan"] = document["plan"].replace("make thing.a", "make thing.z")
        path.write_bytes(orjson.dumps(document))
    elif what == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif what == "letter":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    elif what == "signature":
        document["signature"] = "0" * 64
        path.write_bytes(orjson.dumps(document))
    else:
        del document["signature"]
        path.write_bytes(orjson.dumps(document))
    with pytest.raises(DiagnosticError) as error:
        read_plan(path, KEY)
    assert code(error) == "plan-tampered"


def test_another_projects_plan_is_told_from_a_changed_one(saved: tuple[Bench, Plan, Path]) -> None:
    _, _, path = saved
    with pytest.raises(DiagnosticError) as error:
        read_plan(path, b"x" * 32)
    assert code(error) == "plan-foreign"


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04", b'{"mlplan_plan": 99}', b"[1]", b"\xff\xfe"])
def test_what_is_no_plan_file_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DiagnosticError) as error:
        read_plan(path, KEY)
    assert code(error) == "plan-unreadable"
    with pytest.raises(DiagnosticError) as error:
        read_plan(tmp_path / "nothing", KEY)
    assert code(error) == "plan-unreadable"


def test_a_fresh_plan_passes_and_a_used_one_does_not(saved: tuple[Bench, Plan, Path]) -> None:
    bench, plan, _ = saved
    check_fresh(plan, present(bench, plan))
    with bench.ledger.begin("r", HOLDER, "apply") as session:
        session.plan_used(plan.id)
        session.end("done")
    with pytest.raises(DiagnosticError, match="used once"):
        check_fresh(plan, present(bench, plan))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": "other"}, "files or variables changed"),
        ({"pins": "other"}, "lock file changed"),
        ({"workspace": "eu"}, 'workspace "default", this is "eu"'),
        ({"programs": {"mlplan": "9"}}, "mlplan was 1 and is 9"),
    ],
)
def test_a_stale_plan_says_what_moved(saved: tuple[Bench, Plan, Path], changes: dict[str, object], words: str) -> None:
    bench, plan, _ = saved
    plan = dataclasses.replace(plan, given=Given(programs={"mlplan": "1"}))
    with pytest.raises(DiagnosticError, match=words) as error:
        check_fresh(plan, present(bench, plan, **changes))
    assert code(error) == "plan-stale"


def test_another_state_and_a_changed_state_are_refused(saved: tuple[Bench, Plan, Path]) -> None:
    bench, plan, _ = saved
    other = dataclasses.replace(bench.state, lineage="another-lineage")
    with pytest.raises(DiagnosticError, match="another state"):
        check_fresh(plan, present(bench, plan, state=other))
    bench.apply()
    with pytest.raises(DiagnosticError, match="then serial 0, now 1"):
        check_fresh(plan, present(bench, plan))


def test_withheld_variables_are_named(saved: tuple[Bench, Plan, Path]) -> None:
    bench, plan, _ = saved
    plan = dataclasses.replace(plan, given=Given(withheld=("token",)))
    with pytest.raises(DiagnosticError, match="--var token="):
        check_fresh(plan, present(bench, plan, config="other"))


def test_the_key_is_made_once_kept_for_its_owner_and_may_be_given(tmp_path: Path) -> None:
    key = project_key(tmp_path / "p")
    assert project_key(tmp_path / "p") == key
    assert (tmp_path / "p" / "key").stat().st_mode & 0o777 == 0o600
    assert project_key(tmp_path / "p", {KEY_VARIABLE: "ab" * 32}) == b"\xab" * 32
    for wrong in ("", "xyz", "ab"):
        with pytest.raises(DiagnosticError) as error:
            project_key(tmp_path / "p", {KEY_VARIABLE: wrong})
        assert code(error) == "plan-key-damaged"


def test_a_folder_that_cannot_be_written_is_a_message(bench: Bench, tmp_path: Path) -> None:
    bench.write(FILES)
    with pytest.raises(DiagnosticError) as error:
        write_plan(bench.plan(), tmp_path / "none" / "plan", KEY)
    assert code(error) == "plan-unwritable"
