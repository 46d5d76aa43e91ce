"""Settings and stores of the real servers, each call with a place of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from mlplan.spi.store import Store
from mlplan_state.local import LocalStore
from mlplan_state.postgres import PostgresStore
from mlplan_state.s3 import S3Store
from mlplan_state.s3_client import connect
from tools.services import Services

STORES = ("s3", "postgres")


def s3_settings(services: Services, **more: Any) -> dict[str, Any]:
    """Return the arguments of a backend block for a folder that nobody used before."""
    facts = services.facts
    return {
        "bucket": facts["bucket"], "key": f"tests/{uuid.uuid4().hex}", "endpoint": facts["s3"],
        "access_key": facts["access_key"], "secret_key": facts["secret_key"], **more,
    }  # fmt: skip


def postgres_settings(services: Services, **more: Any) -> dict[str, Any]:
    """Return the arguments of a backend block for a schema that nobody used before."""
    return {"conn_str": services.facts["postgres"], "schema_name": f"t_{uuid.uuid4().hex}", **more}


def connector(kind: str, services: Services, folder: Path, **more: Any) -> Callable[[], Store]:
    """Return a function that opens one new state anew at each call, as another process would."""
    if kind == "local":
        return partial(LocalStore, {}, folder, "default")
    if kind == "postgres":
        postgres = postgres_settings(services, **more)
        return partial(PostgresStore, postgres, folder, "default")
    s3 = s3_settings(services, **more)
    client = None if "secret_key" in more else shared_client(services)
    return partial(S3Store, s3, folder, "default", client)


def settings_of(connect: Callable[[], Store]) -> dict[str, Any]:
    """Return the arguments of the backend block that `connector` used."""
    assert isinstance(connect, partial)
    return dict(connect.args[0])


def shared_client(services: Services) -> Any:
    """Return the session's client of the SDK."""
    return _client(services.facts["s3"], services.facts["access_key"], services.facts["secret_key"])


@cache
def _client(endpoint: str, access_key: str, secret_key: str) -> Any:
    """Return one client of the SDK for all stores of a session: making one takes longer than most tests."""
    return connect({"endpoint": endpoint, "access_key": access_key, "secret_key": secret_key})
