"""Sources in S3, or in what speaks its protocol: which objects a text names, and copies of them by content.

Credentials, region and endpoint come from where boto3 looks for them (AWS_*, AWS_ENDPOINT_URL, profiles); never from files
of the project.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlplan.data.fetched import Fetched, fetch, missing_package
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

_MAGIC = re.compile(r"[*?\[]")
_MOST_OBJECTS = 100_000


def fetch_objects(text: str, root: Path) -> list[Fetched]:
    """Return copies of the objects that `s3://bucket/key`, a prefix or a glob names, sorted by key. Raises: DiagnosticError."""
    bucket, _, pattern = text.removeprefix("s3://").partition("/")
    if not bucket or not pattern:
        raise DiagnosticError(_problem(f'"{text}" names no object. Write s3://bucket/key, with * and ** for many.'))
    with _Client(text) as client:
        found = [item for item in _listed(client, bucket, pattern) if not _hidden(item["Key"])]
        if not found:
            raise DiagnosticError(
                Diagnostic(
                    "source-not-found", "Data source not found", f'No object in bucket "{bucket}" matches "{pattern}".'
                )
            )
        if len(found) > _MOST_OBJECTS:
            raise DiagnosticError(
                _problem(f'"{text}" names {len(found):,} objects; at most {_MOST_OBJECTS:,} are read.')
            )
        return [_copy(client, bucket, item, root) for item in sorted(found, key=lambda item: str(item["Key"]))]


def fetch_one(url: str, root: Path) -> Fetched:
    """Return a copy of one object. Raises: DiagnosticError."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    with _Client(url) as client:
        facts = client.head_object(Bucket=bucket, Key=key)
        item = {"Key": key, "ETag": facts["ETag"], "Size": facts["ContentLength"]}
        return _copy(client, bucket, item, root)


def _copy(client: Any, bucket: str, item: dict[str, Any], root: Path) -> Fetched:
    url = f"s3://{bucket}/{item['Key']}"
    mark = {"etag": item["ETag"], "size": item["Size"]}

    def write(path: Path) -> None:
        # IfMatch: the bytes of the version that was listed, or an error, never a mixture of two versions.
        body = client.get_object(Bucket=bucket, Key=item["Key"], IfMatch=item["ETag"])["Body"]
        with path.open("wb") as file:
            for block in body.iter_chunks(1 << 20):
                file.write(block)

    return fetch(root, url, mark, write)


def _listed(client: Any, bucket: str, pattern: str) -> Iterator[dict[str, Any]]:
    magic = _MAGIC.search(pattern)
    prefix = pattern[: magic.start()] if magic else pattern
    wanted = _regex(pattern) if magic else None
    folder = pattern if pattern.endswith("/") else pattern + "/"
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            key = item["Key"]
            inside = wanted.fullmatch(key) if wanted else key == pattern or key.startswith(folder)
            if inside and item["Size"] > 0:
                yield item


def _regex(pattern: str) -> re.Pattern[str]:
    """Return a glob as a regular expression: * and ? stay within one part of the key, ** goes across."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(meaning.get(p) or (p if p.startswith("[") and p.endswith("]") else re.escape(p)) for p in parts)
    )


def _hidden(key: str) -> bool:
    return key.rsplit("/", 1)[-1].startswith((".", "_"))


class _Client:
    """An S3 client whose errors are diagnostics."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise DiagnosticError(missing_package("s3", error.name)) from error
        return boto3.session.Session().client("s3", config=Config(retries={"mode": "standard", "max_attempts": 4}))

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, BotoCoreError | ClientError):
            detail = (
                f'"{self._text}" cannot be read: {" ".join(str(error).split())}. Check name, credentials and endpoint.'
            )
            raise DiagnosticError(Diagnostic("source-unreadable", "Data file cannot be read", detail)) from error


def _problem(detail: str) -> Diagnostic:
    return Diagnostic("source-not-supported", "Data source is not supported", detail)
