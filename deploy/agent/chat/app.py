"""The routes: who may write to which thread, and which status says what."""

import asyncio
import json
import logging
import re
import uuid
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_ai.exceptions import AgentRunError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .assistant import Assistant
from .gateway import BadToken, NotPermitted, Unavailable, connect
from .threads import NotYours, Threads

log = logging.getLogger("chat")

PATH = "/api/v1/chat/{organization_id}/threads/{thread_id}/messages"
MAX_BODY = 64 * 1024
PATIENCE = 30.0
"""Seconds for a whole message."""
REMEMBERED = 20
"""Earlier messages of the thread that the model is given."""


class Body(BaseModel):
    """What a caller posts."""

    model_config = ConfigDict(extra="forbid", strict=True)
    content: str = Field(min_length=1, max_length=8000)
    message_type: Literal["user"] = "user"


class Refused(HTTPException):
    """An answer that says no, in one sentence."""


def application(gateway: str, assistant: Assistant, database: str) -> Starlette:
    """The application in front of the gateway at this URL, with its threads in this file."""

    @asynccontextmanager
    async def lifespan(app: Starlette):
        app.state.threads = Threads(database)
        yield
        app.state.threads.close()

    async def post(request: Request) -> JSONResponse:
        token, thread, threads = bearer(request), thread_of(request), request.app.state.threads
        body = await body_of(request)
        async with acting(request, gateway, token) as (client, caller):
            threads.is_new(thread, caller)
            history = threads.messages(thread, REMEMBERED)
            answer, tools = await assistant.answer(client, history, body.content)
            id = threads.add(thread, caller, body.content, answer.content, tools)
        log.info(
            "answered organization=%r thread=%s tools=%s",
            caller.organization,
            thread,
            ",".join(tool["name"] for tool in tools),
        )
        return JSONResponse(
            answer.model_dump() | {"tools_used": tools, "thread_id": thread, "message_id": id}
        )

    async def get(request: Request) -> JSONResponse:
        token, thread, threads = bearer(request), thread_of(request), request.app.state.threads
        async with acting(request, gateway, token) as (_, caller):
            if threads.is_new(thread, caller):
                raise NotYours
            messages = [asdict(message) for message in threads.messages(thread)]
        return JSONResponse({"thread_id": thread, "messages": messages})

    app = Starlette(
        routes=[
            Route(PATH, post, methods=["POST"]),
            Route(PATH, get, methods=["GET"]),
            Route("/health", lambda _: JSONResponse({"status": "ok"})),
        ],
        exception_handlers={HTTPException: refuse},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


async def refuse(_: Request, refused: HTTPException) -> JSONResponse:
    log.info("refused status=%s: %s", refused.status_code, refused.detail)
    return JSONResponse({"error": refused.detail}, refused.status_code, refused.headers)


@asynccontextmanager
async def acting(request: Request, gateway: str, token: str):
    """The caller's client and the caller, who belongs to the organization of the path."""
    try:
        async with asyncio.timeout(PATIENCE), connect(gateway, token) as (client, caller):
            if caller.organization != request.path_params["organization_id"]:
                raise Refused(403, "this is not your organization")
            yield client, caller
    except BadToken:
        raise unauthenticated("the token is not accepted") from None
    except NotPermitted:
        raise Refused(403, "this token may not use the tool whoami") from None
    except NotYours:
        raise Refused(404, "no such thread") from None
    except TimeoutError:
        raise Refused(504, "this took too long") from None
    except (Unavailable, AgentRunError) as error:
        log.warning("not answered: %s: %s", type(error).__name__, error)
        raise Refused(503, "the tools or the model cannot be reached; try again later") from None


def unauthenticated(sentence: str) -> Refused:
    return Refused(401, sentence, headers={"WWW-Authenticate": "Bearer"})


def bearer(request: Request) -> str:
    """The token of RFC 6750; nothing else could travel on."""
    found = re.fullmatch(
        r"(?i:bearer) +([\w.~+/-]+=*)", request.headers.get("authorization", ""), re.A
    )
    if found is None or len(request.headers.getlist("authorization")) != 1:
        raise unauthenticated("a bearer token is needed")
    return found[1]


def thread_of(request: Request) -> str:
    try:
        return str(uuid.UUID(request.path_params["thread_id"]))
    except ValueError:
        raise Refused(422, "the thread id must be a UUID") from None


async def body_of(request: Request) -> Body:
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            raise Refused(413, "the message is too long")
    try:
        return Body.model_validate(json.loads(raw))
    except ValidationError as error:
        member = ".".join(str(part) for part in error.errors()[0]["loc"]) or "body"
        raise Refused(422, f"{member}: {error.errors()[0]['msg']}") from None
    except ValueError:
        raise Refused(400, "the body is not JSON") from None
