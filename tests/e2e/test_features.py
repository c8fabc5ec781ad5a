"""Real clients get the same through the gateway as without it, in every era that they speak.

Each client goes through each case twice, once straight to the server and once through the gateway,
and what it has to tell must be the same: results, notifications, the words of errors. Only the
tool that nobody may use differs.
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from conftest import CHILDREN
from feature_runs import CASES, CLIENTS, install_scripts
from feature_site import CLIENTS_AT_ONCE, HEADERS, Run, Site
from processes import PATIENCE

SERVERS = ["fastmcp", "typescript", "rmcp"]
FEATURE_SERVERS = SERVERS[:2]

CASES_OF = {
    "fastmcp": CASES,
    "typescript": CASES,
    "rmcp": ["list", "tickets", "tickets_refused"],
}
KEPT_CASES = ["progress", "silent", "silent_midway"]
"""The cases for the gateway that writes comments into silent streams."""

HIDDEN = {"secret", "get_ticket", "create_ticket", "whoami"}
"""The tools that nobody is granted here."""
HIDDEN_CASES = {"fastmcp": ["refused"], "typescript": ["refused"], "rmcp": ["tickets_refused"]}
UNHIDDEN_CASES = {
    kind: [case for case in cases if case not in ("list", *HIDDEN_CASES[kind])] + ["end"]
    for kind, cases in CASES_OF.items()
}

SAYS = {
    "call": "grüße",
    "refused": "the secret",
    "progress": "step 1.*step 2.*step 3.*step 4.*step 5.*counted to 5",
    "prompt": "Greet Ada",
    "resource": "buy milk",
    "elicitation": "hello Ada",
    "sampling": "the model said blue",
    "cancel": '"server": "cancelled"',
    "cancel_midway": '"server": "cancelled"',
    "silent": "silent for 3 s",
    "silent_midway": "silent for 1.5 s",
    "tickets": "success.*true.*total.*0",
    "tickets_refused": "no such ticket",
    "end": "ended",
}
"""What a case says that did what it is for: two failures must not pass for the same."""

UNHEARD = "sends a notification, and servers of this era go by closed streams alone"
NOT_EVEN_DIRECTLY = {
    ("inspector", "legacy"): {
        "progress": "prints the result alone",
        "elicitation": "does not offer it to servers",
        "sampling": "does not offer it to servers",
    },
    ("inspector", "modern"): {
        "progress": "prints the result alone",
        "elicitation": "does not offer it to servers",
        "sampling": "does not offer it to servers",
    },
    ("mcp-remote", "bridged"): {"cancel": UNHEARD, "cancel_midway": UNHEARD},
    ("mcp-remote", "auto"): {"cancel": UNHEARD, "cancel_midway": UNHEARD},
}
"""What a client cannot do in an era, with no gateway either. What it tells is still compared."""


def works(client, case: str) -> bool:
    return case not in NOT_EVEN_DIRECTLY.get((client.name, client.era), {})


def wanted(request, fixture: str) -> set:
    """The clients and servers of the tests that were selected and use this fixture."""
    items = [item for item in request.session.items if fixture in item.fixturenames]
    return {(item.callspec.params["client"], item.callspec.params["server"]) for item in items}


class Sites:
    """A site for each kind of server, started when it is first asked for."""

    def __init__(self, request, folder, started):
        self._children = request.session.stash[CHILDREN]
        self._folder = folder
        self._started = started
        self._sites = {}

    def __getitem__(self, kind: str) -> Site:
        if kind not in self._sites:
            url = None
            if kind == "rmcp":
                url = self._started.upstream("processes").setting.split('"')[1]
            self._sites[kind] = site = Site(self._folder / kind, kind, url)
            for name, child in site.children().items():
                self._children[f"{kind}, {name}"] = child
        return self._sites[kind]

    def end(self):
        for site in self._sites.values():
            site.end()


@pytest.fixture(scope="session")
def scripts():
    install_scripts()


@pytest.fixture(scope="session")
def sites(request, tmp_path_factory, started, scripts):
    sites = Sites(request, tmp_path_factory.mktemp("features"), started)
    yield sites
    sites.end()


@pytest.fixture(scope="session")
def runs(request, sites):
    """The runs that the selected tests ask for, all begun at once."""
    with ThreadPoolExecutor(CLIENTS_AT_ONCE) as pool:
        runs = {}
        for client, server in sorted(wanted(request, "runs"), key=str):
            routes = {"direct": CASES_OF[server], "gateway": CASES_OF[server]}
            if server in FEATURE_SERVERS:
                routes["kept"] = KEPT_CASES
            runs[client, server] = {
                route: Run(pool, sites[server], client, route, cases)
                for route, cases in routes.items()
            }
        yield runs


def restarted(site: Site, clients: list) -> dict:
    """The runs of clients under which the server is restarted once all of them are connected."""
    with ThreadPoolExecutor(2 * len(clients)) as pool:
        runs = {
            (client, route): Run(pool, site, client, route, ["gone"])
            for client in clients
            for route in ("direct", "gateway")
        }
        for run in runs.values():
            run.wait_for_gate()
        site.restart_server()
        for run in runs.values():
            run.open_gate()
    return runs


@pytest.fixture(scope="session")
def restarts(request, tmp_path_factory, scripts):
    """What came of clients that were connected when their server was restarted."""
    outcomes = {}
    pairs = wanted(request, "restarts")
    for server in sorted({server for _, server in pairs}):
        clients = [client for client, its_server in pairs if its_server == server]
        site = Site(tmp_path_factory.mktemp("restarts") / server, server)
        try:
            runs = restarted(site, clients)
            outcomes |= {(server, *key): run.future.result() for key, run in runs.items()}
        finally:
            site.end()
    return outcomes


def of(clients, servers, cases_of):
    """Every client with every server and every case, with readable names."""
    combinations = [
        pytest.param(client, server, case, id=f"{client.name}-{client.era}-{server}-{case}")
        for client in clients
        for server in servers
        for case in cases_of[server]
        if client.can(case)
    ]
    return pytest.mark.parametrize("client, server, case", combinations)


def each(clients, servers):
    """Every client with every server."""
    pairs = [
        pytest.param(client, server, id=f"{client.name}-{client.era}-{server}")
        for client in clients
        for server in servers
    ]
    return pytest.mark.parametrize("client, server", pairs)


def said(outcome: dict) -> str:
    return json.dumps(outcome, ensure_ascii=False)


def tools(outcome: dict) -> list:
    """The tools in a list; the Inspector wraps it twice."""
    result = outcome["result"]
    return result["result"]["tools"] if isinstance(result, dict) else result


def outcomes(runs, client, server, case) -> tuple:
    routes = runs[client, server]
    return routes["direct"].outcome(case), routes["gateway"].outcome(case)


@of(CLIENTS, SERVERS, {kind: ["list"] for kind in SERVERS})
def test_it_lists_the_same_tools_but_the_hidden_ones(runs, client, server, case):
    direct, gateway = outcomes(runs, client, server, case)
    left = [tool for tool in tools(direct) if tool["name"] not in HIDDEN]
    assert tools(gateway) == left
    assert 0 < len(left) < len(tools(direct))


@of(CLIENTS, SERVERS, UNHIDDEN_CASES)
def test_it_gets_the_same(runs, client, server, case):
    direct, gateway = outcomes(runs, client, server, case)
    assert bool(re.search(SAYS[case], said(direct))) == works(client, case), direct
    assert gateway == direct


@of(CLIENTS, FEATURE_SERVERS, dict.fromkeys(FEATURE_SERVERS, KEPT_CASES))
def test_comments_in_a_silent_stream_change_nothing(runs, client, server, case):
    routes = runs[client, server]
    assert routes["kept"].outcome(case) == routes["direct"].outcome(case)


@of(CLIENTS, SERVERS, HIDDEN_CASES)
def test_a_tool_that_it_may_not_use_is_refused_with_a_clean_error(runs, client, server, case):
    direct, gateway = outcomes(runs, client, server, case)
    assert re.search(SAYS[case], said(direct)), direct
    tool = "get_ticket" if server == "rmcp" else "secret"
    if client.name == "inspector":  # looks at the list, and does not even try
        error = {"code": "tool_not_found", "message": f"Tool '{tool}' not found on server."}
        assert json.loads(gateway["error"]) == {"error": error}
        return
    assert gateway["error"]["code"] == -32602
    assert re.fullmatch(f"(MCP error -32602: )*Unknown tool: {tool}", gateway["error"]["message"])


@each(CLIENTS, FEATURE_SERVERS)
def test_the_server_is_told_the_true_caller_and_nothing_else(runs, client, server):
    routes = runs[client, server]
    calls = routes["gateway"].calls()
    who = {(*call["user"], *call["organization"], *call["authorization"]) for call in calls}
    assert who == {("alice", "dev-org")}
    sent = [call["tool"] for call in routes["direct"].calls()]
    assert "secret" in sent
    assert [call["tool"] for call in calls] == [tool for tool in sent if tool != "secret"]


@each([client for client in CLIENTS if client.name != "inspector"], FEATURE_SERVERS)
def test_a_restart_of_the_server_is_felt_the_same(restarts, client, server):
    direct = restarts[server, client, "direct"]
    assert "before" in said(direct["gone"]["result"]["before"])
    assert "anew" in said(direct["gone"]["result"]["anew"])
    assert restarts[server, client, "gateway"] == direct


INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bytes", "version": "1"},
}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": INITIALIZE["clientInfo"],
    "io.modelcontextprotocol/clientCapabilities": {},
}


def comments(url: str, headers: dict, meta: dict) -> int:
    """How many lines of the answer to a call that is silent midway are comments."""
    arguments = {"seconds": 1.5, "speak": True}
    params = {"name": "silent", "arguments": arguments, "_meta": {"progressToken": 1} | meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    with httpx2.stream("POST", url, json=body, headers=headers, timeout=PATIENCE) as answer:
        lines = list(answer.iter_lines())
    assert any("silent for 1.5 s" in line for line in lines), lines
    return sum(line.startswith(":") for line in lines)


@pytest.mark.parametrize("route", ["gateway", "kept"])
@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("server", FEATURE_SERVERS)
def test_the_silent_streams_of_these_tests_do_have_comments(sites, server, era, route):
    url = sites[server].urls[route]
    headers = HEADERS["gateway"] | {"Accept": "application/json, text/event-stream"}
    if era == "modern":
        headers["MCP-Protocol-Version"] = "2026-07-28"
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": "silent"}
        found = comments(url, headers, MODERN)
    else:
        body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": INITIALIZE}
        answer = httpx2.post(url, json=body, headers=headers, timeout=PATIENCE)
        headers |= {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
        headers["MCP-Protocol-Version"] = "2025-11-25"
        found = comments(url, headers, {})
    assert (found > 0) == (route == "kept")
