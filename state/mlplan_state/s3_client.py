"""The one seam to S3: objects with conditions, and errors in people's words. It knows nothing of states.

Every call is safe to send twice, so the SDK may try again; whether a write whose answer was lost arrived is found out by
whoever wrote, from what stands there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlplan.spi.store import StoreError

TRIES = 4
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "InvalidToken"})
REFUSED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled", "Forbidden"})
ABSENT = frozenset({"NoSuchKey", "NotFound", "404"})
CONDITION = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})


@dataclass(frozen=True)
class Stored:
    """An object as read. tag: its ETag."""

    data: bytes
    tag: str


@dataclass(frozen=True)
class Listed:
    """An object in a listing. written: seconds since the epoch."""

    key: str
    written: float


class Bucket:
    """Objects under one prefix of one bucket."""

    def __init__(self, client: Any, name: str, prefix: str, extra: Mapping[str, str]) -> None:
        self.name = name
        self.prefix = prefix
        self.client = client
        self._extra = dict(extra)

    def get(self, key: str) -> Stored | None:
        """Return an object, None when there is none. Raises: StoreError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self.client.get_object(Bucket=self.name, Key=self.prefix + key)
            return Stored(answer["Body"].read(), answer["ETag"])
        except ClientError as error:
            if _code(error) in ABSENT:
                return None
            raise self._explained(error, "read") from error
        except (BotoCoreError, OSError) as error:
            raise self._explained(error, "read") from error

    def put(self, key: str, data: bytes) -> str:
        """Write an object whatever is there; return its tag. Raises: StoreError."""
        tag = self._put(key, data)
        assert tag is not None
        return tag

    def create(self, key: str, data: bytes) -> str | None:
        """Write an object if there is none; return its tag, None when there is one. Raises: StoreError."""
        return self._put(key, data, IfNoneMatch="*")

    def swap(self, key: str, data: bytes, tag: str) -> str | None:
        """Replace an object if it still has `tag`; return the new tag, None when it has not. Raises: StoreError."""
        return self._put(key, data, IfMatch=tag)

    def _put(self, key: str, data: bytes, **condition: str) -> str | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self.client.put_object(
                Bucket=self.name, Key=self.prefix + key, Body=data, **condition, **self._extra
            )
            return str(answer["ETag"])
        except ClientError as error:
            if condition and (_code(error) in CONDITION or ("IfMatch" in condition and _code(error) in ABSENT)):
                return None
            raise self._explained(error, "written") from error
        except (BotoCoreError, OSError) as error:
            raise self._explained(error, "written") from error

    def delete(self, key: str) -> None:
        """Remove an object; none is fine. Raises: StoreError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client.delete_object(Bucket=self.name, Key=self.prefix + key)
        except (ClientError, BotoCoreError, OSError) as error:
            raise self._explained(error, "written") from error

    def list(self, folder: str) -> Iterator[Listed]:
        """Yield the objects whose keys begin with `folder`, in order of keys, without the prefix. Raises: StoreError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix + folder)
            for page in pages:
                for item in page.get("Contents", ()):
                    yield Listed(item["Key"][len(self.prefix) :], item["LastModified"].timestamp())
        except (ClientError, BotoCoreError, OSError) as error:
            raise self._explained(error, "read") from error

    def _explained(self, error: Exception, doing: str) -> StoreError:
        where = f"s3://{self.name}/{self.prefix}"
        code = _code(error)
        kind = type(error).__name__
        if code in EXPIRED or kind in ("TokenRetrievalError", "UnauthorizedSSOTokenError", "SSOTokenLoadError"):
            detail = f"{where}: the credentials have expired ({code or kind}). Renew them and run again."
            return StoreError(
                "The store's credentials have expired", f"{detail} Nothing that was acknowledged is lost."
            )
        if code in REFUSED or kind in ("NoCredentialsError", "PartialCredentialsError"):
            detail = f"{where}: {code or kind}. Look at the keys, the profile and the policy of the bucket."
            return StoreError("The store refuses the credentials", detail)
        if code == "NoSuchBucket":
            return StoreError(
                "There is no such bucket", f'{where}: make the bucket "{self.name}", or name another one.'
            )
        reason = " ".join(str(error).split())[:300]
        detail = (
            f"{where} could not be {doing}: {reason}. Nothing that was acknowledged is lost; run again when it answers."
        )
        return StoreError("The store does not answer" if not code else "The store refuses", detail)


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, Mapping) else ""


def connect(settings: Mapping[str, Any]) -> Any:
    """Return a client of the SDK. Raises: StoreError for settings that the SDK does not take."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=10, read_timeout=60, max_pool_connections=16,
        retries={"total_max_attempts": TRIES, "mode": "standard"},
        s3={"addressing_style": "path" if settings.get("use_path_style") or settings.get("endpoint") else "auto"},
        request_checksum_calculation="when_required", response_checksum_validation="when_required",
    )  # fmt: skip
    try:
        session = boto3.Session(
            profile_name=settings.get("profile") or None, region_name=settings.get("region") or None,
            aws_access_key_id=settings.get("access_key") or None,
            aws_secret_access_key=settings.get("secret_key") or None,
            aws_session_token=settings.get("token") or None,
        )  # fmt: skip
        # An endpoint of one's own needs no region, but the signature wants one.
        region = session.region_name or ("us-east-1" if settings.get("endpoint") else None)
        return session.client("s3", endpoint_url=settings.get("endpoint") or None, region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise StoreError("The S3 backend cannot be used", f"{error}. Look at the backend block.") from error
