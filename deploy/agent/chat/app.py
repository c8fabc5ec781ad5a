"""The routes: who may write to which thread, and which status says what."""

import asyncio
import json
import logging
import re
import traceback
import uuid
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_ai.exceptions import AgentRunError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route

from . import strict
from .assistant import Assistant
from .gateway import BadToken, NotPermitted, Unavailable, connect
from .room import Full, Places, Room
from .strict import Reply
from .threads import NotYours, Threads

log = logging.getLogger("chat")

PATH = "/api/v1/chat/{organization_id}/threads/{thread_id}/messages"
MAX_BODY = 64 * 1024
PATIENCE = 30.0
"""Seconds for a whole message."""
REMEMBERED = 20
"""Earlier messages of the thread that the model is given."""
SHOWN = 200
"""The last messages of a thread that a caller is shown."""
CLOSE = {"Connection": "close"}
"""Where the rest of a body is not read."""


class Body(BaseModel):
    """What a caller posts."""

    model_config = ConfigDict(extra="forbid", strict=True)
    content: str = Field(min_length=1, max_length=8000)
    message_type: Literal["user"] = "user"


class Refused(HTTPException):
    """An answer that says no, in one sentence."""


def application(
    gateway: str, assistant: Assistant, database: str, room: Room | None = None
) -> Starlette:
    """The application in front of the gateway at this URL, with its threads in this file."""
    room = room or Room()
    places = Places(room.messages)

    @asynccontextmanager
    async def lifespan(app: Starlette):
        app.state.threads = Threads(database)
        yield
        app.state.threads.close()

    async def post(request: Request) -> Reply:
        token, thread, threads = bearer(request), thread_of(request), request.app.state.threads
        body = await body_of(request, room.body)
        async with acting(request, gateway, token, places) as (client, caller):
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
        return Reply(
            answer.model_dump() | {"tools_used": tools, "thread_id": thread, "message_id": id}
        )

    async def get(request: Request) -> Reply:
        token, thread, threads = bearer(request), thread_of(request), request.app.state.threads
        async with acting(request, gateway, token, places) as (_, caller):
            if threads.is_new(thread, caller):
                raise NotYours
            messages = [asdict(message) for message in threads.messages(thread, SHOWN)]
        return Reply({"thread_id": thread, "messages": messages})

    app = Starlette(
        routes=[
            Route(PATH, post, methods=["POST"]),
            Route(PATH, get, methods=["GET"]),
            Route("/health", lambda _: Reply({"status": "ok"})),
        ],
        middleware=[Middleware(Broken)],
        exception_handlers={HTTPException: refuse},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


class Broken:
    """Tells in one line where something went wrong that nobody thought of, and callers nothing."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            *_, at = traceback.extract_tb(error.__traceback__)
            place = f"{at.filename}:{at.lineno}"
            log.error("broken: %s: %s (%s)", type(error).__name__, str(error)[:200], place)
            if scope["type"] != "http":
                raise
            await Reply({"error": "something went wrong"}, 500, CLOSE)(scope, receive, send)


async def refuse(_: Request, refused: HTTPException) -> Reply:
    log.info("refused status=%s: %s", refused.status_code, refused.detail)
    return Reply({"error": refused.detail}, refused.status_code, refused.headers)


@asynccontextmanager
async def acting(request: Request, gateway: str, token: str, places: Places):
    """The caller's client and the caller, who belongs to the organization of the path."""
    try:
        with places.one(token):
            async with asyncio.timeout(PATIENCE), connect(gateway, token) as (client, caller):
                if caller.organization != request.path_params["organization_id"]:
                    raise Refused(403, "this is not your organization")
                yield client, caller
    except Full:
        raise Refused(503, "too many messages at once", headers={"Retry-After": "1"}) from None
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


async def body_of(request: Request, patience: float) -> Body:
    raw = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > MAX_BODY:
                    raise Refused(413, "the message is too long", CLOSE)
    except TimeoutError:
        raise Refused(408, "the body did not come in time", CLOSE) from None
    try:
        return Body.model_validate(strict.read(bytes(raw)))
    except ValidationError as error:
        first = error.errors()[0]
        raise Refused(422, f"{member_of(first['loc'])}: {first['msg']}") from None
    except ValueError:
        raise Refused(400, "the body is not JSON") from None


def member_of(place: tuple[int | str, ...]) -> str:
    """The member of the body that is at fault. Its name is the caller's, where it is not ours."""
    if not place:
        return "body"
    name = str(place[0])
    return name if name in Body.model_fields else json.dumps(name[:64])
