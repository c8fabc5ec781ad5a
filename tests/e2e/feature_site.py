"""A server, a gateway before it, and the clients that are run against both."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from feature_client import Task
from feature_runs import Client, server_command
from gateway import ALICE, ON_FREE_PORTS, Gateway, url_of
from processes import Child, poll

CONFIGURATION = """
[upstreams.feature]
path         = "/mcp"
call_timeout = "30s"
stream_idle  = "30s"
{upstream}

[roles.caller]
tools     = ["feature/{{echo,count,ask,sample,slow,silent,list_tickets,search_tickets}}"]
prompts   = ["feature/*"]
resources = ["feature/**"]

[tokens.dev-alice]
sha256       = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2"
user         = "alice"
organization = "dev-org"
roles        = ["caller"]
expires      = "never"
"""

ROUTES = {"gateway": "", "kept": 'stream_keep_alive = "200ms"'}
"""The gateways of a site, each with its one line of configuration."""

HEADERS = {
    "direct": {"X-User-ID": "direct", "X-Organization-ID": "direct"},
    "gateway": {"Authorization": f"Bearer {ALICE}", "X-User-ID": "mallory"},
}
"""What clients send: past the gateway as a gateway would, and to it with a lie."""

CLIENTS_AT_ONCE = 10
"""Each is silent for seconds; more would only wait for the processor."""


class Site:
    """Starts the server (or takes the one at `url`) and the gateways; `end` ends them again."""

    def __init__(self, folder: Path, kind: str, url: str | None = None):
        folder.mkdir()
        self.folder = folder
        self.kind = kind
        self.server = None
        self.urls = {"direct": url or self._start_server()}
        self.gateways = {route: self._gateway(route, line) for route, line in ROUTES.items()}
        self.urls |= {route: gateway.url for route, gateway in self.gateways.items()}

    def _start_server(self, port=0) -> str:
        self.server = Child(f"server-{port}", server_command(self.kind, port), self.folder)
        return self.server.find(r'"listening": ?"([^"]+)"')

    def _gateway(self, route: str, line: str) -> Gateway:
        folder = self.folder / route
        folder.mkdir()
        upstream = f"{url_of(self.urls['direct'])}\n{line}"
        return Gateway(folder, ON_FREE_PORTS + CONFIGURATION.format(upstream=upstream))

    def children(self) -> dict:
        """The processes whose output explains a failure."""
        gateways = {route: gateway.child for route, gateway in self.gateways.items()}
        return gateways | ({"server": self.server} if self.server else {})

    def restart_server(self):
        """As after a crash: the port is the same, the sessions are gone."""
        self.server.kill()
        self._start_server(urlsplit(self.urls["direct"]).port)

    def end(self):
        for gateway in self.gateways.values():
            gateway.end()
        if self.server:
            self.server.kill()


class Run:
    """A client that goes through its cases in a thread, and what came of them."""

    def __init__(
        self, pool: ThreadPoolExecutor, site: Site, client: Client, route: str, cases: list
    ):
        self.tag = uuid.uuid4().hex
        self.gate = site.folder / self.tag
        self._site = site
        # By this the server knows whose calls came: the gateway passes on no header but known ones.
        trace = {"traceparent": f"00-{self.tag}-00f067aa0ba902b7-01"}
        headers = HEADERS["direct" if route == "direct" else "gateway"] | trace
        log = site.server.log if site.server else None
        cases = [case for case in cases if client.can(case)]
        task = Task(site.urls[route], headers, cases, log, self.tag, self.gate)
        self.future = pool.submit(client.run, task)

    def outcome(self, case: str) -> dict:
        return self.future.result()[case]

    def calls(self) -> list:
        """What the server has written of the calls of this run."""
        self.future.result()
        lines = [json.loads(line) for line in self._site.server.stdout.splitlines()]
        return [line for line in lines if self.tag in line.get("trace", "")]

    def wait_for_gate(self):
        """Until it waits for the server to be restarted, or failed before."""
        ready = self.gate.with_suffix(".ready")
        poll("the client is connected", lambda: ready.exists() or self.future.done(), 60)

    def open_gate(self):
        self.gate.with_suffix(".go").touch()
