"""How much later an event of a stream arrives through the gateway: medians of the same run.

The upstream stamps each event as it writes it, in turns read directly and through the gateway.
Every event carries its number, and all must arrive in order.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time

from measure import CONFIG, TOKEN, free_port, wait_for

ROUNDS = 10
EVENTS = 100
PAUSE = 0.002

CALL = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "create_ticket"}}
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def upstream(reader, writer):
    """Answers any call with numbered, stamped events."""
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(HEAD)
        for number in range(EVENTS):
            await asyncio.sleep(PAUSE)
            event = b"data: %d %d\n\n" % (number, time.perf_counter_ns())
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        writer.write(b"0\r\n\r\n")


async def delays(port):
    """Microseconds from the writing of each event to its arrival."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        f"Content-Length: {len(CALL)}\r\n\r\n{CALL}"
    )
    writer.write(head.encode())
    await reader.readuntil(b"\r\n\r\n")
    found = []
    while len(found) < EVENTS:
        line = await reader.readuntil(b"\n")
        arrived = time.perf_counter_ns()
        if line.startswith(b"data: "):
            number, written = map(int, line[6:].split())
            assert number == len(found), f"event {number} in place {len(found)}"
            found.append((arrived - written) / 1000)
    writer.close()
    return found


async def compare(ports):
    server = await asyncio.start_server(upstream, "127.0.0.1", ports["direct"])
    found = {"direct": [], "doorward": []}
    async with server:
        for _ in range(ROUNDS):
            for name, collected in found.items():
                collected += await delays(ports[name])
    for name, collected in found.items():
        late = statistics.quantiles(collected, n=100)[98]
        print(f"{name:9} median {statistics.median(collected):6.0f} us, p99 {late:6.0f} us")
    added = statistics.median(found["doorward"]) - statistics.median(found["direct"])
    print(f"added to an event at the median of {ROUNDS * EVENTS}: {added:.0f} us")


def main():
    ports = {"direct": free_port(), "doorward": free_port()}
    admin = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(CONFIG.format(listen=ports["doorward"], admin=admin, upstream=ports["direct"]))
        config.flush()
        command = ["target/release/doorward", "run", "--config", config.name]
        quiet = subprocess.DEVNULL
        gateway = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        try:
            wait_for(ports["doorward"])
            asyncio.run(compare(ports))
        finally:
            gateway.kill()
            gateway.wait()


if __name__ == "__main__":
    sys.exit(main())
