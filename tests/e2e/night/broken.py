"""Upstreams that are broken, each in its own way, on free ports of loopback."""

import socket
from contextlib import suppress
from pathlib import Path
from threading import Thread

from night.certificates import Authority

LOCATION = "http://elsewhere.example/mcp"


def answer(status: str, body: str = "", **headers: str) -> bytes:
    """An answer of HTTP/1.1 after which the connection closes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body]).encode()


JSON = {"Content_Type": "application/json"}
HTML = {"Content_Type": "text/html"}

ANSWERS = {
    "unauthorized": answer("401 Unauthorized"),
    "forbidden": answer("403 Forbidden", "go away", **HTML),
    "crashed": answer("500 Internal Server Error", "Traceback", **HTML),
    "busy": answer("503 Service Unavailable", Retry_After="7"),
    "moved": answer("307 Temporary Redirect", Location=LOCATION),
    "wrong-path": answer("404 Not Found", "<html>no such page</html>", **HTML),
    "web-page": answer("200 OK", "<html>welcome</html>", **HTML),
    "no-json": answer("200 OK", '{"jsonrpc":"2.0",', **JSON),
    "cut": answer("200 OK", " " * 200, **JSON)[:-150],
    "hangs-up": b"",
    "no-http": b"220 mail.example ESMTP\r\n",
}
"""What these send for every request, before they close."""

EXPECTED = {
    "unauthorized": ["401"],
    "forbidden": ["403"],
    "crashed": ["500"],
    "busy": ["503"],
    "moved": ["307", LOCATION],
    "wrong-path": ["404"],
    "web-page": ["text/html"],
    "no-json": ["json"],
    "cut": ["body"],
    "hangs-up": ["closed"],
    "no-http": ["head"],
    "silent": ["call_timeout"],
    "refuses": ["connect", "refused"],
    "full": ["connect", "timed out"],
    "nowhere": ["resolve"],
    "untrusted": ["tls", "unknown issuer"],
    "misnamed": ["tls", "name"],
    "expired": ["tls", "expired"],
    "plain": ["tls"],
}
"""Words that the gateway must say about a call to each of them, in any case of letters."""


class Listener:
    """A server whose connections are each handled by a thread."""

    def __init__(self, handle, backlog: int = 16, host: str = "127.0.0.1", port: int = 0):
        self._handle = handle
        self._socket = socket.create_server((host, port), backlog=backlog)
        self.port = self._socket.getsockname()[1]
        self.address = f"{host}:{self.port}"

    def start(self):
        Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with suppress(OSError), connection:
            self._handle(connection)

    def close(self):
        # Wakes the thread that accepts, which closing alone does not.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def read_request(connection) -> bytes:
    """Head and body, as far as they come."""
    got = b""
    while b"\r\n\r\n" not in got and (piece := connection.recv(65536)):
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < length and (piece := connection.recv(65536)):
        body += piece
    return body


def says(content: bytes):
    """Handles a connection by one answer."""

    def handle(connection):
        if read_request(connection):
            connection.sendall(content)

    return handle


def stays_silent(connection):
    while connection.recv(65536):
        pass


class Full(Listener):
    """Its queue is full, and nobody accepts: connecting to it takes for ever."""

    def __init__(self):
        super().__init__(None, backlog=0)
        host, port = self._socket.getsockname()
        self._queue = []
        for _ in range(4):
            queued = socket.socket()
            queued.setblocking(False)
            queued.connect_ex((host, port))
            self._queue.append(queued)

    def close(self):
        for queued in self._queue:
            queued.close()
        super().close()


class Site:
    """All of them, with what the configuration of a gateway says about each."""

    def __init__(self, folder: Path):
        self._listeners = {}
        self.settings = {}
        for name, content in ANSWERS.items():
            self._plain(name, Listener(says(content)).start())
        self._plain("silent", Listener(stays_silent).start())
        self._plain("full", Full())
        self._plain("refuses", closed := Listener(None))
        closed.close()
        self.settings["nowhere"] = 'url = "http://no-such-host.invalid/mcp"'
        trusted, other = Authority(folder, "trusted"), Authority(folder, "other")
        for name, certified in {
            "untrusted": other.certify("untrusted"),
            "misnamed": trusted.certify("misnamed", host="127.0.0.9"),
            "expired": trusted.certify("expired", days=-1),
        }.items():
            self._secure(name, Listener(certified.handle).start(), trusted)
        self._secure("plain", Listener(says(ANSWERS["crashed"])).start(), trusted)

    def _plain(self, name: str, listener: Listener):
        self._listeners[name] = listener
        self.settings[name] = f'url = "http://{listener.address}/mcp"'

    def _secure(self, name: str, listener: Listener, trusted: Authority):
        self._listeners[name] = listener
        self.settings[name] = (
            f'url = "https://{listener.address}/mcp"\nca_file = "{trusted.cert}"'
        )

    def address(self, name: str) -> str:
        """Where it listens; a name where there is nothing to connect to."""
        listener = self._listeners.get(name)
        return listener.address if listener else "no-such-host.invalid"

    def close(self):
        for listener in self._listeners.values():
            listener.close()
