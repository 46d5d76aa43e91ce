"""Data that lies elsewhere: a real S3 server, a real PostgreSQL, pointers of the real DVC. The same contract over each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest

from mlplan.data.contract import Contract, contract_from
from mlplan.data.scan import check
from mlplan.data.snapshot import Snapshot, take, verify
from mlplan.data.sources import Source, resolve
from mlplan.ledger.evidence import Verdict
from tests.world.remote_stores import shared_client
from tools.services import Services

ROWS = pd.DataFrame(
    {
        "order_id": [f"o{i}" for i in range(500)],
        "placed_at": pd.date_range("2024-01-01", periods=500, freq="h", tz="UTC"),
        "amount": [i / 4 for i in range(500)],
        "country": [None if i % 50 == 0 else "DE" for i in range(500)],
    }
)
COLUMNS = {
    "order_id": {"type": "string", "unique": True}, "placed_at": {"type": "timestamptz"},
    "amount": {"type": "float", "between": [0, 100]}, "country": {"type": "string", "nullable": True},
}  # fmt: skip


def contract(source: str) -> Contract:
    made, problems = contract_from({"source": source, "key": ["order_id"], "columns": COLUMNS}, "data_contract.orders")
    assert made is not None, problems
    return made


def found(text: str, root: Path) -> Source:
    source, problems = resolve(text, root)
    assert source is not None, problems
    return source


def failures(text: str, root: Path) -> tuple[int | None, dict[str, str]]:
    """Return the rows and what failed; amounts over 100 are the 99 rows from 401 on."""
    made = contract(text)
    report = check(made, take(found(text, root), None), root, now=0.0, references={}, cache=None)
    return report.rows, {e.subject: e.message for e in report.evidence if e.verdict is not Verdict.PASS}


@pytest.fixture
def bucket(services: Services, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a client and the bucket's name; the environment says where the server is, as it would for a user."""
    facts = services.facts
    monkeypatch.setenv("AWS_ENDPOINT_URL", facts["s3"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", facts["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", facts["secret_key"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return shared_client(services), facts["bucket"]


def put(bucket: Any, key: str, rows: pd.DataFrame, folder: Path) -> None:
    client, name = bucket
    path = folder / "upload.parquet"
    rows.to_parquet(path)
    client.put_object(Bucket=name, Key=key, Body=path.read_bytes())
    path.unlink()


def test_objects_are_listed_copied_once_and_checked(bucket: Any, tmp_path: Path) -> None:
    place = f"{uuid.uuid4().hex}/orders"
    put(bucket, f"{place}/year=2024/a.parquet", ROWS[:300], tmp_path)
    put(bucket, f"{place}/year=2025/b.parquet", ROWS[300:], tmp_path)
    put(bucket, f"{place}/_tmp.parquet", ROWS, tmp_path)
    url = f"s3://{bucket[1]}/{place}"
    for text in (url, f"{url}/", f"{url}/**/*.parquet", f"{url}/year=*/*.parquet"):
        source = found(text, tmp_path)
        assert [copy.url.removeprefix(url) for copy in source.fetched] == [
            "/year=2024/a.parquet",
            "/year=2025/b.parquet",
        ]
    assert len(found(f"{url}/*/a.parquet", tmp_path).files) == 1
    rows, failed = failures(url, tmp_path)
    assert rows == 500
    assert list(failed) == ["data_contract.orders.column.amount"]
    copies = list((tmp_path / ".mlplan/cache/fetched").rglob("*.parquet"))
    assert len(copies) == 2


def test_an_overwritten_object_is_another_snapshot_and_a_lost_copy_comes_back(bucket: Any, tmp_path: Path) -> None:
    key = f"{uuid.uuid4().hex}/orders.parquet"
    url = f"s3://{bucket[1]}/{key}"
    put(bucket, key, ROWS[:10], tmp_path)
    before = take(found(url, tmp_path), None)
    assert take(found(url, tmp_path), None) == before
    assert Snapshot.from_json(before.to_json()) == before
    for path in before.paths(tmp_path):
        path.unlink()
    assert verify(before, tmp_path, None) == []
    assert all(path.exists() for path in before.paths(tmp_path))
    put(bucket, key, ROWS[:11], tmp_path)
    assert take(found(url, tmp_path), None).digest != before.digest
    for path in before.paths(tmp_path):
        path.unlink()
    (problem,) = verify(before, tmp_path, None)
    assert problem.code == "snapshot-changed"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("s3://{bucket}/nothing/here-*.parquet", "source-not-found"), ("s3://{bucket}", "source-not-supported"),
        ("s3://no-such-bucket-at-all/x.parquet", "source-unreadable"), ("gs://x/y.parquet", "source-not-supported"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_place_is_said(bucket: Any, tmp_path: Path, text: str, code: str) -> None:
    source, problems = resolve(text.format(bucket=bucket[1]), tmp_path)
    assert source is None
    assert [p.code for p in problems] == [code]


@pytest.fixture
def table(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a connection and the source of a table; the password is in the environment only."""
    import psycopg

    address = urlsplit(services.facts["postgres"])
    monkeypatch.setenv("PGPASSWORD", address.password or "")
    schema = f"s_{uuid.uuid4().hex}"
    with psycopg.connect(services.facts["postgres"], autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        connection.execute(
            f"CREATE TABLE {schema}.orders (order_id text PRIMARY KEY, placed_at timestamptz, amount numeric(10,2), country varchar(2),"
            " tags text[], note jsonb, small int2, u uuid default gen_random_uuid())".encode()
        )
        with connection.cursor() as cursor:
            for row in ROWS.itertuples():
                cursor.execute(
                    f"INSERT INTO {schema}.orders VALUES (%s, %s, %s, %s, %s, %s, 1)".encode(),
                    (
                        row.order_id,
                        row.placed_at.to_pydatetime(),
                        row.amount,
                        row.country if isinstance(row.country, str) else None,
                        ["a", "b"],
                        '{"x": 1}',
                    ),
                )
        yield connection, f"postgres://mlplan@127.0.0.1:{address.port}/postgres?table={schema}.orders", schema
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


def test_a_table_is_checked_like_files_and_copied_only_when_it_changed(table: Any, tmp_path: Path) -> None:
    connection, url, schema = table
    rows, failed = failures(url, tmp_path)
    assert rows == 500
    assert list(failed) == ["data_contract.orders.column.amount"]
    before = take(found(url, tmp_path), None)
    copy = before.paths(tmp_path)[0]
    made = copy.stat().st_mtime_ns
    connection.execute(f"UPDATE {schema}.orders SET small = 1".encode())  # rows move, nothing changes
    assert take(found(url, tmp_path), None) == before
    assert copy.stat().st_mtime_ns == made
    shutil.rmtree(tmp_path / ".mlplan")
    assert take(found(url, tmp_path), None) == before, "the same rows are the same bytes"
    connection.execute(f"UPDATE {schema}.orders SET small = 2 WHERE order_id = 'o7'".encode())
    assert take(found(url, tmp_path), None).digest != before.digest
    assert "mlplan" not in before.files[0].path.replace("mlplan@", "")


@pytest.mark.parametrize(
    "change", ["?table=", "?table=a.b.c", "?tables=x", "?table=no_such_table", "?table=x&sslmod=1"]
)
def test_a_wrong_table_is_said(table: Any, tmp_path: Path, change: str) -> None:
    source, problems = resolve(table[1].partition("?")[0] + change, tmp_path)
    assert source is None
    assert problems[0].code in ("source-not-supported", "source-unreadable")


def test_a_password_in_the_source_is_refused_and_not_repeated(tmp_path: Path) -> None:
    source, problems = resolve("postgres://me:hunter2@127.0.0.1/x?table=y", tmp_path)
    assert source is None
    assert "PGPASSWORD" in problems[0].detail
    assert "hunter2" not in problems[0].detail


def dvc(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "DVC_NO_ANALYTICS": "1", "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_pointers_of_dvc_name_files_and_folders_and_say_what_is_missing(tmp_path: Path) -> None:
    pytest.importorskip("dvc", reason="needs the extra dvc")
    remote, project = tmp_path / "remote", tmp_path / "project"
    (project / "data" / "many").mkdir(parents=True)
    remote.mkdir()
    ROWS.to_parquet(project / "data" / "orders.parquet")
    ROWS[:200].to_parquet(project / "data" / "many" / "b.parquet")
    ROWS[200:].to_parquet(project / "data" / "many" / "a.parquet")
    dvc(project, "init", "--no-scm", "-q")
    dvc(project, "remote", "add", "-d", "here", str(remote))
    dvc(project, "add", "data/orders.parquet", "data/many", "-q")
    dvc(project, "push", "-q")
    assert failures("data/orders.parquet.dvc", project)[0] == 500
    assert failures("data/many.dvc", project)[0] == 500
    before = take(found("data/orders.parquet.dvc", project), None)

    (project / "data" / "orders.parquet").unlink()
    source, problems = resolve("data/orders.parquet.dvc", project)
    assert source is None
    assert problems[0].code == "data-not-pulled"
    assert "dvc pull data/orders.parquet.dvc" in problems[0].detail
    dvc(project, "pull", "data/orders.parquet.dvc", "-q")
    assert take(found("data/orders.parquet.dvc", project), None) == before

    (project / "data" / "orders.parquet").unlink()
    ROWS[:5].to_parquet(project / "data" / "orders.parquet")
    assert [p.code for p in resolve("data/orders.parquet.dvc", project)[1]] == ["pointer-differs"]
    (project / "bad.dvc").write_text("outs: [")
    assert [p.code for p in resolve("bad.dvc", project)[1]] == ["source-unreadable"]
    assert [p.code for p in resolve("gone.dvc", project)[1]] == ["source-not-found"]
