"""What an allowed caller sees and does, with real clients in front of real servers."""

import asyncio
import re
import uuid

import pytest
from clients import ToolFailed
from gateway import AI_DEV, ALICE
from processes import poll

pytestmark = pytest.mark.anyio

AGENT_TOOLS = {"whoami", "list_tickets", "search_tickets", "create_ticket"}
ALICE_IS = ("alice", "dev-org")
AI_DEV_IS = ("9cdd4c6c-a65d-464b-b3ba-64e6781fba2b", "20a8aae5-ec85-42a9-b025-45ee32a2f9a1")


def word() -> str:
    """A word that no other ticket holds: the upstreams outlive a test."""
    return uuid.uuid4().hex


def owner(ticket: dict) -> tuple:
    return ticket["created_by"], ticket["organization_id"]


async def test_each_token_sees_exactly_the_tools_it_may_call(gateway, library):
    async with library.connect(gateway.url, ALICE) as alice:
        assert await alice.tools() == AGENT_TOOLS
    async with library.connect(gateway.url, AI_DEV) as ai_dev:
        assert await ai_dev.tools() == AGENT_TOOLS | {"get_ticket"}


async def test_whoami_is_whose_token_it_is(gateway, library):
    for token, (user, organization) in ((ALICE, ALICE_IS), (AI_DEV, AI_DEV_IS)):
        async with library.connect(gateway.url, token) as client:
            answer = await client.call("whoami")
        assert answer == {"success": True, "user_id": user, "organization_id": organization}


async def test_a_created_ticket_is_listed_and_found_in_its_callers_name(gateway, library):
    unique = word()
    async with library.connect(gateway.url, ALICE) as alice:
        created = await alice.call(
            "create_ticket", title=f"Printer {unique}", description="für alle", priority="high"
        )
        ticket = created["ticket"]
        assert owner(ticket) == ALICE_IS
        assert (ticket["description"], ticket["category"]) == ("für alle", "general")
        listed = await alice.call("list_tickets", page_size=100, status="open", priority="high")
        assert ticket in listed["tickets"]
        found = await alice.call("search_tickets", query=unique)
        assert (found["tickets"], found["total"]) == ([ticket], 1)


async def test_a_token_with_the_grant_reads_one_ticket(gateway, library):
    async with library.connect(gateway.url, AI_DEV) as ai_dev:
        created = await ai_dev.call("create_ticket", title="Screen", description="")
        assert owner(created["ticket"]) == AI_DEV_IS
        read = await ai_dev.call("get_ticket", ticket_id=created["ticket"]["id"])
        assert read["ticket"] == created["ticket"]


async def test_another_organization_sees_nothing_of_a_ticket(gateway, library):
    unique = word()
    async with library.connect(gateway.url, ALICE) as alice:
        created = await alice.call("create_ticket", title=unique, description="")
    ticket_id = created["ticket"]["id"]
    async with library.connect(gateway.url, AI_DEV) as ai_dev:
        assert (await ai_dev.call("search_tickets", query=unique))["total"] == 0
        listed = await ai_dev.call("list_tickets", page_size=100)
        assert ticket_id not in {ticket["id"] for ticket in listed["tickets"]}
        with pytest.raises(ToolFailed, match="no such ticket"):
            await ai_dev.call("get_ticket", ticket_id=ticket_id)


async def test_the_ticket_api_is_told_who_calls(gateway, library, upstream):
    for token, (user, organization) in ((ALICE, ALICE_IS), (AI_DEV, AI_DEV_IS)):
        before = len(upstream.api_log(gateway))
        async with library.connect(gateway.url, token) as client:
            await client.call("list_tickets")
        line = (
            rf"ticket api request.*user\W+{user}\W.*organization\W+{organization}\W.*method\W+GET"
        )
        logged = poll("the API logs the call", lambda: upstream.api_log(gateway)[before:])
        assert re.search(line, logged), logged
        assert logged.count("ticket api request") == 1


async def test_fifty_calls_at_once_of_two_callers_never_mix(gateway, library):
    async with (
        library.connect(gateway.url, ALICE) as alice,
        library.connect(gateway.url, AI_DEV) as ai_dev,
    ):

        async def create(client, identity):
            title = word()
            answer = await client.call("create_ticket", title=title, description="")
            assert answer["ticket"]["title"] == title
            assert owner(answer["ticket"]) == identity
            return answer["ticket"]["id"]

        pairs = [(alice, ALICE_IS), (ai_dev, AI_DEV_IS)] * 25
        made = await asyncio.gather(*(create(*pair) for pair in pairs))
    assert len(set(made)) == 50
