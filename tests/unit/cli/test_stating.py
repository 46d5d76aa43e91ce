"""Commands around the state, as a user runs them, in a project folder with a state that two runs have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlplan.cli.main import run
from mlplan.ledger import codec
from mlplan.ledger.records import Operation, Record
from mlplan.ledger.session import Ledger
from mlplan.spi.store import Holder, LockHeld
from mlplan_state.local import LocalStore

HOLDER = Holder("ada", "box", 4711, 1_790_000_000.0, "apply", "r-held")
MODEL, DEPLOYMENT = "model.tiny", 'model.tiny.deployment["prod"]'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.mlplan.hcl").write_text('environment "prod" {}\n')
    ledger = Ledger(LocalStore({}, tmp_path, "default"), clock=lambda: 1_790_000_000.0)
    ledger.initialise("lineage")
    for version in (1, 2):
        with ledger.begin(f"run{version}", HOLDER, "apply") as session:
            session.put_record(Record(MODEL, "model", {"version": version}))
            session.put_record(Record(DEPLOYMENT, "deployment", {"version": f"v{version}"}, dependencies=(MODEL,)))
            session.decision(MODEL, "override", "we checked by hand", "bob")
            session.outputs({"v": version})
            session.end("done")
    return tmp_path


@pytest.fixture
def store(folder: Path) -> LocalStore:
    return LocalStore({}, folder, "default")


Say = Callable[..., str]


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Say:
    """Run a command; return what it printed on both streams, after checking its exit code."""

    def command(*words: str, code: int = 0) -> str:
        capfd.readouterr()
        found = run(words)
        out, err = capfd.readouterr()
        assert found == code, out + err
        assert "Traceback" not in out + err
        return out + err

    return command


def state_of(store: LocalStore) -> object:
    return Ledger(store).open_read()


def test_list_and_show(say: Say, folder: Path) -> None:
    assert say("state", "list") == f"{MODEL}\n{DEPLOYMENT}\n"
    assert say("state", "list", DEPLOYMENT) == f"{DEPLOYMENT}\n"
    assert json.loads(say("state", "list", "--json"))[0] == {"address": MODEL, "kind": "model", "status": "ready"}
    assert "v2" in say("state", "show", "tiny@prod")
    assert json.loads(say("state", "show", MODEL, "--json"))["attributes"] == {"version": 2}
    assert "unknown-address" in say("state", "show", "model.tinny", code=1)


def test_mv_takes_what_is_below_along(say: Say, store: LocalStore) -> None:
    shown = say("state", "mv", MODEL, "model.small", "--dry-run")
    assert f'{DEPLOYMENT} -> model.small.deployment["prod"]' in shown
    assert set(Ledger(store).open_read().records) == {MODEL, DEPLOYMENT}
    say("state", "mv", MODEL, "model.small")
    state = Ledger(store).open_read()
    assert set(state.records) == {"model.small", 'model.small.deployment["prod"]'}
    assert state.records['model.small.deployment["prod"]'].dependencies == ("model.small",)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        (MODEL, "monitor.tiny", "keeps its kind"),
        (MODEL, "tiny", "is no address"),
        (MODEL, "model.tiny; rm -rf /", "is no address"),
        ("model.none", "model.other", "not in the state"),
        (DEPLOYMENT, MODEL, "in the state already"),
    ],
)
def test_mv_refuses_what_makes_no_sense(say: Say, store: LocalStore, source: str, target: str, why: str) -> None:
    before = state_of(store)
    assert why in " ".join(say("state", "mv", source, target, code=1).split())
    assert state_of(store) == before


def test_mv_waits_for_an_unfinished_step(say: Say, store: LocalStore) -> None:
    session = Ledger(store).begin("dead", HOLDER, "apply")
    session.intent(Operation(MODEL, "model.tiny#train", "train", "model", "t"))
    session.close()
    assert "unfinished step" in say("state", "mv", MODEL, "model.small", code=1)


def test_rm_asks_and_forgets(say: Say, store: LocalStore) -> None:
    assert "not-confirmed" in say("state", "rm", MODEL, code=1)
    assert say("state", "rm", DEPLOYMENT, "--dry-run") == f"{DEPLOYMENT}\nWould forget 1.\n"
    assert len(Ledger(store).open_read().records) == 2
    say("state", "rm", MODEL, "-y")
    assert Ledger(store).open_read().records == {}
    assert "model.tiny  forget" in say("history")


def test_pull_and_push_back_unchanged_and_edited(say: Say, store: LocalStore, folder: Path) -> None:
    say("state", "pull", "--out", "pulled.json")
    assert oct((folder / "pulled.json").stat().st_mode)[-3:] == "600"
    assert codec.decode((folder / "pulled.json").read_bytes()).state == state_of(store)
    assert "serial 3" in say("state", "push", "pulled.json")
    assert "older than the state" in say("state", "push", "pulled.json", code=6)
    document = (folder / "pulled.json").read_bytes().replace(b'"version": 2', b'"version": 7')
    (folder / "edited.json").write_bytes(document)
    assert "checksum" in say("state", "push", "edited.json", code=1)
    assert "not-confirmed" in say("state", "push", "edited.json", "--force", code=1)
    say("state", "push", "edited.json", "--force", "-y")
    state = Ledger(store).open_read()
    assert (state.serial, state.records[MODEL].attributes["version"]) == (4, 7)
    assert "The audit log is whole" in say("history", "--all")


def test_pull_of_an_unfinished_run_can_be_pushed_back(say: Say, store: LocalStore, folder: Path) -> None:
    session = Ledger(store).begin("dead", HOLDER, "apply")
    session.put_record(Record("monitor.m", "monitor", {}))
    session.close()
    say("state", "pull", "--out", "pulled.json")
    say("state", "push", "pulled.json")
    state = Ledger(store).open_read()
    assert set(state.records) == {MODEL, DEPLOYMENT, "monitor.m"}
    assert state.unswept == ("dead",)


def test_push_refuses_another_state_and_rubbish(say: Say, store: LocalStore, folder: Path) -> None:
    other = replace(Ledger(store).open_read(), lineage="other", serial=9)
    (folder / "other.json").write_bytes(codec.encode(other))
    assert "belongs to another state" in say("state", "push", "other.json", code=6)
    (folder / "rubbish.json").write_bytes(b"{")
    assert "no JSON" in say("state", "push", "rubbish.json", code=1)
    assert "cannot be read" in say("state", "push", "absent.json", code=1)
    assert "no JSON" in say("state", "push", "rubbish.json", "--force", "-y", code=1)


def test_history_of_snapshots_pin_diff_and_rollback(say: Say, store: LocalStore) -> None:
    lines = say("state", "history").splitlines()
    assert [line.split()[0] for line in lines] == ["2", "1", "0"]
    assert "kept for ever" in say("state", "history", "--pin", "1")
    assert "(pinned)" in say("state", "history").splitlines()[1]
    assert "1 -> 2" in say("state", "diff")
    assert "~ output.v" in say("state", "diff", "1", "2")
    assert say("state", "diff", "2", "2") == "No differences.\n"
    assert "no such snapshot" in say("state", "diff", "77", code=1)
    assert "2 -> 1" in say("state", "rollback", "1", "--dry-run")
    assert "not-confirmed" in say("state", "rollback", "1", code=1)
    assert state_of(store).serial == 2  # type: ignore[attr-defined]
    say("state", "rollback", "1", "-y", "--reason", "wrong branch")
    state = Ledger(store).open_read()
    assert (state.serial, state.records[MODEL].attributes, state.outputs) == (3, {"version": 1}, {"v": 1})
    assert state.unswept == ("run2",)  # what it made is searched for by the next apply
    text = say("history", "--all")
    assert "wrong branch" in text
    assert "The audit log is whole" in text


def test_repair_shows_the_damage_and_the_ways_out(say: Say, store: LocalStore) -> None:
    assert say("state", "repair") == "Nothing is wrong with the state.\n"
    path = store.folder / "state.json"
    path.write_bytes(b"")
    for command in (["state", "list"], ["plan"], ["apply", "-y"], ["history"]):
        assert "mlplan state repair" in say(*command, code=1)
    assert "Good snapshots" in say("state", "repair", code=1)
    key = store.history()[0][1]
    assert "not-confirmed" in say("state", "repair", "--restore", key, code=1)
    say("state", "repair", "--restore", key, "-y")
    assert Ledger(store).open_read().records[MODEL].attributes == {"version": 2}
    assert list((store.folder / "damaged").iterdir())


def test_repair_accepts_an_edited_document(say: Say, store: LocalStore) -> None:
    path = store.folder / "state.json"
    path.write_bytes(path.read_bytes().replace(b'"version": 2', b'"version": 5'))
    assert "edited" in say("state", "list", code=1)
    say("state", "repair", "--accept", "-y")
    assert Ledger(store).open_read().records[MODEL].attributes == {"version": 5}


def test_force_unlock_names_the_holder_and_is_kept_in_the_audit_log(say: Say, store: LocalStore) -> None:
    assert "Nobody holds the lock" in say("force-unlock")
    session = Ledger(store).begin("hung", HOLDER, "apply")
    assert "ada holds the lock on box (process 4711)" in say("force-unlock", code=1)
    assert "Another run holds" in say("force-unlock", "wrong", "-y", code=1)
    shown = say("apply", "-y", code=6)
    assert "ada on box (process 4711)" in shown
    assert "run hung" in shown
    say("force-unlock", "hung", "-y", "--reason", "its runner is gone")
    with pytest.raises(Exception, match="taken away"):
        session.put_record(Record("x", "model", {}))
    session.close()
    assert "its runner is gone" in say("history")
    assert Ledger(store).open_read().unswept == ("hung",)


def test_an_altered_line_of_history_is_told(say: Say, store: LocalStore) -> None:
    state = Ledger(store).open_read()
    forged = replace(state.history[0], summary="nothing happened")
    path = store.folder / "state.json"
    path.write_bytes(codec.encode(replace(state, history=(forged, *state.history[1:]))))
    assert "audit-broken" in say("history", code=1)


def test_it_works_while_the_files_are_broken(say: Say, folder: Path) -> None:
    (folder / "main.mlplan.hcl").write_text('environment "prod" {')
    assert f"{MODEL}\n" in say("state", "list")
    (folder / "main.mlplan.hcl").write_text('mlplan {\n backend "s3" {\n')
    assert MODEL not in say("state", "list", code=1)


def test_without_a_state_it_says_init(say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.mlplan.hcl").write_text('environment "prod" {}\n')
    for words in (
        ["state", "list"],
        ["state", "history"],
        ["state", "pull"],
        ["history"],
        ["force-unlock"],
        ["state", "repair"],
    ):
        assert "mlplan init" in say(*words, code=1)


def test_a_held_lock_is_waited_for(say: Say, store: LocalStore) -> None:
    import threading

    lock = store.lock(HOLDER, 0)
    with pytest.raises(LockHeld):
        store.lock(HOLDER, 0)
    assert "state-locked" in say("state", "rm", MODEL, "-y", code=6)
    threading.Timer(0.3, lock.release).start()
    say("state", "rm", MODEL, "-y", "--lock-timeout", "30s")
