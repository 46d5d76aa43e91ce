"""The store kit over encrypted stores, and what encryption promises beyond."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlplan.ledger.encrypted import EncryptedStore
from mlplan.ledger.keys import Keyring, Place, PlainKey, plain_key
from mlplan.ledger.migrate import migrate
from mlplan.ledger.records import Operation, Record
from mlplan.ledger.session import Ledger
from mlplan.spi.store import Holder, Store, StoreDamaged, StoreError
from mlplan.spi.store_kit import CHECKS, HOLDER, Connect
from mlplan_state.local import LocalStore
from tests.world.remote_stores import STORES, connector
from tools.services import Services

KEY, OTHER_KEY = PlainKey(b"k" * 32), PlainKey(b"o" * 32)
CANARY = "canary-6f1d0b"
ME = Holder("ada", "box", 1, 0.0, "apply", "r")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_kit(check: Callable[[Connect], None], tmp_path: Path) -> None:
    check(lambda: EncryptedStore(LocalStore({}, tmp_path, "default"), Keyring(KEY, enforced=True)))


def write_some(store: Store, *, end: bool = True) -> None:
    """Make a run whose every part holds the canary."""
    ledger = Ledger(store)
    if not ledger.exists():
        ledger.initialise()
    session = ledger.begin("run-1", ME, "apply")
    token = "t" * 20
    session.intent(Operation("model.a", "s1", "create", "model", token, {"note": CANARY}))
    session.done("model.a", "s1", Record("model.a", "model", {"note": CANARY}, token=token), summary=CANARY)
    session.outputs({"o": CANARY})
    store.put_blob("note-1", CANARY.encode())
    if end:
        session.end("done")
    else:
        session.close()


def every_byte(folder: Path) -> bytes:
    """Return names and contents of all files, snapshots unpacked."""
    import zstandard

    found = b""
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        found += str(path).encode() + b"\n" + data + b"\n"
        if path.suffix == ".zst":
            found += zstandard.ZstdDecompressor().stream_reader(data).read()
    return found


def encrypted(folder: Path, *previous: PlainKey, key: PlainKey = KEY, enforced: bool = False) -> EncryptedStore:
    return EncryptedStore(LocalStore({}, folder, "default"), Keyring(key, previous, enforced=enforced))


@pytest.mark.parametrize("end", [True, False])
def test_nothing_is_readable(tmp_path: Path, end: bool) -> None:
    plain = tmp_path / "plain"
    write_some(LocalStore({}, plain, "default"), end=end)
    assert CANARY.encode() in every_byte(plain)
    write_some(encrypted(tmp_path / "sealed"), end=end)
    found = every_byte(tmp_path / "sealed")
    assert CANARY.encode() not in found
    assert b"model.a" not in found
    state = Ledger(encrypted(tmp_path / "sealed", enforced=True)).open_read()
    assert state.records["model.a"].attributes["note"] == CANARY
    assert encrypted(tmp_path / "sealed").get_blob("note-1") == CANARY.encode()


def test_another_key_is_told_by_name(tmp_path: Path) -> None:
    write_some(encrypted(tmp_path))
    with pytest.raises(StoreError, match=f"key {KEY.name} wrote it; here are {OTHER_KEY.name}"):
        Ledger(encrypted(tmp_path, key=OTHER_KEY)).open_read()
    with pytest.raises(StoreError, match="State is encrypted"):
        Ledger(LocalStore({}, tmp_path, "default")).open_read()


def test_a_key_is_changed(tmp_path: Path) -> None:
    """The old key reads what it wrote; after a write the new one is enough for the head."""
    write_some(encrypted(tmp_path))
    rotated = encrypted(tmp_path, KEY, key=OTHER_KEY, enforced=True)
    assert Ledger(rotated).open_read().records
    write_some(rotated)
    alone = encrypted(tmp_path, key=OTHER_KEY, enforced=True)
    assert Ledger(alone).open_read().outputs == {"o": CANARY}
    oldest = alone.history()[-1][1]
    with pytest.raises(StoreError, match="another key"):
        alone.read_history(oldest)
    assert rotated.read_history(oldest)


def test_a_project_begins_to_encrypt(tmp_path: Path) -> None:
    write_some(LocalStore({}, tmp_path, "default"), end=False)
    with pytest.raises(StoreError, match="Plain text is forbidden"):
        Ledger(encrypted(tmp_path, enforced=True)).open_read()
    write_some(encrypted(tmp_path))
    assert Ledger(encrypted(tmp_path, enforced=True)).open_read().records


@pytest.mark.parametrize("place", ["state.json", "journal"])
def test_every_changed_byte_is_noticed(tmp_path: Path, place: str) -> None:
    write_some(encrypted(tmp_path), end=False)
    path = next((tmp_path / ".mlplan/state/default").glob(f"{place}*"))
    whole = path.read_bytes()
    for position in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(StoreError):
            Ledger(encrypted(tmp_path)).open_read()
    path.write_bytes(whole)
    assert Ledger(encrypted(tmp_path)).open_read().records


def test_documents_that_change_places_are_noticed(tmp_path: Path) -> None:
    ring = Keyring(KEY)
    sealed = ring.seal(b"{}", Place("lineage-a", "state", 3))
    assert ring.open(sealed, "state", "lineage-a", 3)[0] == b"{}"
    for wanted in (("journal", "lineage-a", 3), ("state", "lineage-b", 3), ("state", "lineage-a", 4)):
        with pytest.raises(StoreDamaged, match="wrong place"):
            ring.open(sealed, *wanted)
    for old, new in (
        (b'"serial":3', b'"serial":4'),
        (b"lineage-a", b"lineage-b"),
        (b'"kind":"state"', b'"kind":"plan"'),
    ):
        forged = sealed.replace(old, new)
        kind = "plan" if b"plan" in new else "state"
        with pytest.raises(StoreDamaged, match="does not pass its authentication"):
            ring.open(forged, kind)


def test_a_plain_line_in_an_encrypted_journal_is_refused(tmp_path: Path) -> None:
    """Not even without `enforced`: a line in plain text carries no proof of who wrote it."""
    store = encrypted(tmp_path)
    Ledger(store).initialise()
    lock = store.lock(HOLDER, 0)
    LocalStore.append(store._inner, 0, b"00000000 {}", lock)  # type: ignore[arg-type]
    lock.release()
    with pytest.raises(StoreDamaged, match="is not encrypted"):
        Ledger(encrypted(tmp_path)).open_read()


def test_a_torn_end_of_an_encrypted_journal_is_dropped(tmp_path: Path) -> None:
    write_some(encrypted(tmp_path), end=False)
    journal = next((tmp_path / ".mlplan/state/default").glob("journal*"))
    (tmp_path / ".mlplan/state/default/mark").unlink()  # the line was never acknowledged
    journal.write_bytes(journal.read_bytes()[:-40])
    state = Ledger(encrypted(tmp_path)).open_read()
    assert state.records["model.a"].attributes["note"] == CANARY
    assert not state.outputs


@pytest.mark.parametrize("kind", STORES)
def test_a_state_moves_and_is_encrypted_on_the_way(kind: str, services: Services, tmp_path: Path) -> None:
    source = LocalStore({}, tmp_path, "default")
    write_some(source)
    write_some(source, end=False)
    connect = connector(kind, services, tmp_path)
    for _ in range(2):  # once more is fine
        moved = migrate(source, EncryptedStore(connect(), Keyring(KEY)), HOLDER)
    target = EncryptedStore(connect(), Keyring(KEY, enforced=True))
    assert Ledger(target).open_read() == Ledger(source).open_read()
    assert (moved.records, len(target.history())) == (1, len(source.history()))
    assert target.get_blob("note-1") == CANARY.encode()
    assert sorted(target.blobs()) == sorted(source.blobs())
    back = LocalStore({}, tmp_path / "back", "default")
    migrate(target, back, HOLDER)
    assert Ledger(back).open_read() == Ledger(source).open_read()


def test_keys_in_both_spellings() -> None:
    import base64

    secret = os.urandom(32)
    assert plain_key(secret.hex()) == plain_key(base64.b64encode(secret).decode() + "\n") == PlainKey(secret)
    assert secret.hex() not in repr(PlainKey(secret))
    for wrong in ("", "abc", "00" * 31, "zz" * 32):
        with pytest.raises(ValueError, match="32 random bytes"):
            plain_key(wrong)


def test_keys_of_a_key_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Injected by moto: data keys go to the service and come back; one it never wrapped does not."""
    import boto3
    from moto import mock_aws

    from mlplan_state.aws import KmsKey

    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        identity = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
        ring = Keyring(KmsKey(identity))
        sealed = ring.seal(b"content", Place("l", "state", 0))
        assert Keyring(KmsKey(identity)).open(sealed, "state")[0] == b"content"
        with pytest.raises(StoreError, match=r"refuses|was changed"):
            Keyring(KmsKey("00000000-0000-0000-0000-000000000000")).seal(b"", Place("l", "state", 0))
