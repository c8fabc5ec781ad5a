"""Whole requests: nobody works on one before its body is there, and each caller has a share."""

import asyncio
from typing import Any

from starlette.responses import JSONResponse

from .room import Full, Places, Room

MAX_BODY = 512 * 1024
"""Bytes; the largest ticket that the API takes, inside its JSON-RPC envelope."""
CLOSE = {"Connection": "close"}
"""Where the rest of a body is not read."""


class Refused(Exception):
    """An answer that says no: its status, and one sentence."""


class Whole:
    """An ASGI middleware. A caller is who the gateway says that it is, by these headers."""

    def __init__(self, app: Any, room: Room, caller: tuple[str, ...]) -> None:
        self._app, self._patience = app, room.body
        self._places, self._caller = Places(room.messages), caller

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        try:
            async with asyncio.timeout(self._patience):
                body = await self._read(headers, receive)
        except TimeoutError:
            answer = JSONResponse({"error": "the body did not come in time"}, 408, CLOSE)
            return await answer(scope, receive, send)
        except Refused as refused:
            status, sentence = refused.args
            return await JSONResponse({"error": sentence}, status, CLOSE)(scope, receive, send)
        if body is None:
            return None
        try:
            with self._places.one("\n".join(str(headers.get(name)) for name in self._caller)):
                await self._app(scope, again(body, receive), send)
        except Full:
            answer = JSONResponse({"error": "too many requests at once"}, 503, {"Retry-After": "1"})
            return await answer(scope, receive, send)

    async def _read(self, headers: dict, receive: Any) -> bytes | None:
        """None where the client has left."""
        length = headers.get(b"content-length", b"0")
        body, more = bytearray(), True
        while more:
            if len(body) > MAX_BODY or (length.isdigit() and int(length) > MAX_BODY):
                raise Refused(413, f"the body is larger than {MAX_BODY // 1024} KiB")
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return bytes(body)


def again(body: bytes, receive: Any) -> Any:
    """What gives the body, and then what else comes."""
    given = False

    async def once() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
