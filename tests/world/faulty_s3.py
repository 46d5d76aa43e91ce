"""What goes wrong between an SDK and S3, put under the real SDK in front of the real server; and a server without conditions."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session


class Wire:
    """Stands between a client and its server. fault: called with (operation, key) of each request; names what happens to
    it: None, "lose-request", "lose-response", "500-after", "duplicate" (it arrives twice, and the second answer comes back), "late"
    (it arrives once more after the next request), "stale" (the answer to the same read before), "404", or an S3 error code."""

    def __init__(self, client: Any, fault: Callable[[str, str], str | None]) -> None:
        self.requests: list[tuple[str, str]] = []
        self._fault = fault
        self._session = URLLib3Session()
        self._answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = {}
        self._late: Any = None
        for operation in ("PutObject", "GetObject", "ListObjectsV2", "DeleteObject"):
            client.meta.events.register(f"before-send.s3.{operation}", self._send(operation))

    def _send(self, operation: str) -> Callable[..., Any]:
        def handle(request: Any, **_: Any) -> Any:
            key = request.url.partition("?")[0].rpartition("/default/")[2]
            self.requests.append((operation, key))
            fault = self._fault(operation, key)
            late, self._late = self._late, None
            if fault in (None, "stale", "duplicate", "late"):
                answer = self._passed(request, fault)
                if late is not None:
                    late.reset_stream()
                    self._session.send(late)
                return answer
            if fault in ("lose-response", "500-after"):
                self._session.send(request)
            if fault.startswith("lose"):
                raise ConnectionClosedError(endpoint_url=request.url)
            code = {"500-after": "InternalError", "404": "NoSuchKey"}.get(fault, fault)
            status = {"500-after": 500, "404": 404, "ExpiredToken": 400}.get(fault, 403)
            return _answer(request.url, status, code)

        return handle

    def _passed(self, request: Any, fault: str | None) -> AWSResponse | None:
        """Let a request through: twice, once more later, or answered as the last time."""
        if fault == "late":
            self._late = request
        if request.method != "GET":
            if fault == "duplicate":
                self._session.send(request)
                request.reset_stream()
            return None
        known = self._answers.setdefault(request.url, [])
        if not known or fault != "stale":
            found = self._session.send(request)
            known.append((found.status_code, dict(found.headers), found.content))
        status, headers, body = known[-1]
        return AWSResponse(request.url, status, headers, _raw(body))


def _raw(body: bytes) -> Any:
    """Return what the SDK reads a body from."""

    class Raw:
        def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
            yield body

        def read(self, *_: Any, **__: Any) -> bytes:
            return body

    return Raw()


def _answer(url: str, status: int, code: str) -> AWSResponse:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
    return AWSResponse(url, status, {"Content-Type": "application/xml"}, _raw(body))


class _Careless(BaseHTTPRequestHandler):
    """Objects in memory; conditions are read by nobody."""

    objects: dict[str, bytes]

    def log_message(self, *_: Any) -> None: ...

    def _reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.objects[self.path.partition("?")[0]] = data
        self._reply(200, ETag=f'"{hashlib.md5(data).hexdigest()}"')

    def do_GET(self) -> None:
        data = self.objects.get(self.path.partition("?")[0])
        if data is None:
            self._reply(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._reply(200, data, ETag=f'"{hashlib.md5(data).hexdigest()}"')

    def do_DELETE(self) -> None:
        self.objects.pop(self.path.partition("?")[0], None)
        self._reply(204)


@contextmanager
def careless_server() -> Iterator[str]:
    """Yield the endpoint of a server that ignores If-None-Match and If-Match, as old ones do."""
    handler = type("Careless", (_Careless,), {"objects": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
