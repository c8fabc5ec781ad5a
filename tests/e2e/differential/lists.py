"""A server that answers lists as hostile and careless servers do, and what readers find in them."""

import json
import random
import re
import threading
import unicodedata
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from differential.writing import Pairs, Raw, Writer

HIDDEN = "hidden"
"""Stands in every name that nobody was granted, and nowhere else."""
GRANTED = ["open_a", "open_b"]
SHAPES = {"tools": "name", "prompts": "name", "resources": "uri"}
ALIKE = ["{}\u0000", "{}\u200b", "\ufeff{}", "{} ", "_{}", "{}[]", "x{}"]


class ListServer:
    """Gives the prepared answers, one for each list request, whatever it is asked."""

    def __init__(self):
        self.answers = deque()
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                kind, body = answers.popleft()(asked.get("id"))
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/mcp"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def end(self):
        self._server.shutdown()
        self._server.server_close()


class Lists:
    """A generator of answers to lists that gives the same ones for the same number."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._writer = Writer(self._random)

    def next(self, kind: str):
        """A function that makes the answer for a request id: media type and body."""
        items = [self._item(kind, name) for name in GRANTED]
        items += [self._item(kind, f"{HIDDEN}_{i}") for i in range(self._random.randint(0, 3))]
        self._random.shuffle(items)
        result = Pairs([(kind, items)])
        envelope = Pairs([("jsonrpc", "2.0"), ("id", Raw("0")), ("result", result)])
        for _ in range(self._random.choice((0, 1, 1, 2))):
            self._random.choice(STEPS)(self, kind, envelope, result, items)
        is_stream = self._random.random() < 0.4
        dressed = self._random.choice(STREAMS) if is_stream else self._random.choice(WHOLE)
        hidden = self._text(
            Pairs([("jsonrpc", "2.0"), ("id", Raw("0")), ("result", self._secret(kind))])
        )

        def answer(number):
            put_id(envelope, number)
            body = dressed(self._text(envelope), hidden).encode("utf-8", "surrogatepass")
            return ("text/event-stream" if is_stream else "application/json"), body

        return answer

    def _text(self, value) -> str:
        return self._writer.write(value)

    def _item(self, kind: str, name: str) -> Pairs:
        if kind == "resources":
            return Pairs([("uri", f"note://{name}/a"), ("name", "x")])
        extra = [("inputSchema", Pairs([("type", "object")]))] if kind == "tools" else []
        return Pairs([("name", name), *extra])

    def _secret(self, kind: str) -> Pairs:
        return Pairs([(kind, [self._item(kind, f"{HIDDEN}_x")])])

    # Steps: each puts a hidden name where some reader may look for it.

    def _beside(self, kind, envelope, result, items):
        name = self._random.choice(ALIKE).format(kind)
        name = self._random.choice([name, kind.title(), kind.upper(), kind.replace("s", "\u017f")])
        place = self._random.choice([envelope, result])
        place.insert(self._random.randint(0, len(place)), (name, [self._item(kind, f"{HIDDEN}_y")]))

    def _elsewhere(self, kind, envelope, result, items):
        name = self._random.choice(
            ["_meta", "error", "data", "params", "result\u0000", "Result", "x"]
        )
        place = self._random.choice([envelope, result])
        inner = Pairs([("data", self._secret(kind))]) if name == "error" else self._secret(kind)
        if name == "error":
            inner[:0] = [("code", Raw("-32000")), ("message", "x")]
        place.insert(self._random.randint(0, len(place)), (name, inner))

    def _failure(self, kind, envelope, result, items):
        error = Pairs([("code", Raw("-32000")), ("message", "x"), ("data", self._secret(kind))])
        envelope[:] = [pair for pair in envelope if pair[0] != "result"] + [("error", error)]

    def _name(self, kind, envelope, result, items):
        """Another name in an item: twice, look-alike, or none at all."""
        key = SHAPES[kind]
        item = self._random.choice([item for item in items if isinstance(item, Pairs)])
        hidden = f"{HIDDEN}_z" if kind != "resources" else f"note://{HIDDEN}_z/a"
        name = self._random.choice(
            [key, key.title(), key.upper(), f"{key}\u0000", f"\ufeff{key}", f"{key} "]
        )
        item.insert(self._random.randint(0, len(item)), (name, hidden))

    def _spelling(self, kind, envelope, result, items):
        hidden = self._random.choice(
            [f"open_a\u0000{HIDDEN}", f" {HIDDEN}", f"{HIDDEN}\n", f"open_a/{HIDDEN}"]
        )
        items.append(self._item(kind, hidden))

    def _shape(self, kind, envelope, result, items):
        """Items that are none."""
        others = [
            Raw("null"),
            f"{HIDDEN}_s",
            [self._item(kind, f"{HIDDEN}_l")],
            Pairs([("x", f"{HIDDEN}_k")]),
        ]
        items.insert(self._random.randint(0, len(items)), self._random.choice(others))

    def _twice(self, kind, envelope, result, items):
        place = self._random.choice([envelope, result])
        place.append((kind if place is result else "result", [self._item(kind, f"{HIDDEN}_t")]))


STEPS = [
    Lists._beside,
    Lists._elsewhere,
    Lists._failure,
    Lists._name,
    Lists._spelling,
    Lists._shape,
    Lists._twice,
]
WHOLE = [
    lambda text, hidden: text,
    lambda text, hidden: text,
    lambda text, hidden: text,
    lambda text, hidden: text + hidden,
    lambda text, hidden: "\ufeff" + text,
    lambda text, hidden: f"[{text},{hidden}]",
    lambda text, hidden: f"{hidden}\n{text}",
]


def data(text: str) -> str:
    return "".join(f"data: {line}\n" for line in text.split("\n"))


STREAMS = [
    lambda text, hidden: data(text) + "\n",
    lambda text, hidden: data(text) + "\n",
    lambda text, hidden: "\r\n".join(data(text).split("\n")) + "\r\n",
    lambda text, hidden: f": {hidden!r}\n{data(text)}\n",
    lambda text, hidden: f"data :{hidden}\n{data(text)}\n",
    lambda text, hidden: f"event: message\nid: 1\n{data(text)}\n",
    lambda text, hidden: f"{HIDDEN}: {HIDDEN}\nretry: 5\n{data(text)}\n",
    lambda text, hidden: f"{data(text)}\n{data(hidden)}\n",
    lambda text, hidden: f"{data(hidden)}\n{data(text)}\n",
    lambda text, hidden: f"{data(text)}\ndata: {hidden}",
    lambda text, hidden: "\ufeff" + data(text) + "\n",
]


def put_id(envelope: Pairs, number):
    envelope[:] = [
        ("id", Raw(json.dumps(number))) if key == "id" else (key, v) for key, v in envelope
    ]


def names(told: dict, kind: str) -> list:
    """The names in a list as clients read it."""
    items = (told.get("result") or {}).get(kind, [])
    return [item[SHAPES[kind]] for item in items]


def shows_hidden(text: str) -> bool:
    """Whether a hidden name can be read in a text, however it is escaped."""
    clear = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found.group(1), 16)), text)
    return HIDDEN in unicodedata.normalize("NFKC", clear).casefold()
