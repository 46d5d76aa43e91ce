"""Every command around the state on every kind of damage: refused with the ways out, nothing altered by it, and repaired from there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlplan.cli.main import run
from mlplan.ledger import codec
from mlplan.ledger.records import Record
from mlplan.ledger.session import Ledger
from mlplan.spi.store import Holder
from mlplan_state.local import LocalStore

HOLDER = Holder("ada", "box", 4711, 1_790_000_000.0, "apply", "r-held")
NAMES = ["thing.a", "thing.b"]


def resealed(data: bytes, **changes: object) -> bytes:
    """Return a document with other fields, sealed as if it were right."""
    document = {**json.loads(data), **changes}
    document.pop("checksum")
    return json.dumps({**document, "checksum": codec.checksum_of(document)}).encode()


def replaced(change: Callable[[bytes], bytes], name: str = "state.json") -> Callable[[Path], None]:
    """Return a damage that rewrites one file."""

    def damage(state: Path) -> None:
        path = state / name
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(change(data))

    return damage


def instead(make: Callable[[Path], None], name: str = "state.json") -> Callable[[Path], None]:
    """Return a damage that puts something else in place of a file."""

    def damage(state: Path) -> None:
        (state / name).unlink()
        make(state / name)

    return damage


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere/at/all")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _lost_journal(state: Path) -> None:
    (state / "journal.2.jsonl").unlink()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "emptied": replaced(lambda data: b""),
    "zeros": replaced(lambda data: b"\0" * len(data)),
    "truncated": replaced(lambda data: data[: len(data) // 2]),
    "last byte gone": replaced(lambda data: data.rstrip()[:-1]),
    "one bit": replaced(lambda data: data.replace(b'"thing.a"', b'"thing.c"', 1)),
    "edited by hand": replaced(lambda data: data.replace(b'"value": 2', b'"value": 7')),
    "newer format": replaced(lambda data: resealed(data, format=99)),
    "no format": replaced(lambda data: resealed(data, format="2")),
    "older serial": replaced(lambda data: resealed(data, serial=0)),
    "not JSON": replaced(lambda data: b"PK\3\4 this is an archive"),
    "another JSON": replaced(lambda data: b'{"version": 4, "terraform_version": "1.11.4", "serial": 2}'),
    "deep JSON": replaced(lambda data: b'{"serial": 2, "a": ' + b"[" * 100_000),
    "gone": lambda state: (state / "state.json").unlink(),
    "a directory": instead(lambda path: path.mkdir()),
    "a dangling link": instead(_dangling),
    "a link to itself": instead(_loop),
    "a pipe": instead(lambda path: os.mkfifo(path)),
    "journal gone": _lost_journal,
    "journal cut": replaced(lambda data: data[:-60], "journal.2.jsonl"),
    "journal altered": replaced(lambda data: data.replace(b"thing.b", b"thing.x"), "journal.2.jsonl"),
    "journal of another": replaced(lambda data: b'00000000 {"n":0}\n', "journal.2.jsonl"),
    "journal a directory": instead(lambda path: path.mkdir(), "journal.2.jsonl"),
}
COMMANDS = (
    ("plan",), ("apply", "-y"), ("state", "list"), ("state", "show", "thing.a"), ("state", "mv", "thing.a", "thing.z"),
    ("state", "rm", "thing.a", "--auto-approve"), ("state", "pull"), ("state", "diff"), ("history",), ("output",),
    ("state", "push", "../kept.json", "--auto-approve"), ("destroy", "-y"), ("state", "rollback", "1", "--auto-approve"),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose state has two snapshots and a journal with one more record, of a run that was killed."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    (root / "main.mlplan.hcl").write_text('environment "prod" {}\n')
    ledger = Ledger(LocalStore({}, root, "default"), clock=lambda: 1_790_000_000.0)
    ledger.initialise("lineage")
    for value in (1, 2):
        with ledger.begin(f"run{value}", HOLDER, "apply") as session:
            session.put_record(Record("thing.a", "thing", {"value": value}))
            session.end("done")
    (tmp_path / "kept.json").write_bytes((root / ".mlplan/state/default/state.json").read_bytes())
    with ledger.begin("run3", HOLDER, "apply") as session:
        session.put_record(Record("thing.b", "thing", {"value": 3}))
    lock = root / ".mlplan/state/default/lock"
    lock.write_text(lock.read_text().replace('"free"', '"held"'))  # as a holder leaves it that was killed
    return root


def bytes_of(state: Path) -> dict[str, bytes]:
    """Return everything that matters; the lock file changes with each look."""
    return {
        str(path.relative_to(state)): path.read_bytes()
        for path in sorted(state.rglob("*"))
        if path.is_file() and path.name not in ("lock",)
    }


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_by_every_command_and_repaired(
    damage: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state = folder / ".mlplan/state/default"
    DAMAGES[damage](state)
    before = bytes_of(state)
    for words in COMMANDS:
        capfd.readouterr()
        code = run(words)
        said = "".join(capfd.readouterr())
        told = " ".join(said.split())
        assert "Traceback" not in said, (words, said)
        assert code == 1, (words, said)
        if damage == "newer format":
            assert "newer mlplan" in told, (words, said)
        else:
            assert "state repair" in told, (words, said)
        assert bytes_of(state) == before, (words, "altered the damaged state")
    capfd.readouterr()
    assert run(("state", "repair")) in (0, 1)
    assert "Traceback" not in "".join(capfd.readouterr())
    assert bytes_of(state) == before
    newest = max(int(path.name.partition("-")[0]) for path in (state / "history").glob("*.zst"))
    assert run(("state", "repair", "--restore", str(newest), "--auto-approve")) == 0, "".join(capfd.readouterr())
    capfd.readouterr()
    assert run(("state", "list")) == 0
    listed = capfd.readouterr().out.split()
    assert "thing.a" in listed
    if not damage.startswith("journal"):
        assert listed == NAMES, "the journal after the snapshot is replayed"
    assert run(("state", "diff")) == 0
    assert list((state / "damaged").iterdir()), "what was there is kept"


def test_a_pushed_document_is_checked(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Wrong lineage, lower serial, cut, edited, a newer format, a directory, nothing: refused, the state as it was."""
    run(("state", "pull", "--out", "../good.json"))
    good = Path("../good.json").read_bytes()
    cases = {
        "lineage": resealed(good, lineage="another"), "serial": resealed(good, serial=1), "cut": good[:200], "empty": b"",
        "edited": good.replace(b'"value": 2', b'"value": 9'), "newer": resealed(good, format=99), "zip": b"PK\3\4",
        "list": b"[]", "nested": b"[" * 200_000, "twice": good.replace(b'"serial"', b'"serial": 1, "serial"'),
    }  # fmt: skip
    ledger = Ledger(LocalStore({}, folder, "default"))
    before = ledger.open_read().records
    for name, data in cases.items():
        Path("../push.json").write_bytes(data)
        capfd.readouterr()
        code = run(("state", "push", "../push.json"))
        said = "".join(capfd.readouterr())
        assert code in (1, 6), (name, said)
        assert "Traceback" not in said, (name, said)
        assert ledger.open_read().records == before, name
    for path in ("..", "../none.json", "/dev/null"):
        assert run(("state", "push", path)) == 1
        assert "Traceback" not in "".join(capfd.readouterr())
    assert ledger.open_read().records == before


def test_a_state_folder_that_is_a_file_or_a_link(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    moved = folder.parent / "elsewhere"
    shutil.move(folder / ".mlplan/state", moved)
    (folder / ".mlplan/state").symlink_to(moved)
    assert run(("state", "list")) == 0
    assert capfd.readouterr().out.split() == NAMES
    (folder / ".mlplan/state").unlink()
    (folder / ".mlplan/state").write_text("a file")
    for words in COMMANDS:
        code = run(words)
        said = "".join(capfd.readouterr())
        assert (code, "Traceback" in said) == (1, False), (words, said)
