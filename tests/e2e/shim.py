"""Adds a token for a client that has no way to send one; every other byte passes as it came."""

import socket
from contextlib import suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread


class Shim(ThreadingTCPServer):
    """Listens from the start; `upstream`, a host and a port, is set before the first request."""

    daemon_threads = True

    def __init__(self, token: str):
        super().__init__(("127.0.0.1", 0), _Connection)
        self.header = f"Authorization: Bearer {token}\r\n".encode()
        self.upstream = None
        self.address = f"127.0.0.1:{self.server_address[1]}"
        Thread(target=self.serve_forever, daemon=True).start()


class _Connection(StreamRequestHandler):
    def handle(self):
        with socket.create_connection(self.server.upstream) as upstream:
            Thread(target=_pump, args=(upstream, self.connection), daemon=True).start()
            with suppress(OSError):
                while request := self._request():
                    upstream.sendall(request)
            _hang_up(upstream)  # the client has gone, so its calls must end

    def _request(self) -> bytes:
        """The next request with the header added, or nothing at the end."""
        head, length = [self.rfile.readline(), self.server.header], 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.lower().partition(b":")
            assert name != b"transfer-encoding", "a request in chunks is more than this can read"
            length = int(value) if name == b"content-length" else length
            head.append(line)
        return line and b"".join([*head, line, self.rfile.read(length)])


def _pump(upstream: socket.socket, client: socket.socket):
    """Answers, each piece as soon as it comes."""
    with suppress(OSError):
        while piece := upstream.recv(65536):
            client.sendall(piece)
    _hang_up(client)


def _hang_up(connection: socket.socket):
    """Both ways, which also wakes the thread that reads from it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
