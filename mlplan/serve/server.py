"""The life of a serving process: listen, load, become ready; on SIGTERM stop being ready, drain, flush, end.

It listens before it loads, so that it can say that it is alive and not ready. A model that cannot be loaded, or answers
otherwise than when it was sealed, ends the process with exit code 1 and the reason in its last log line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Iterator

import uvicorn

from mlplan.artifact.errors import ArtifactError
from mlplan.serve.app import Application
from mlplan.serve.batching import Batcher
from mlplan.serve.contract import Contract
from mlplan.serve.metrics import Metrics
from mlplan.serve.request_log import RequestLog
from mlplan.serve.settings import Settings
from mlplan.serve.state import Serving

log = logging.getLogger("mlplan.serve")

KEEP_ALIVE = 120
"""Seconds an idle connection stays open.

Longer than a proxy's own idle time, so that the proxy closes first and loses nothing.
"""
_QUIET = 0.2
_LAST_REQUESTS = 1.0


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handling: it would close the listener before anyone heard that we are not ready."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to us."""
        yield


def run(settings: Settings) -> int:
    """Serve until a signal; return the exit code: 0 after a drain, 1 when the model could not be served."""
    try:
        listener = _listen(settings)
    except OSError as error:
        place = f"fd {settings.listen_fd}" if settings.listen_fd is not None else f"{settings.host}:{settings.port}"
        log.error("refused to start: cannot listen on %s: %s", place, error)
        return 1
    return asyncio.run(_Process(settings, listener).live())


def _listen(settings: Settings) -> socket.socket:
    if settings.listen_fd is not None:
        return socket.socket(fileno=settings.listen_fd)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, because asyncio turns Nagle off only where the socket says it is: 40 ms a request otherwise.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError:
        listener.close()
        raise
    return listener


class _Process:
    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        metrics = Metrics(settings.model, settings.version, settings.endpoint, self._waiting)
        self._serving = Serving(settings, metrics)
        self._told = asyncio.Event()
        config = uvicorn.Config(
            Application(self._serving),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(settings.deadline)),
        )
        self._server = _Uvicorn(config)

    def _waiting(self) -> float:
        batcher = self._serving.batcher
        return batcher.waiting if batcher is not None else 0

    async def live(self) -> int:
        """Go through the phases; return the exit code."""
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, self._told.set)
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        told = asyncio.create_task(self._told.wait())
        loading = asyncio.create_task(asyncio.to_thread(_load, self._serving, loop))
        await asyncio.wait({serving, told, loading}, return_when=asyncio.FIRST_COMPLETED)
        code = 0
        if loading.done() and not self._told.is_set():
            code = self._loaded(loading)
            if code == 0:
                await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
        self._serving.enter("failed" if code else "draining")
        await self._drain()
        self._server.should_exit = True
        await serving
        told.cancel()
        self._flush()
        if code == 0:
            log.info("ended: every request was answered")
        return code

    def _loaded(self, loading: asyncio.Task[None]) -> int:
        """Become ready, or say why not."""
        error = loading.exception()
        if error is None:
            self._serving.enter("ready")
            log.info("ready: %s %s of %s", self._settings.model, self._settings.version, self._settings.artifact.name)
            return 0
        if isinstance(error, ArtifactError):
            # one line: a provider shows the last lines of a unit that did not become ready
            log.error("refused to serve: %s: %s", error.summary, " ".join(error.detail.split()))
        else:
            log.error("refused to serve: %s: %s", type(error).__name__, error, exc_info=error)
            log.error("refused to serve: the model could not be loaded: %s: %s", type(error).__name__, error)
        return 1

    async def _drain(self) -> None:
        """Go on answering until no connection has been open for a moment, at most `drain` seconds; then accept no more.

        Every answer now closes its connection. What was accepted last still gets a moment to send its request: closing it at
        once would lose a request that is on its way.
        """
        if self._serving.phase != "draining":
            return
        log.info("draining: no longer ready")
        await self._until_quiet(self._settings.drain, _QUIET)
        for server in getattr(self._server, "servers", ()):  # none when the signal came before it listened
            server.close()
        await self._until_quiet(_LAST_REQUESTS, 0.0)

    async def _until_quiet(self, most: float, quiet: float) -> None:
        """Return when no connection has been open for `quiet` seconds, or after `most` seconds."""
        until = time.monotonic() + most
        quiet_since = time.monotonic()
        while (now := time.monotonic()) < until:
            if self._server.server_state.connections:
                quiet_since = now
            elif now - quiet_since >= quiet:
                return
            await asyncio.sleep(0.02)

    def _flush(self) -> None:
        if self._serving.batcher is not None:
            self._serving.batcher.stop(timeout=1.0)
        if self._serving.log is not None:
            self._serving.log.close()


def _load(serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
    """Verify, load, ask the probe rows (which warms the model up too), start the model thread and the log.

    Raises: ArtifactError.
    """
    from mlplan.artifact.open import open_artifact
    from mlplan.serve.infer import predict_values

    settings = serving.settings
    started = time.perf_counter()
    opened = open_artifact(settings.artifact, settings.trust, settings.digest)
    opened.check_probe()
    info = opened.manifest.info
    serving.contract = Contract(opened.schema, info.features)
    serving.info = info
    serving.batcher = Batcher(
        predict_values(serving, opened.predictor),
        settings.max_batch,
        settings.max_queue,
        settings.max_wait,
        serving.metrics.batch_rows.observe,
    )
    if settings.log_dir is not None:
        serving.log = RequestLog(
            settings.log_dir,
            settings.version,
            [column.name for column in opened.schema.columns if not column.pii],
            sample=settings.log_sample,
            rotate_bytes=settings.log_bytes,
            rotate_seconds=settings.log_seconds,
            on_drop=serving.metrics.log_drops.inc,
        )
        serving.log.start()
    serving.batcher.start(loop)
    log.info("loaded and probed in %.1f s", time.perf_counter() - started)
