"""Starts real serving processes on loopback sockets, and asks them."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROW = {"carrier": "AA", "dep_delay": 3.5, "distance": 900}


@dataclass
class Server:
    """A serving process and where it listens."""

    process: subprocess.Popen[str]
    port: int

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], Any]:
        """Return status, headers (lower case) and the decoded body of one request on its own connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, data, dict(headers or {}))
            response = connection.getresponse()
            content = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
            is_json = found.get("content-type", "").startswith("application/json")
            return response.status, found, json.loads(content) if is_json else content
        finally:
            connection.close()

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Return when it is ready; fail when it ends or takes too long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, self.process.communicate()[1]
            with contextlib.suppress(OSError):
                if self.ask("GET", "/v2/health/ready")[0] == 200:
                    return
            time.sleep(0.05)
        raise AssertionError("not ready in time")

    def end(self, seconds: float = 30.0) -> tuple[int, str]:
        """Send SIGTERM; return the exit code and the log."""
        if self.process.poll() is None:
            self.process.terminate()
        log = self.process.communicate(timeout=seconds)[1]
        return self.process.returncode, log


def listener() -> socket.socket:
    """Return a listening socket on a free port."""
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.listen(512)
    return found


@contextlib.contextmanager
def server(artifact: Path, *arguments: str, shared: socket.socket | None = None) -> Iterator[Server]:
    """Start a server on an inherited socket; end it whatever happens."""
    own = shared or listener()
    command = [sys.executable, "-m", "mlplan.serve", "--artifact", str(artifact), "--model", "flights"]
    command += ["--version", "v3", "--endpoint", "flights-test", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "MLPLAN_LISTEN_FD": str(own.fileno())}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, pass_fds=[own.fileno()], env=environment)
    port = own.getsockname()[1]
    if shared is None:
        own.close()
    try:
        yield Server(process, port)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
