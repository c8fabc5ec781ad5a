"""How much there is room for: connections, messages at once, and how long each may take."""

import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

FILES_OF_OUR_OWN = 64
"""Of the files that a process may open: logs, database, and connections that are just accepted."""
BACKLOG = 8
"""Connections that are accepted in one go; some of these goes may pass before any is counted."""
WAITING = 1024
"""Connections that wait in the kernel until they are accepted."""


@dataclass(frozen=True)
class Room:
    """The bounds. The seconds are those of doorward's own gateway.toml."""

    connections: int = 512
    messages: int = 128
    """That are answered at once; of one token a quarter."""
    head: float = 10.0
    """Seconds for a whole head, and for a connection that is idle."""
    body: float = 30.0
    """Seconds for a whole body."""
    exchange: float = 60.0
    """Seconds from a whole request until its answer has been taken."""


class TooFewFiles(Exception):
    """The process may not open as many files as it needs."""


def measure(connections: int = Room.connections) -> Room:
    """As much as the limit of open files allows, which is raised as far as it goes, and at most so
    many connections.

    A message takes one connection of its caller's and up to three to the gateway.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65536 if hard == resource.RLIM_INFINITY else hard
    files = max(soft, most) if soft != resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    free = files - FILES_OF_OUR_OWN
    if free < FILES_OF_OUR_OWN // 2:
        least = FILES_OF_OUR_OWN + FILES_OF_OUR_OWN // 2
        raise TooFewFiles(f"{files} open files are allowed and {least} needed; raise ulimit -n")
    return Room(connections=min(connections, free * 2 // 5), messages=min(128, free // 5))


class Full(Exception):
    """Too many messages are being answered, of all or of this token."""


class Places:
    """Messages that are being answered. One token takes a quarter of the places at most."""

    def __init__(self, messages: int) -> None:
        self._all, self._of_one = messages, max(1, messages // 4)
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, token: str) -> Iterator[None]:
        if self._taken.total() >= self._all or self._taken[token] >= self._of_one:
            raise Full
        self._taken[token] += 1
        try:
            yield
        finally:
            self._taken[token] -= 1
            if not self._taken[token]:
                del self._taken[token]
