"""Whether an S3 honours conditions. A server that ignores them answers "done" to both of two runs that race, and one of them
is lost without a word; so it is refused before it holds a state.
"""

from __future__ import annotations

import secrets

from mlplan.spi.store import StoreError
from mlplan_state.s3_client import Bucket


def probe(bucket: Bucket) -> None:
    """Write an object against conditions that do not hold. Raises: StoreError naming the condition that was ignored."""
    key = f"probe-{secrets.token_hex(8)}"
    first = bucket.create(key, b"first")
    try:
        if first is None:
            raise _ignored(bucket, "If-None-Match: *", "it refused to create an object that was not there")
        if bucket.create(key, b"second") is not None:
            raise _ignored(bucket, "If-None-Match: *", "it replaced an object that was there")
        if bucket.swap(key, b"third", '"0123456789abcdef0123456789abcdef"') is not None:
            raise _ignored(bucket, "If-Match", "it replaced an object that had another tag")
        if bucket.swap(key, b"fourth", first) is None:
            raise _ignored(bucket, "If-Match", "it refused to replace an object that had this tag")
        found = bucket.get(key)
        if found is None or found.data != b"fourth":
            raise _ignored(bucket, "a write", "what was written is not what is read")
    finally:
        bucket.delete(key)


def _ignored(bucket: Bucket, condition: str, what: str) -> StoreError:
    return StoreError(
        "This S3 does not honour conditional writes",
        f"s3://{bucket.name}/{bucket.prefix}: with {condition}, {what}. Two runs at once could overwrite each other's state "
        "there. Use a server that honours them (Amazon S3, MinIO, Ceph, SeaweedFS in present versions), or another backend.",
    )
