"""Copies of text files for jobs: CSV and JSON as the checks read them, written once as Parquet.

So a job sees the values that were checked, whatever the text looks like (dates with slashes, moments with a zone, documents
in an array, markers of missing values), and no second reader has to agree with the first. Parquet files are read where they
are. A value that is not of its declared type, which a contract may let pass with a warning, is a missing value.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mlplan.data.contract import Contract
from mlplan.data.engine import Engine
from mlplan.data.relation import name
from mlplan.data.snapshot import Snapshot
from mlplan.data.view import open_view

VERSION = 1
PROOF = "digests"
BATCH_ROWS = 65_536
KEPT_SECONDS = 7 * 86_400
"""Copies of a contract that nobody used for so long are removed when another one is made."""


def typed_files(contract: Contract, snapshot: Snapshot, root: Path, cache: Path) -> list[Path]:
    """Return the Parquet files with the rows of a snapshot, in order: its own, or the copies of its text files.

    A copy holds the declared columns that its file has. The copies are used again while they are what was written, by
    their digests. Raises QueryFailed when the data cannot be read, OSError when a copy cannot be written.
    """
    paths = snapshot.paths(root)
    if snapshot.format == "parquet":
        return list(paths)
    everything = cache / "typed"
    everything.mkdir(parents=True, exist_ok=True)
    own = hashlib.sha256(contract.address.encode()).hexdigest()[:12]
    folder = everything / f"{own}-{_key(contract, snapshot)}"
    copies = [folder / f"{number:06}.parquet" for number in range(len(paths))]
    if _are_whole(folder, copies):
        os.utime(folder)
        return copies
    _remove_old(everything, own)
    with tempfile.TemporaryDirectory(prefix=f"{own}-", dir=everything) as partial:
        for path, copy in zip(paths, copies, strict=True):
            _write(contract, snapshot.format, path, Path(partial) / copy.name, cache)
        digests = [_digest(Path(partial) / copy.name) for copy in copies]
        (Path(partial) / PROOF).write_text("\n".join(digests), encoding="ascii")
        shutil.rmtree(folder, ignore_errors=True)  # what is not whole
        Path(partial).rename(folder)
        Path(partial).mkdir()  # for its own end
    return copies


def _key(contract: Contract, snapshot: Snapshot) -> str:
    columns = [[column.name, column.type] for column in contract.columns.values()]
    document = [VERSION, snapshot.digest, snapshot.format, columns, list(contract.missing)]
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:32]


def _write(contract: Contract, format: str, path: Path, copy: Path, cache: Path) -> None:
    import pyarrow.parquet as pq
    from sqlglot import exp

    with Engine([path], cache) as engine:
        view = open_view(engine, contract, format, [path])
        query = exp.select(*map(name, view.selections)).from_(view.table(flags=False))
        schema, batches = engine.batches(query, BATCH_ROWS)
        with pq.ParquetWriter(copy, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _are_whole(folder: Path, copies: Sequence[Path]) -> bool:
    try:
        return (folder / PROOF).read_text(encoding="ascii").split("\n") == [_digest(copy) for copy in copies]
    except (OSError, ValueError):  # not there, or not ours: they are written anew
        return False


def _remove_old(everything: Path, own: str) -> None:
    for folder in everything.glob(f"{own}-*"):
        try:
            if folder.stat().st_mtime < time.time() - KEPT_SECONDS:
                shutil.rmtree(folder)
        except FileNotFoundError:  # another apply removed it
            continue
