"""What the server is told: its command line and two variables. Nothing here loads a heavy library."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_ROWS = 10_000


@dataclass(frozen=True)
class Settings:
    """How to serve one artifact.

    Units: `max_wait`, `deadline`, `drain`, `log_seconds` seconds; `max_body`, `log_bytes` bytes; `max_batch`,
    `max_queue` rows. log_sample: fraction of requests whose rows are logged. listen_fd: an inherited listening socket,
    used instead of host, port.
    """

    artifact: Path
    model: str
    version: str
    endpoint: str
    log_dir: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    listen_fd: int | None = None
    digest: str | None = None
    trust: tuple[str, ...] = ()
    max_wait: float = 0.0
    max_batch: int = 256
    max_queue: int = 2048
    deadline: float = 10.0
    max_body: int = 4 * 2**20
    drain: float = 2.0
    log_sample: float = 1.0
    log_bytes: int = 64 * 2**20
    log_seconds: float = 300.0


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings of a command line; ends the process with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m mlplan.serve", description="Serve one sealed model artifact.")
    parser.add_argument("--artifact", type=Path, required=True, help="the sealed folder")
    parser.add_argument("--model", required=True, help="name in URLs and answers")
    parser.add_argument("--version", required=True, help='version in answers, as "v3"')
    parser.add_argument("--endpoint", required=True, help="name of the endpoint in metrics and logs")
    parser.add_argument("--log-dir", type=Path, help="where prediction logs go; none are written without it")
    parser.add_argument("--host", default=Settings.host)
    parser.add_argument("--port", type=int, help="default: MLPLAN_PORT, else 8080; MLPLAN_LISTEN_FD goes before both")
    parser.add_argument(
        "--digest", help='"sha256:…" that the artifact must have; default: the one its folder is named by'
    )
    parser.add_argument(
        "--trust", action="append", default=[], metavar="TYPE", help="a type the model file may hold; repeatable"
    )
    parser.add_argument(
        "--max-wait-ms", type=float, default=0.0, help="how long to wait for more rows before predicting"
    )
    parser.add_argument("--max-batch", type=int, default=Settings.max_batch, help="rows predicted at once")
    parser.add_argument(
        "--max-queue", type=int, default=Settings.max_queue, help="rows waiting before requests are refused"
    )
    parser.add_argument("--deadline", type=float, default=Settings.deadline, help="seconds for a request")
    parser.add_argument("--max-body", type=int, default=Settings.max_body, help="bytes of a request")
    parser.add_argument("--drain", type=float, default=Settings.drain, help="seconds to go on answering after SIGTERM")
    parser.add_argument("--log-sample", type=float, default=Settings.log_sample, help="fraction of requests to log")
    parser.add_argument("--log-bytes", type=int, default=Settings.log_bytes, help="size at which a log file is rotated")
    parser.add_argument(
        "--log-seconds", type=float, default=Settings.log_seconds, help="age at which a log file is rotated"
    )
    given = parser.parse_args(arguments)
    listen_fd = environment.get("MLPLAN_LISTEN_FD")
    return Settings(
        artifact=given.artifact,
        model=given.model,
        version=given.version,
        endpoint=given.endpoint,
        log_dir=given.log_dir,
        host=given.host,
        port=given.port if given.port is not None else int(environment.get("MLPLAN_PORT") or Settings.port),
        listen_fd=int(listen_fd) if listen_fd else None,
        digest=given.digest,
        trust=tuple(given.trust),
        max_wait=given.max_wait_ms / 1000,
        max_batch=max(1, given.max_batch),
        max_queue=max(1, given.max_queue),
        deadline=given.deadline,
        max_body=given.max_body,
        drain=given.drain,
        log_sample=given.log_sample,
        log_bytes=given.log_bytes,
        log_seconds=given.log_seconds,
    )
