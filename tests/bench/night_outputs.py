"""What unread outputs, a jumping clock, an absurd duration or a shortened file of records do.

    python3 tests/bench/night_outputs.py target/release/doorward

For each attack: is the good caller served meanwhile, with what latency, and what is said of it.
"""

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import night_audit
from night_audit import CALL, HEADERS, Gateway, say

ABSURD = '"584542046090y"'
CLOCK = Path(__file__).parent.parent / "e2e" / "night" / "clock.c"


def asked(gateway, path):
    """Status and text of a page of the admin listener, or the error."""
    url = f"http://127.0.0.1:{gateway.ports['admin.listening']}{path}"
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError as error:
        return type(error).__name__, ""


def ended(gateway, patience=15):
    """How long the process takes to end."""
    began = time.perf_counter()
    gateway.process.send_signal(signal.SIGTERM)
    try:
        gateway.process.wait(timeout=patience)
        return f"ended after {time.perf_counter() - began:.1f} s"
    except subprocess.TimeoutExpired:
        return f"STILL THERE after {patience} s"


def absurd_duration(binary, upstream):
    """B10: a stream may last for longer than there are moments."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "gateway.toml")
        text = night_audit.configuration("", upstream)
        path.write_text(text.replace("[roles.r]", f"stream_max = {ABSURD}\n[roles.r]"))
        verb = [binary, "check", "--config", path]
        check = subprocess.run(verb, capture_output=True, text=True)
        complaint = (check.stdout + check.stderr).strip().splitlines()
        said = f"exit {check.returncode}: {' '.join(complaint)[:110]}"
        say("B10", f"stream_max = {ABSURD}, check", said)
    if check.returncode == 0:
        second = f'stream_max = {ABSURD}\n[roles.r]'
        night_audit.CONFIG = night_audit.CONFIG.replace("[roles.r]", second)
    gateway = Gateway(binary, "", upstream)
    say("B10", "good caller", gateway.good())
    gateway.end()


def unread_log(binary, upstream):
    """B14: standard error is a pipe that nobody reads, and another upstream is down."""
    closed = socket.create_server(("127.0.0.1", 0))
    second = f'[upstreams.s]\npath = "/s"\nurl = "http://127.0.0.1:{closed.getsockname()[1]}/s"\n'
    closed.close()
    audit = 'to = "off"\n' + second
    gateway = Gateway(binary, audit, upstream, tools='"t/*", "s/*"', reads_log=False)
    is_over = threading.Event()

    def fail():
        """Calls whose failure is worth a line, and garbage that is worth one, too."""
        while not is_over.is_set():
            with contextlib.suppress(OSError):
                client = socket.create_connection(("127.0.0.1", gateway.port), timeout=2)
                head = f"POST /s HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
                head += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
                client.sendall(f"{head}Content-Length: {len(CALL)}\r\n\r\n{CALL}".encode())
                client.recv(4096)
                client.close()
                garbage = socket.create_connection(("127.0.0.1", gateway.port), timeout=2)
                garbage.sendall(b"\x16\x03\x01\x02\x00" + os.urandom(512))
                garbage.recv(4096)
                garbage.close()

    threads = [threading.Thread(target=fail, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(5)
    say("B14", "log unread, upstream beside it down", gateway.good(10))
    say("B14", "log unread, /livez", asked(gateway, "/livez")[0])
    is_over.set()
    say("B14", "log unread, SIGTERM", ended(gateway))
    gateway.end()


def jump(binary, upstream):
    """B18: the wall clock jumps beyond the end of a token whose stream is open."""
    with tempfile.TemporaryDirectory() as folder:
        library, ahead = Path(folder, "clock.so"), Path(folder, "ahead")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, CLOCK, "-ldl"], check=True)
        ahead.write_text("0")
        server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=night_audit.streams, args=[server], daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/s"
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        audit = f'to = "off"\n[upstreams.s]\npath = "/s"\nurl = "{url}"\n[tokens.brief]\n'
        audit += f'sha256 = "{sha256("brief-token-1234567890")}"\nuser = "brief"\n'
        audit += f'organization = "o"\nroles = ["r"]\nexpires = {end}\n'
        env = os.environ | {"LD_PRELOAD": str(library), "CLOCK_AHEAD": str(ahead)}
        gateway = Gateway(binary, audit, upstream, env=env)
        stream = socket.create_connection(("127.0.0.1", gateway.port))
        head = f"GET /s HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
        head += "Authorization: Bearer brief-token-1234567890\r\nAccept: text/event-stream\r\n\r\n"
        stream.sendall(head.encode())
        stream.recv(4096)
        ahead.write_text("7200")
        stream.settimeout(20)
        began = time.perf_counter()
        try:
            while stream.recv(4096):
                pass
            told = f"ended after {time.perf_counter() - began:.1f} s"
        except TimeoutError:
            told = "STILL OPEN after 20 s"
        say("B18", "clock two hours ahead, open stream", told)
        say("B18", "clock two hours ahead, another's calls", gateway.good())
        gateway.end()


def shortened(binary, upstream):
    """B19: all records of the first of two processes are taken out of the file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "audit.jsonl")
        audit = f'to = "file"\nfile = "{file}"'
        lengths = []
        for _ in range(2):
            gateway = Gateway(binary, audit, upstream)
            outcome = gateway.good(50)
            gateway.process.send_signal(signal.SIGTERM)
            gateway.process.wait(timeout=30)
            gateway.end()
            lengths.append(file.stat().st_size)
        file.write_bytes(file.read_bytes()[lengths[0] :])
        verify = [binary, "audit", "--verify", file]
        said = subprocess.run(verify, capture_output=True, text=True)
        told = " ".join((said.stdout + said.stderr).split())
        say("B19", "records of the first process gone", f"exit {said.returncode}: {told[:150]}")
        say("B19", "good caller of the second process", outcome)


def unread_records(binary, upstream):
    """B20: standard output is a pipe that nobody reads."""
    reader, writer = os.pipe()
    gateway = Gateway(binary, "", upstream, stdout=writer)
    os.close(writer)
    gateway.until_refused()
    time.sleep(2)
    status, text = asked(gateway, "/readyz")
    say("B20", "records unread, /readyz", f"{status} {text.strip()[:90]}")
    lines = [line for line in gateway.log if b"audit" in line]
    say("B20", "records unread, lines of the log about it", str(len(lines)))

    def read():
        with contextlib.suppress(OSError):
            while os.read(reader, 1 << 16):
                pass

    threading.Thread(target=read, daemon=True).start()
    time.sleep(3)
    say("B20", "read again", gateway.good())
    gateway.end()


ATTACKS = {
    "absurd_duration": absurd_duration,
    "unread_log": unread_log,
    "jump": jump,
    "shortened": shortened,
    "unread_records": unread_records,
}


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    upstream = night_audit.good_upstream()
    for name in sys.argv[2:] or ATTACKS:
        ATTACKS[name](os.path.abspath(sys.argv[1]), upstream)


if __name__ == "__main__":
    sys.exit(main())
