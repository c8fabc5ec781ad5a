"""uvicorn's HTTP, with a bound on connections and a deadline on everything that one does."""

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .room import Room

log = logging.getLogger(__package__)

LONGEST_HEAD = 32 * 1024
"""Bytes, as in doorward's own gateway.toml."""
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"retry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


def bounded(room: Room) -> type[H11Protocol]:
    """A protocol for uvicorn that keeps these bounds."""

    class Connection(H11Protocol):
        """A connection of a client.

        Where there are too many, the one ends that has kept us waiting longest for its head or its
        body: whoever sends a whole request is served, however many others hold theirs back.
        """

        waits_since = 0.0
        _step: str | None = None
        _timer: asyncio.TimerHandle | None = None
        _is_refused = False

        def connection_made(self, transport: Any) -> None:
            if len(self.connections) >= room.connections and not self._make_room():
                self._is_refused = True
                log.info("refused status=503: too many connections")
                transport.write(FULL)
                transport.close()
                return
            super().connection_made(transport)
            self._watch()

        def _make_room(self) -> bool:
            waiting = [other for other in self.connections if other.is_waited_for]
            if waiting:
                oldest = min(waiting, key=lambda other: other.waits_since)
                # Its end is told later; the place is free now.
                self.connections.discard(oldest)
                oldest.give_up("there are too many connections")
            return bool(waiting)

        @property
        def is_waited_for(self) -> bool:
            return self._step in ("head", "body")

        def _watch(self) -> None:
            """Sets the deadline of what is to come next, once."""
            step = {h11.IDLE: "head", h11.SEND_BODY: "body"}.get(self.conn.their_state, "exchange")
            if step == self._step or self.transport.is_closing():
                return
            self._forget()
            self._step, self.waits_since = step, self.loop.time()
            # The application says 408 a moment before.
            seconds = getattr(room, step) + (1.0 if step == "body" else 0.0)
            reason = f"its {step} took more than {seconds:g} s"
            self._timer = self.loop.call_later(seconds, self.give_up, reason)

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._step = None

        def give_up(self, reason: str) -> None:
            self._forget()
            log.info("ended a connection: %s", reason)
            self.transport.abort()

        def data_received(self, data: bytes) -> None:
            if not self._is_refused:
                super().data_received(data)
                self._watch()

        def on_response_complete(self) -> None:
            self._forget()
            super().on_response_complete()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            if not self._is_refused:
                self._forget()
                super().connection_lost(exc)

    return Connection
