"""Ports of endpoints: choose one that stays, tell whether it is free, and say who has it when it is not."""

from __future__ import annotations

import os
import socket
import zlib
from contextlib import suppress
from pathlib import Path

from mlplan.spi.capabilities import ProviderError
from mlplan_local.process import pids

_FIRST = 20_000
_COUNT = 10_000
_STEP = 7_919
_TRIES = 500


def choose(name: str) -> int:
    """Return a free port for an endpoint. The same name gets the same port again when it is free, also after a removal.

    The range lies below the ports that the kernel hands out to outgoing connections, so that it stays free while Envoy is down.
    """
    start = zlib.crc32(name.encode())
    for turn in range(_TRIES):
        port = _FIRST + (start + turn * _STEP) % _COUNT
        if is_free(port):
            return port
    raise ProviderError(
        "No free port", f"{_TRIES} ports from {_FIRST} on were tried for endpoint {name}.", retryable=True
    )


def is_free(port: int) -> bool:
    """Tell whether a listener could be opened on 127.0.0.1:port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def taken(endpoint: str, port: int, chosen: bool) -> ProviderError:
    """Return the error for a port that somebody else has. chosen: the provider chose it once, not the user."""
    who = owner(port) or "a process of another user"
    todo = (
        "End that process, or remove the endpoint and apply again, so that it gets another port."
        if chosen
        else "End that process, or give the environment another port."
    )
    return ProviderError(
        "The port of an endpoint is taken", f"Endpoint {endpoint} needs port {port}, which {who} listens on. {todo}"
    )


def owner(port: int) -> str | None:
    """Return the process that listens on a port, as "pid 17 (nginx)"; None when it cannot be seen."""
    inodes = _listeners(port)
    for pid in pids() if inodes else ():
        with suppress(OSError):
            for handle in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{handle}") in inodes:
                        name = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
                        return f"pid {pid} ({name})"
    return None


def _listeners(port: int) -> set[str]:
    """Return the sockets that listen on `port`, as the links in /proc/<pid>/fd name them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
