"""deploy/try.sh does what it prints: its own words are pasted, and the answers are checked."""

import json
import re
import socket
import subprocess
from contextlib import contextmanager

import pytest
from conftest import CHILDREN
from gateway import REPOSITORY
from processes import PATIENCE, Child, poll

PORTS = (8080, 9901)
BUILD = 900.0
"""Seconds for the build, should nobody have built before."""


def taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def start(folder, *options) -> Child:
    script = REPOSITORY / "deploy" / "try.sh"
    return Child("try.sh", ["sh", script, *options], folder, cwd=folder)


@contextmanager
def trying(request, folder, ports, *options):
    """try.sh, started from another folder, when it has printed everything."""
    if busy := [port for port in ports if taken(port)]:
        pytest.skip(f"port {busy} is in use, and try.sh takes fixed ports")
    child = start(folder, *options)
    request.node.stash[CHILDREN] = {"try.sh": child}
    try:
        child.find("(Ctrl-C ends doorward)", BUILD)
        yield child
    finally:
        child.end()


@pytest.fixture
def tried(request, tmp_path):
    with trying(request, tmp_path, PORTS) as child:
        yield child


def paste(command: str) -> str:
    shell = subprocess.run(
        ["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE
    )
    assert shell.returncode == 0, shell.stderr
    return shell.stdout.decode()


def test_what_it_prints_can_be_pasted(tried):
    allowed, refused, counted = re.findall(r"^curl .*(?:\n .*)*", tried.stdout, re.M)

    created = json.loads(paste(allowed).partition("data: ")[2])
    ticket = json.loads(created["result"]["content"][0]["text"])["ticket"]
    assert (ticket["created_by"], ticket["organization_id"]) == ("alice", "dev-org")

    error = {"code": -32602, "message": "Unknown tool: get_ticket"}
    assert json.loads(paste(refused)) == {"jsonrpc": "2.0", "id": 1, "error": error}

    for label in ('outcome="ok",tool="create_ticket"', 'outcome="denied",tool="get_ticket"'):
        sample = f'doorward_tool_calls_total{{{label},upstream="tickets"}} 1'
        poll(sample, lambda sample=sample: sample in paste(counted))


def test_with_the_agent_a_chat_message_can_be_pasted(request, tmp_path):
    ports = (*PORTS, 8000)
    with trying(request, tmp_path, ports, "--agent") as child:
        *_, chat = re.findall(r"^curl .*(?:\n .*)*", child.stdout, re.M)
        answer = json.loads(paste(chat))
        assert answer["tools_used"] == [{"name": "create_ticket", "success": True}]
        assert "created the ticket T-1 testing doorward" in answer["content"]
        assert child.end() == 0
    assert not any(taken(port) for port in ports)


def test_an_unknown_flag_is_told(tmp_path):
    child = start(tmp_path, "--agnet")
    assert child.wait() == 2
    assert "usage: sh deploy/try.sh [--agent]" in child.stderr


def test_sigterm_ends_it_and_its_gateway(tried):
    assert tried.end() == 0
    assert "doorward has stopped." in tried.stdout
    assert not any(taken(port) for port in PORTS)


def test_a_busy_port_is_told_in_the_gateways_own_sentence(tried, tmp_path):
    folder = tmp_path / "second"
    folder.mkdir()
    second = start(folder)
    assert second.wait() == 3
    assert "127.0.0.1:8080 is in use by another process" in second.stderr
    assert "doorward is ready" not in second.stdout
