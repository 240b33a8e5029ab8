"""Which address answers what. What stands around it is in `guard`, what computes in `engine`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from modiste.serve.access import Access
from modiste.serve.answers import (
    Description,
    Error,
    Explanation,
    Predictions,
    Ready,
    Served,
    describe,
)
from modiste.serve.body import FIELD, FORM, OTHER, RAW, Held, Upload, images_in
from modiste.serve.engine import Deadline, Engine
from modiste.serve.guard import Guard, answer
from modiste.serve.limits import Limits
from modiste.serve.pages import add_pages
from modiste.serve.problem import CODES, Problem

_ABOUT = """Classifies images with one exported model.

Every refusal is one JSON object, `{"error": {"code", "message"}}`; the codes are stable.
"""


def _plain(digits: str) -> str:
    """What pydantic would also read as a whole number (`+0.0`, `1_0`, ` 1`) the schema calls none.

    Raises:
        ValueError: It is not written as JSON writes a whole number.
    """
    if re.fullmatch(r"-?(0|[1-9][0-9]*)", digits) is None:
        raise ValueError("should be a whole number in plain digits")
    return digits


Number = Annotated[int, BeforeValidator(_plain)]


@dataclass
class State:
    """What changes while the server runs.

    Attributes:
        is_stopping: It was told to end: what was accepted is finished, nothing new is begun.
    """

    is_stopping: bool = False


def create_app(
    served: Served,
    access: Access | None = None,
    limits: Limits | None = None,
    state: State | None = None,
) -> FastAPI:
    """The whole of it, for any ASGI server.

    Args:
        served: The model.
        access: Who may ask; only this machine if not given.
        limits: What is refused.
        state: Set by whoever ends it.
    """
    limits, state = limits or Limits(), state or State()
    engine = Engine(limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        engine.close()

    app = FastAPI(
        title="modiste serve",
        version=version("modiste"),
        description=_ABOUT,
        # Their pages load scripts from elsewhere; ours and `/openapi.json` need no network.
        docs_url=None,
        redoc_url=None,
        # Nothing is told to anybody, whatever the environment says.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.add_middleware(Guard, access=access or Access(), body_seconds=limits.body_seconds)
    _add_health(app, state)
    _add_model(app, served, limits)
    _add_answers(app, served, engine, limits)
    add_pages(app, served)
    _add_problems(app)
    return app


def _refusals(*codes: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of refusals; those that any request may meet included."""
    always = ("wrong_host", "foreign_origin", "token_needed", "bad_request")
    found: dict[int | str, dict[str, Any]] = {}
    for code in (*always, *codes):
        status, words = CODES[code]
        before = found.get(status, {}).get("description", "")
        found[status] = {"model": Error, "description": f"{before} `{code}`: {words}".strip()}
    return found


def _add_health(app: FastAPI, state: State) -> None:
    @app.get("/healthz", tags=["health"], response_model=Ready, responses=_refusals())
    async def healthz() -> Response:
        """The process runs. Needs no token."""
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", tags=["health"], response_model=Ready, responses=_refusals("stopping"))
    async def readyz() -> Response:
        """The model answers, and new requests are welcome. Needs no token."""
        if state.is_stopping:
            raise Problem("stopping", "the server ends; ask another.", {"connection": "close"})
        return JSONResponse({"status": "ready"})


def _add_model(app: FastAPI, served: Served, limits: Limits) -> None:
    most = {"bytes": limits.body_bytes, "images": limits.images}
    description = describe(served, most).model_dump_json().encode()

    @app.get("/model", tags=["model"], response_model=Description, responses=_refusals())
    async def model() -> Response:
        """The model that answers, and its samples."""
        return Response(description, media_type="application/json")

    @app.get(
        "/samples/{number}",
        tags=["model"],
        response_class=Response,
        responses={
            **_refusals("not_found"),
            # Without it FastAPI writes down its own answer to a number that is none, 422 in another
            # form, which `_add_problems` never lets out.
            "default": {"model": Error, "description": "Any other refusal."},
            200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
        },
    )
    async def sample(number: Number) -> Response:
        """An image that was exported with the model, at its size."""
        return Response(served.sample(number), media_type="image/png")


def _add_answers(app: FastAPI, served: Served, engine: Engine, limits: Limits) -> None:
    of_body = ("bad_form", "no_image", "too_slow", "too_large", "too_many_images")
    refusals = _refusals(
        *(*of_body, "unsupported_media_type", "bad_image", "busy", "took_too_long")
    )

    held = Held(limits)

    async def asked(request: Request, job: Callable[[list[Upload], Deadline], Any]) -> Response:
        engine.need_room()
        with held.one() as take:
            uploads = await images_in(request, limits, take)
            content = await engine.run(lambda deadline: _json(job(uploads, deadline)))
        return Response(content, media_type="application/json")

    @app.post(
        "/predict",
        tags=["answers"],
        response_model=Predictions,
        responses=refusals,
        openapi_extra=_takes(limits.images),
    )
    async def predict(request: Request) -> Response:
        """Classify one image (the body is the file) or many (a form of files)."""
        return await asked(request, served.predict)

    @app.post(
        "/explain",
        tags=["answers"],
        response_model=Explanation,
        responses=refusals,
        openapi_extra=_takes(1),
    )
    async def explain(request: Request) -> Response:
        """Classify one image, show what the model sees of it, and which part decided."""

        def explained(uploads: list[Upload], deadline: Deadline) -> Any:
            if len(uploads) > 1:
                raise Problem("too_many_images", "one image is explained at a time.")
            return served.explain(uploads[0], deadline)

        return await asked(request, explained)


def _takes(most: int) -> dict[str, Any]:
    """What OpenAPI says of a body that holds images."""
    file = {"type": "string", "format": "binary", "minLength": 1}
    files = {"type": "array", "items": file, "minItems": 1, "maxItems": most}
    form = {
        "type": "object",
        "properties": {FIELD: files},
        "required": [FIELD],
        "additionalProperties": False,
    }
    content: dict[str, Any] = {kind: {"schema": file} for kind in RAW}
    content[FORM] = {
        "schema": form,
        "encoding": {FIELD: {"contentType": ", ".join(kind for kind in RAW if kind != OTHER)}},
    }
    return {"requestBody": {"required": True, "content": content}}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _add_problems(app: FastAPI) -> None:
    """Turn what others raise into refusals of our form."""

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer(error)

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return answer(Problem("not_found", f"there is nothing at {request.url.path!r}."))
        if error.status_code == 405:
            words = f"{request.url.path!r} is not asked by {request.method}."
            return answer(Problem("method_not_allowed", words, error.headers or {}))
        return answer(Problem("bad_request", str(error.detail)))

    async def of_value(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = " ".join(map(str, first["loc"]))
        return answer(Problem("bad_request", f"{where}: {first['msg']}"))

    async def of_us(_: Request, error: Exception) -> Response:
        # Starlette raises it again for the log, after the answer.
        return answer(Problem("internal", f"a bug of ours ({type(error).__name__}); report it."))

    app.add_exception_handler(Problem, refused)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_value)
    app.add_exception_handler(Exception, of_us)
