"""Assemble the application: routes, error handlers, middleware, and the start and end of the processes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from emocatcher import __version__
from emocatcher.server import api, docs, openapi, problems, web_page
from emocatcher.server.problems import ProblemError
from emocatcher.server.prometheus import MetricsMiddleware
from emocatcher.server.security import Guard, SecurityHeaders
from emocatcher.server.service import Service
from emocatcher.server.worker_process import RefusedError

_METRICS = "text/plain; version=0.0.4; charset=utf-8"


def create(service: Service) -> FastAPI:
    """Create the ASGI application of a server; its lifespan starts and stops the processes."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title=openapi.TITLE,
        description=openapi.DESCRIPTION,
        version=__version__,
        docs_url=None,  # FastAPI's pages load scripts from another host
        redoc_url=None,
        lifespan=lifespan,
    )
    if service.labelling is None:
        api.add(app, service)
        page = web_page.find()
    else:
        # Imported here, because `emocatcher serve` does not need it.
        from emocatcher.server.labelling import label_routes

        label_routes.add(app, service, service.labelling)
        page = label_routes.PAGE
    _add_health(app, service)
    _add_documents(app)
    app.add_exception_handler(ProblemError, problems.on_problem)
    app.add_exception_handler(RefusedError, problems.on_problem)
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(Exception, problems.on_fault)
    app.add_middleware(Guard, tokens=service.tokens, hosts=service.hosts)
    app.add_middleware(problems.StoppingMiddleware)
    if service.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(MetricsMiddleware, metrics=service.metrics, log=service.log)
    _add_page(app, page)
    return app


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", tags=["Health"], response_class=PlainTextResponse)
    async def healthz() -> Response:
        """Report that the server is running."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz", tags=["Health"], response_class=PlainTextResponse, responses=openapi.NOT_READY)
    async def readyz() -> Response:
        """Report whether all worker processes are warmed up."""
        if not service.is_ready:
            reason = service.pool.failure.detail if service.pool.failure else "the model is being loaded"
            raise ProblemError(503, f"Not ready: {reason}", "NotReady", {"Retry-After": "1"})
        return PlainTextResponse("ready\n")

    @app.get("/metrics", tags=["Health"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Return counts and times in Prometheus's text format."""
        return Response(service.metrics.text(), media_type=_METRICS)


def _add_documents(app: FastAPI) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = openapi.complete(schema)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]

    @app.get("/docs", include_in_schema=False)
    async def read_docs(request: Request) -> Response:
        return HTMLResponse(docs.as_html(document(), str(request.base_url).rstrip("/")))


def _add_page(app: FastAPI, folder: Path | None) -> None:
    files, default = web_page.Page(folder), app.router.default

    async def page_or_default(scope: Scope, receive: Receive, send: Send) -> None:
        # Called only if no route matches: a wrong method for a route still gives 405.
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            await files(scope, receive, send)
        else:
            await default(scope, receive, send)

    app.router.default = page_or_default
