"""The routes. Predictions go straight to `Inference`; everything else, which is rare, through Starlette."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mlplan.serve import openapi, protocol
from mlplan.serve.infer import Inference, Receive, Scope, Send, _headers
from mlplan.serve.infer import Route as InferRoute
from mlplan.serve.state import Serving


class Application:
    """The ASGI application of one serving process."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._inference = Inference(serving)
        model, version = serving.settings.model, serving.settings.version
        self._infer_routes: dict[str, InferRoute] = {
            "/predict": "predict",
            "/invocations": "invocations",
            f"/v2/models/{model}/infer": "v2",
            f"/v2/models/{model}/versions/{version}/infer": "v2",
        }
        self._others = _others(serving, self._infer_routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        route = self._infer_routes.get(scope["path"])
        if route is not None and scope["method"] == "POST":
            await self._inference(route, scope, receive, send)
        else:
            await self._other(scope, receive, send)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _headers(scope["headers"]).request_id
        extra = [(b"x-mlplan-model-version", self._serving.settings.version.encode()), (b"x-request-id", request_id)]

        async def send_with_headers(message: Scope) -> None:
            if message["type"] == "http.response.start":
                closing = [(b"connection", b"close")] if self._serving.phase == "draining" else []
                message["headers"] = [*message.get("headers", []), *extra, *closing]
            await send(message)

        await self._others(scope, receive, send_with_headers)


def _others(serving: Serving, infer_paths: Iterable[str]) -> Starlette:
    """Return the application of health, metadata, metrics and documentation."""
    model, version = serving.settings.model, serving.settings.version

    def ready() -> bool:
        return serving.phase == "ready"

    async def live(request: Request) -> Response:
        return JSONResponse({"live": serving.phase != "failed"}, 200 if serving.phase != "failed" else 503)

    async def is_ready(request: Request) -> Response:
        return JSONResponse({"ready": ready(), "phase": serving.phase, "version": version}, 200 if ready() else 503)

    async def ping(request: Request) -> Response:
        return Response(status_code=200 if ready() else 503)

    async def server(request: Request) -> Response:
        return JSONResponse({"name": "mlplan", "version": metadata.version("mlplan"), "extensions": []})

    async def described(request: Request) -> Response:
        if serving.contract is None or serving.info is None:
            return JSONResponse({"error": {"code": "not-ready", "message": "The model is not ready."}}, 503)
        if request.url.path == "/openapi.json":
            return JSONResponse(openapi.document(model, version, serving.contract.schema, serving.info))
        return JSONResponse(protocol.metadata(model, version, serving.contract.schema, serving.info))

    async def metrics(request: Request) -> Response:
        return Response(serving.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def wrong_method(request: Request) -> Response:
        raise HTTPException(405, headers={"allow": "POST"})

    async def missing(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        message = "There is no such route." if status == 404 else "This route does not have this method."
        return JSONResponse(
            {"error": {"code": "not-found" if status == 404 else "wrong-method", "message": message}}, status
        )

    routes = [
        Route("/v2/health/ready", is_ready),
        Route("/v2/health/live", live),
        Route("/ping", ping),
        Route("/metrics", metrics),
        Route("/openapi.json", described),
        Route("/v2", server),
        Route(f"/v2/models/{model}", described),
        Route(f"/v2/models/{model}/versions/{version}", described),
        Route(f"/v2/models/{model}/ready", is_ready),
        Route(f"/v2/models/{model}/versions/{version}/ready", is_ready),
    ]
    routes += [Route(path, wrong_method, methods=["GET", "PUT", "DELETE", "PATCH"]) for path in infer_paths]
    return Starlette(routes=routes, exception_handlers={404: missing, 405: missing})
