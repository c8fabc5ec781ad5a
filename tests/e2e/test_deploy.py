"""The files of deploy/: checked by their own tools, and run as processes on loopback."""

import importlib.util
import ipaddress
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import tomllib
from pathlib import Path

import httpx2
import pytest
import yaml
from conftest import CHILDREN
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from gateway import ALICE, BINARIES, BUILTIN, REPOSITORY, Gateway, shipped
from mcp import MCPError
from postgres import binaries as postgres_binaries
from processes import PATIENCE, Child, poll

DEPLOY = REPOSITORY / "deploy"
DOCKERFILES = ["Dockerfile", "agent/Dockerfile", "tickets-fastmcp/Dockerfile"]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
EVERYTHING = 300.0
"""Seconds for the whole system to start."""


def run(*command, **options) -> str:
    """What a tool prints; it must be content."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        **options,
    )
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


def tool(name: str) -> str:
    """A program of the virtual environment, or one of Debian's; CI has them all."""
    beside = os.path.join(os.path.dirname(sys.executable), name)
    found = beside if os.path.exists(beside) else shutil.which(name)
    return found or missing(name)


def missing(name: str):
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")


@pytest.fixture
def postgres():
    """Debian's, which is on no PATH."""
    return postgres_binaries() or missing("PostgreSQL")


def test_compose_is_what_its_specification_says():
    run(
        tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"
    )


@pytest.mark.parametrize("file", DOCKERFILES)
def test_hadolint_finds_nothing(file):
    run(tool("hadolint"), DEPLOY / file)


@pytest.mark.parametrize("service", ["agent", "tickets-fastmcp"])
def test_an_image_has_every_module_of_its_service(service):
    """Only loaded where it runs: what is not copied is missed when the container starts."""
    copied = set(re.findall(r"^COPY (\S+) ", (DEPLOY / service / "Dockerfile").read_text(), re.M))
    modules = {place.parent.name for place in (DEPLOY / service).glob("*/__init__.py")}
    modules |= {place.name for place in (DEPLOY / service).glob("*.py")}
    assert copied == modules | {"requirements.txt"}


def networks(name: str) -> dict:
    """The networks of a service by their names, each with what is set for it there."""
    given = SERVICES[name]["networks"]
    return {net: (given[net] if isinstance(given, dict) else None) or {} for net in given}


def neighbours(name: str) -> set:
    """The services that share a network with this one, and so reach what it listens on."""
    own = networks(name).keys()
    return {other for other in SERVICES if other != name and own & networks(other).keys()}


def test_only_the_gateway_and_the_agent_can_be_reached_and_only_from_this_machine():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"chat": ["127.0.0.1:8000:8000"], "gateway": ["127.0.0.1:8080:8080"]}
    for name, service in SERVICES.items():
        assert not service.keys() & {"network_mode", "links", "external_links", "extra_hosts"}, name
    for name, network in COMPOSE["networks"].items():
        assert (network or {}).get("internal", False) == (name != "edge"), name


def test_services_reach_whom_they_need_and_nobody_else():
    tickets = {"tickets-mcp", "tickets-fastmcp", "tickets-api"}
    expected = {
        "chat": {"gateway"},
        "gateway": {"chat", "prometheus"} | tickets,
        "tickets-mcp": {"gateway"} | tickets - {"tickets-mcp"},
        "tickets-fastmcp": {"gateway"} | tickets - {"tickets-fastmcp"},
        "tickets-api": {"gateway", "postgres"} | tickets - {"tickets-api"},
        "postgres": {"tickets-api"},
        "prometheus": {"gateway", "grafana"},
        "grafana": {"prometheus"},
    }
    assert {name: neighbours(name) for name in SERVICES} == expected


def test_only_prometheus_reaches_the_admin_listener():
    configuration = tomllib.loads((DEPLOY / "gateway.compose.toml").read_text())
    host, port = configuration["admin"]["listen"].rsplit(":", 1)
    # A listener on all addresses is reached from every network of the gateway.
    at = [name for name, net in networks("gateway").items() if net.get("ipv4_address") == host]
    assert len(at) == 1, f"{host} is not one address of the gateway's"
    (watch,) = at
    there = {name for name in SERVICES if watch in networks(name)}
    assert there == {"gateway", "prometheus"}
    (pool,) = COMPOSE["networks"][watch]["ipam"]["config"]
    subnet, others = (ipaddress.ip_network(pool[key]) for key in ("subnet", "ip_range"))
    assert others.subnet_of(subnet)
    assert ipaddress.ip_address(host) in subnet
    assert ipaddress.ip_address(host) not in others, "another container may come first and take it"
    # Its name is that address for Prometheus: they share no other network.
    assert networks("prometheus").keys() & networks("gateway").keys() == {watch}
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = scraped["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"gateway:{port}"]}]


def test_no_password_is_one_that_everybody_knows(secrets):
    folder, _ = secrets
    given = {
        name: {key: value for key, value in service.get("environment", {}).items() if "PASS" in key}
        for name, service in SERVICES.items()
    }
    assert {name: keys for name, keys in given.items() if keys} == {
        "tickets-api": {"DATABASE_PASSWORD_FILE": "/run/secrets/postgres_password"},
        "postgres": {"POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password"},
        "grafana": {"GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/grafana_password"},
    }
    assert SERVICES["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    for name, keys in given.items():
        assert {f"/run/secrets/{secret}" for secret in SERVICES[name].get("secrets", [])} == set(
            keys.values()
        )
    files = [Path(secret["file"]).name for secret in COMPOSE["secrets"].values()]
    passwords = [(folder / name).read_text() for name in files]
    assert all(re.fullmatch("[0-9a-f]{64}", password) for password in passwords)
    assert len(set(passwords)) == len(passwords) == 2


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_without_rights_and_watched(name):
    service = SERVICES[name]
    assert not service["user"].startswith(("0", "root"))
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit", "healthcheck"} <= service.keys()
    assert ":" in service.get("image", "built:here")


def test_a_stop_leaves_the_gateway_its_lame_duck_and_its_drain():
    shipped = (REPOSITORY / "gateway.toml").read_text()
    needed = sum(
        int(re.search(rf'^{key} +.*"(\d+)s"', shipped, re.M)[1]) for key in ("lame_duck", "drain")
    )
    assert int(SERVICES["gateway"]["stop_grace_period"].removesuffix("s")) > needed


@pytest.fixture
def secrets(tmp_path):
    """deploy/secrets and the tokens, made in a copy."""
    for file in ("secrets.sh", "gateway.compose.toml"):
        shutil.copy(DEPLOY / file, tmp_path)
    printed = run("sh", tmp_path / "secrets.sh")
    return tmp_path / "secrets", re.findall(r"  ([0-9a-f]{64})$", printed, re.M)


def contents(folder) -> dict:
    return {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_secrets_are_made_once_and_make_a_good_configuration(secrets):
    folder, tokens = secrets
    assert len(set(tokens)) == 2
    assert "good, 1 upstream, 2 tokens" in run(
        BINARIES / "doorward",
        "check",
        "--elsewhere",
        "--config",
        folder / "gateway" / "gateway.toml",
    )
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = contents(folder)
    assert len(files) == 5
    for token in tokens:
        assert not any(token.encode() in content for content in files.values())
    assert "exists" in run("sh", folder.parent / "secrets.sh")
    assert files == contents(folder)


def test_promtool_finds_nothing_and_alerts_when_it_should():
    promtool = tool("promtool")
    run(promtool, "check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    run(promtool, "test", "rules", DEPLOY / "prometheus" / "alerts_test.yml")


def asked() -> list:
    """Every PromQL expression of the alerts and of the dashboard."""
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "doorward.json").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    expressions += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return [expression.replace("$__rate_interval", "5m") for expression in expressions]


def test_promtool_can_read_what_the_dashboard_asks(tmp_path):
    rules = [{"record": f"asked:{at}", "expr": expr} for at, expr in enumerate(asked())]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "a", "rules": rules}]}))
    run(tool("promtool"), "check", "rules", tmp_path / "rules.json")


def test_the_dashboard_asks_the_datasource_that_is_provisioned():
    provisioned = DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
    uids = {source["uid"] for source in yaml.safe_load(provisioned.read_text())["datasources"]}
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "doorward.json").read_text())
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == uids


ISSUER = """
[issuers.corp]
issuer = "http://127.0.0.1:9"
jwks_url = "http://127.0.0.1:9/nobody-is-there"
organization = "dev-org"
"""


@pytest.mark.anyio
async def test_dashboards_and_alerts_ask_for_metrics_labels_and_values_that_exist(
    request, tmp_path
):
    text = shipped(BUILTIN).replace("[server]", '[server]\npublic_url = "http://127.0.0.1"')
    (tmp_path / "gateway.toml").write_text(text)
    run(BINARIES / "doorward", "lock", "--config", tmp_path / "gateway.toml")
    gateway = Gateway(tmp_path, text + ISSUER + '\n[lock]\nfile = "tools.lock"\n')
    request.node.stash[CHILDREN] = {"gateway": gateway.child}
    async with Client(StreamableHttpTransport(gateway.url, auth=ALICE)) as client:
        await client.call_tool("whoami")
        with pytest.raises(MCPError):
            await client.call_tool("get_ticket", {"ticket_id": "T-1"})
    # Labels and their values, by the name of the sample.
    shown = {}
    for name, labels in re.findall(r"^(doorward_\w+)(?:{(.*)})? \S+$", gateway.exposition(), re.M):
        values = shown.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            values.setdefault(label, set()).add(value)
    for expression in asked():
        labels = {"instance"}  # Prometheus's own
        for name, matchers in re.findall(r"(doorward_\w+)(?:{(.*?)})?", expression):
            assert name in shown, expression
            labels |= shown[name].keys()
            for label, value in re.findall(r'(\w+)[=!]~?"([^"]*)"', matchers):
                assert set(value.split("|")) <= shown[name].get(label, set()), expression
        for grouped in re.findall(r"by \((.*?)\)", expression):
            assert set(grouped.split(", ")) <= labels, expression
    gateway.end()


def running(folder: Path) -> list:
    """The processes whose program lies in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if words[0].startswith(bytes(folder)):
            found.append(int(process.name))
    return found


@pytest.mark.usefixtures("postgres")
def test_where_one_service_cannot_start_none_is_left(secrets, tmp_path):
    folder, _ = secrets
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "doorward-tickets").symlink_to(BINARIES / "doorward-tickets")
    command = [sys.executable, DEPLOY / "system.py", "--bin", bin, "--secrets", folder]
    command += ["--logs", tmp_path / "logs", "gateway"]
    system = Child("system.py", command, tmp_path)
    code = system.wait()
    left = running(bin)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert (code, left) == (1, []), system.stderr
    # Before it, PostgreSQL may say that it cannot see the folder that the tests run in.
    assert system.stderr.endswith(f"gateway cannot start: {bin / 'doorward'} is not there\n")
    assert "listening on" in (tmp_path / "logs" / "tickets-mcp.log").read_text()


def test_a_copy_of_a_secret_is_never_wider_while_it_is_made(tmp_path):
    """The source does not end while it is looked at; nothing but the mode keeps others out."""
    spec = importlib.util.spec_from_file_location("system", DEPLOY / "system.py")
    system = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(system)
    source, place = tmp_path / "secrets", tmp_path / "copy"
    source.mkdir(mode=0o755)
    os.mkfifo(source / "key", 0o644)
    before = os.umask(0)
    try:
        copying = threading.Thread(target=system.copy, args=(source, place))
        copying.start()
        with (source / "key").open("w") as given:
            given.write("half of a ")
            given.flush()
            poll("the copy is there", (place / "key").exists)
            modes = [stat.S_IMODE(there.stat().st_mode) for there in (place, place / "key")]
            given.write("secret")
        copying.join(PATIENCE)
    finally:
        os.umask(before)
    assert modes == [0o700, 0o600]
    assert (place / "key").read_text() == "half of a secret"
    assert stat.S_IMODE((place / "key").stat().st_mode) == 0o600
    # Whoever has put something there does not get the secret.
    (tmp_path / "plain").write_text("secret")
    (tmp_path / "trap").symlink_to(tmp_path / "caught")
    with pytest.raises(FileExistsError):
        system.copy(tmp_path / "plain", tmp_path / "trap")
    assert not (tmp_path / "caught").exists()


def test_what_is_half_made_gets_neither_into_git_nor_into_an_image():
    for ignored in (".gitignore", ".dockerignore"):
        lines = (REPOSITORY / ignored).read_text().splitlines()
        for folder in ("deploy/secrets", "deploy/secrets.new"):
            assert folder in {line.removeprefix("/") for line in lines}, ignored


def kept(folder: Path) -> dict:
    """Every file and folder in it, with its mode, and with what is in the file."""
    found = {}
    for place in folder.rglob("*"):
        try:
            content = place.read_bytes() if place.is_file() else b""
            found[place] = (stat.S_IMODE(place.stat().st_mode), content)
        except FileNotFoundError:
            continue  # PostgreSQL has removed it
    return found


@pytest.mark.usefixtures("postgres")
def test_nobody_else_of_this_machine_can_read_what_the_services_have(request, secrets, tmp_path):
    folder, _ = secrets
    command = [sys.executable, DEPLOY / "system.py", "--bin", BINARIES, "--secrets", folder]
    command += ["--logs", tmp_path / "logs", "gateway"]
    # Not in a folder of a test, which only its owner may enter: PostgreSQL is somebody else.
    temporary = Path(tempfile.mkdtemp(prefix="system."))
    temporary.chmod(0o711)
    environment = os.environ | {"TMPDIR": str(temporary)}
    system = Child("system.py", command, tmp_path, env=environment, umask=0)
    request.node.stash[CHILDREN] = {"system.py": system}
    try:
        system.find('{"ready": (true)}', EVERYTHING)
        found = kept(temporary) | kept(tmp_path / "logs")
        wide = [str(place) for place, (mode, _) in found.items() if mode & 0o077]
        assert not wide
        contents_found = [content for _, content in found.values()]
        for secret in ("postgres_password", "gateway/session.key", "gateway/assertion.pem"):
            assert (folder / secret).read_bytes() in contents_found, f"{secret} is somewhere else"
    finally:
        assert system.end() == 0, system.stderr
        left = list(temporary.iterdir())
        shutil.rmtree(temporary)
    assert not left


@pytest.mark.usefixtures("postgres")
def test_the_whole_system_answers_a_chat_message_and_is_watched(request, secrets, tmp_path):
    tool("prometheus")
    folder, (alice, _) = secrets
    command = [sys.executable, DEPLOY / "system.py", "--bin", BINARIES, "--secrets", folder]
    system = Child("system.py", command, tmp_path)
    request.node.stash[CHILDREN] = {"system.py": system}
    try:
        system.find('{"ready": (true)}', EVERYTHING)
        lines = [json.loads(line) for line in system.stdout.splitlines()[:-1]]
        at = {(line["service"], line["port"]): line["address"] for line in lines}
        thread = "4aba8e44-6900-4c76-8b33-f8b96ca0e75b"
        with httpx2.Client(timeout=PATIENCE, trust_env=False) as http:
            answer = http.post(
                f"http://{at['chat', 8000]}/api/v1/chat/dev-org/threads/{thread}/messages",
                headers={"Authorization": f"Bearer {alice}"},
                json={"content": "create a ticket for testing compose"},
            )
            assert (answer.status_code, answer.json()["requires_escalation"]) == (200, False)

            # The API believes nobody but the gateway.
            claimed = {"X-User-ID": "alice", "X-Organization-ID": "dev-org"}
            tickets = f"http://{at['tickets-api', 8000]}/api/v1/tickets"
            assert http.get(tickets, headers=claimed).status_code == 401

            def scraped() -> bool:
                query = {"query": 'doorward_tool_calls_total{tool="create_ticket",outcome="ok"}'}
                url = f"http://{at['prometheus', 9090]}/api/v1/query"
                found = http.get(url, params=query).json()["data"]["result"]
                return [sample["value"][1] for sample in found] == ["1"]

            poll("Prometheus has the call", scraped)
    finally:
        assert system.end() == 0, system.stderr
