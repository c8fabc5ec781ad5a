"""The seed's own cases: from a chat message, through the gateway, to a row in the ticket table."""

import re

import httpx2
import pytest
from chain import (
    AI_DEV,
    ALICE,
    ERRORS,
    ORGANIZATION,
    THREAD,
    USER,
    Chain,
    Chat,
    calls_recorded,
    new_thread,
)
from conftest import CHILDREN
from processes import poll

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["rust-postgres", "fastmcp-sqlite"])
def chain(request, tmp_path_factory):
    mcp, database = request.param.split("-")
    chain = Chain(tmp_path_factory.mktemp("chain"), mcp, database)
    request.session.stash[CHILDREN] = request.session.stash.get(CHILDREN, {}) | chain.children
    yield chain
    chain.end()


@pytest.fixture
async def ai_dev(chain):
    async with Chat(chain, AI_DEV) as chat:
        yield chat


@pytest.fixture
async def alice(chain):
    async with Chat(chain, ALICE) as chat:
        yield chat


async def test_every_service_says_that_it_is_well(chain):
    async with httpx2.AsyncClient(trust_env=False) as http:
        for url in chain.health:
            assert (await http.get(url)).status_code == 200, url


async def test_the_exact_request_of_the_seed(ai_dev):
    answer = await ai_dev.say("what tools can you call?")
    assert answer.status == 200
    assert "tool" in answer.body["content"].lower()
    assert answer.body["confidence"] > 0
    assert len(answer.body["tools_used"]) > 0
    assert not answer.body["requires_escalation"]
    for tool in ("whoami", "list_tickets", "search_tickets", "create_ticket", "get_ticket"):
        assert tool in answer.body["content"]


@pytest.mark.parametrize(
    ("message", "tools", "keywords"),
    [
        ("list my tickets", ["list_tickets"], ["ticket", "list"]),
        (
            "create a ticket for testing FastMCP",
            ["create_ticket"],
            ["ticket", "created", "testing"],
        ),
        ("search for tickets about FastMCP", ["search_tickets"], ["search", "ticket", "fastmcp"]),
    ],
)
async def test_the_three_messages_of_the_seed(chain, ai_dev, message, tools, keywords):
    before = chain.database.tickets() if tools == ["create_ticket"] else None
    answer = await ai_dev.say(message)
    assert answer.status == 200
    assert answer.tools == tools
    for keyword in keywords:
        assert keyword in answer.body["content"].lower()
    if before is not None:
        row = ("testing FastMCP", USER[AI_DEV], ORGANIZATION[AI_DEV])
        assert chain.database.tickets().count(row) == before.count(row) + 1


async def test_a_tool_that_is_not_permitted_is_a_polite_answer(chain, alice):
    before = chain.api_requests()
    answer = await alice.say("show ticket T-1", thread=new_thread())
    assert answer.status == 200
    assert answer.body["requires_escalation"]
    assert answer.tools == []
    assert "I can call these tools: create_ticket, list_tickets" in answer.body["content"]
    assert chain.api_requests() == before + 1, "whoami, and nothing else"


async def test_a_second_organization_sees_only_its_own_tickets(chain, ai_dev, alice):
    title = f"secret-{new_thread()}"
    assert (await ai_dev.say(f"create a ticket for {title}")).tools == ["create_ticket"]
    mine = await ai_dev.say(f"search for tickets about {title}")
    assert "found 1 ticket" in mine.body["content"]
    theirs = await alice.say(f"search for tickets about {title}", thread=new_thread())
    assert "found 0 tickets" in theirs.body["content"]
    everything = await alice.say("list my tickets", thread=new_thread())
    assert title not in everything.body["content"]


async def test_a_thread_is_its_writers_alone(ai_dev, alice):
    assert (await ai_dev.say("list my tickets")).status == 200
    for organization, status in ((ORGANIZATION[AI_DEV], 403), (ORGANIZATION[ALICE], 404)):
        assert (await alice.say("list my tickets", THREAD, organization)).status == status
        assert (await alice.read(THREAD, organization)).status == status
    kept = await ai_dev.read()
    assert [message["role"] for message in kept.body["messages"][-2:]] == ["user", "assistant"]
    assert (await alice.read(new_thread())).status == 404


async def test_what_a_caller_claims_to_be_changes_nothing(chain, alice):
    title = f"claim-{new_thread()}"
    claims = {"X-User-ID": USER[AI_DEV], "X-Organization-ID": ORGANIZATION[AI_DEV]}
    answer = await alice.say(f"create a ticket for {title}", new_thread(), headers=claims)
    assert answer.tools == ["create_ticket"]
    assert (title, "alice", "dev-org") in chain.database.tickets()


async def test_a_bad_token_is_401_all_the_way(chain):
    before = chain.api_requests()
    async with Chat(chain, "not-a-token") as nobody:
        for answer in (
            await nobody.say("list my tickets", organization="dev-org"),
            await nobody.read(organization="dev-org"),
        ):
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert chain.api_requests() == before


async def test_every_call_of_a_tool_is_recorded_with_its_user(chain, alice):
    before = calls_recorded(chain.gateway)
    assert (await alice.say("list my tickets", thread=new_thread())).status == 200
    expected = [("alice", "whoami", "allow"), ("alice", "list_tickets", "allow")]
    recorded = poll(
        "two records", lambda: (now := calls_recorded(chain.gateway)[len(before) :])[1:] and now
    )
    assert recorded == expected


async def test_the_logs_of_all_services_are_clean(chain):
    """Last in this module, after everything above has happened."""
    logs = chain.logs()
    redirected = [record for record in chain.gateway.records() if 300 <= record["status"] < 400]
    assert not redirected
    for service, log in logs.items():
        # A port can hold the digits of a status.
        assert not ERRORS.findall(re.sub(r"https?://\S+", "", log)), f"{service}: {log}"
        for secret in (ALICE, AI_DEV, "not-a-token"):
            assert secret not in log, service
    assert "tickets api listening on" in logs["api"]
    assert "listening on" in logs["mcp"]
    assert '"event":"server.ready"' in logs["gateway"]
    assert "FastMCP client ready" in logs["chat"] and "chat listening on" in logs["chat"]
    assert "ticket tool call" in logs["mcp"] or "tool call: tool='create_ticket'" in logs["mcp"]
