"""The way of a prediction: read, check, queue, answer, count, log.

Raw ASGI, since every layer here is paid by each request.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from mlplan.artifact.errors import ArtifactError
from mlplan.serve import bodies, protocol
from mlplan.serve.contract import Values
from mlplan.serve.problems import RequestProblem
from mlplan.serve.request_log import Entry
from mlplan.serve.state import Serving

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Route = Literal["predict", "invocations", "v2"]

log = logging.getLogger("mlplan.serve")
encode = msgspec.json.Encoder().encode
_MAX_ID = 128


@dataclass(slots=True)
class _Headers:
    """The headers of a request that matter here. length: -1 when none is given."""

    request_id: bytes
    length: int
    content_type: bytes
    encoding: bytes


class Inference:
    """Answers requests for predictions."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._settings = serving.settings
        self._version = serving.settings.version.encode()

    async def __call__(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens, and count it."""
        started = time.perf_counter()
        headers = _headers(scope["headers"])
        request_id = headers.request_id.decode("ascii")
        retry_after = 0
        self._serving.busy += 1
        try:
            status, body = 200, await self._answer(route, headers, request_id, receive)
        except RequestProblem as problem:
            status, body, retry_after = problem.status, encode(problem.to_json(request_id)), problem.retry_after
            if status in (400, 413, 415, 422):
                self._serving.metrics.rejected(problem.column, problem.reason)
        except Exception:  # a mistake of ours: the client gets no traceback, the log does
            log.exception("request %s failed", request_id)
            mistake = RequestProblem(500, "internal", "The server failed; its log says why.")
            status, body = 500, encode(mistake.to_json(request_id))
        finally:
            self._serving.busy -= 1
        self._serving.metrics.request(route, status, time.perf_counter() - started)
        await respond(self._serving, send, status, body, headers.request_id, retry_after=retry_after)

    async def _answer(self, route: Route, headers: _Headers, request_id: str, receive: Receive) -> bytes:
        serving, settings = self._serving, self._settings
        if serving.contract is None or serving.batcher is None or serving.info is None or serving.phase == "failed":
            raise RequestProblem(503, "not-ready", "The model is not ready.", retry_after=1)
        deadline = time.monotonic() + settings.deadline
        try:
            async with asyncio.timeout(settings.deadline):
                body = await _read(headers, receive, settings.max_body)
                values, rows, warnings, request_id = self._decode(route, headers, body, request_id)
                outputs = await serving.batcher.submit(values, rows, deadline, request_id)
        except TimeoutError:
            raise RequestProblem(504, "deadline", "The request took longer than its deadline.") from None
        for column, reason in warnings:
            serving.metrics.warned(column, reason)
        serving.metrics.predicted(outputs, bool(serving.info.classes))
        if serving.log is not None:
            serving.log.add(Entry(time.time(), request_id, values, outputs, rows))
        if route == "v2":
            return encode(protocol.answer(settings.model, settings.version, request_id, serving.info, outputs))
        predictions = _predictions(outputs, serving.info.classes)
        return encode({"predictions": predictions, "model": settings.model, "version": settings.version})

    def _decode(
        self, route: Route, headers: _Headers, body: bytearray, request_id: str
    ) -> tuple[Values, int, list[tuple[str, str]], str]:
        """Return values, rows, warnings, and the request id."""
        contract = self._serving.contract
        assert contract is not None
        if route == "v2":
            rows, own_id = protocol.rows_of(body)
            return *contract.convert(rows), own_id if own_id is not None and _is_id(own_id.encode()) else request_id
        if route == "invocations":
            if headers.content_type.startswith(b"text/csv"):
                return *contract.convert(bodies.rows_of_csv(body), from_text=True), request_id
            if bodies.has_frames(body):
                return *contract.convert(bodies.rows_of_frames(body)), request_id
        return *contract.decode(body), request_id


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> _Headers:
    found = _Headers(b"", -1, b"", b"")
    for name, value in raw:
        if name == b"x-request-id":
            if _is_id(value):
                found.request_id = value
        elif name == b"content-length":
            found.length = int(value) if value.isdigit() else -1
        elif name == b"content-type":
            found.content_type = value.lower()
        elif name == b"content-encoding":
            found.encoding = value.lower()
    if not found.request_id:
        found.request_id = os.urandom(16).hex().encode()
    return found


def _is_id(value: bytes) -> bool:
    """Tell whether a request id can be given back and logged: short, printable ASCII without blanks."""
    return 0 < len(value) <= _MAX_ID and value.isascii() and value.decode("ascii").isprintable() and b" " not in value


async def _read(headers: _Headers, receive: Receive, most: int) -> bytearray:
    """Return the body. Raises: RequestProblem 413, 415, 400."""
    if headers.length > most:
        raise RequestProblem(413, "body-too-large", f"The body may have at most {most} bytes.")
    if headers.encoding not in (b"", b"identity"):
        raise RequestProblem(415, "unsupported-encoding", "Compressed bodies are not read; send the body as it is.")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestProblem(400, "disconnected", "The client went away before it sent the whole body.")
        body += message.get("body", b"")
        if len(body) > most:
            raise RequestProblem(413, "body-too-large", f"The body may have at most {most} bytes.")
        if not message.get("more_body", False):
            return body


def _predictions(outputs: Mapping[str, list[Any]], classes: Sequence[Any]) -> list[dict[str, Any]]:
    """Return one object a row."""
    if "score" in outputs:
        pairs = zip(outputs["prediction"], outputs["score"], strict=True)
        return [{"prediction": prediction, "score": score} for prediction, score in pairs]
    if "scores" in outputs:
        names = [str(value) for value in classes]
        triples = zip(outputs["prediction"], outputs["scores"], strict=True)
        return [{"prediction": p, "scores": dict(zip(names, scores, strict=True))} for p, scores in triples]
    return [{"prediction": prediction} for prediction in outputs["prediction"]]


async def respond(
    serving: Serving,
    send: Send,
    status: int,
    body: bytes,
    request_id: bytes,
    *,
    content_type: bytes = b"application/json",
    retry_after: int = 0,
) -> None:
    """Send a whole answer with our headers; a draining process closes its connections one answer at a time."""
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-mlplan-model-version", serving.settings.version.encode()),
        (b"x-request-id", request_id),
    ]
    if retry_after:
        headers.append((b"retry-after", str(retry_after).encode()))
    if serving.phase == "draining" or status == 413:  # the rest of a body too large is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def predict_values(serving: Serving, predictor: Any) -> Callable[[Values, int], dict[str, list[Any]]]:
    """Return the function that the model thread runs."""
    from mlplan.artifact.frame import frame_of_arrays
    from mlplan.artifact.probe import plain

    contract = serving.contract
    assert contract is not None

    def predict(values: Values, rows: int) -> dict[str, list[Any]]:
        try:
            arrays = contract.arrays(values)
        except (
            ArtifactError
        ) as error:  # a moment beyond what numpy counts: the contract's types are wider than the model's
            raise RequestProblem(422, "contract", error.detail, reason="type", path="$.instances") from error
        outputs = plain(predictor.predict(frame_of_arrays(arrays, rows)))
        for name, column in outputs.items():
            if len(column) != rows:
                raise ArtifactError(
                    "model-failed", "The model gave another number of answers", f"{name}: {len(column)} for {rows} rows"
                )
        return outputs

    return predict
