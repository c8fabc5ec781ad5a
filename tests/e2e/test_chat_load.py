"""Many chat messages, at once and one after the other: nothing mixes, nothing stays behind.

Times are printed beside the bounds of the seed, and are not asserted: these machines are shared.
"""

import asyncio
import statistics
import time

import fastmcp
import pytest
from chain import AI_DEV, ALICE, Chain, Chat, new_thread
from conftest import CHILDREN
from fastmcp.client.transports import StreamableHttpTransport
from processes import poll

pytestmark = pytest.mark.anyio

MESSAGES = 1000
AT_ONCE = 20
WARM = 300
"""Messages after which caches and pools have what they keep."""
GROWTH = 20 * 1024 * 1024
"""Bytes for 700 messages; a client that stays behind holds more than 100 KiB, so 70 MiB in all."""


@pytest.fixture(scope="module")
def chain(request, tmp_path_factory):
    chain = Chain(tmp_path_factory.mktemp("load"), "rust", "sqlite")
    request.session.stash[CHILDREN] = request.session.stash.get(CHILDREN, {}) | chain.children
    yield chain
    chain.end()


@pytest.fixture
def say(request):
    """Prints a line that shows also where the test passes."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def say(line: str):
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(f"  {line}")

    return say


async def test_the_latency_of_a_tool_call(chain, say):
    transport = StreamableHttpTransport(chain.gateway.url, auth=AI_DEV)
    async with fastmcp.Client(transport) as client:

        async def timed() -> float:
            start = time.perf_counter()
            result = await client.call_tool("list_tickets", {"page": 1, "page_size": 5})
            assert "tickets" in result.content[0].text
            return time.perf_counter() - start

        one_by_one = [await timed() for _ in range(10)]
        start = time.perf_counter()
        await asyncio.gather(*(timed() for _ in range(5)))
        five = time.perf_counter() - start
    say(
        f"10 calls: mean {statistics.mean(one_by_one):.3f} s (seed: under 2), median "
        f"{statistics.median(one_by_one):.3f} s (1.5), longest {max(one_by_one):.3f} s (5)"
    )
    say(f"5 calls at once: {five:.3f} s (seed: under 10)")


@pytest.mark.parametrize("number", [5, 50])
async def test_messages_at_once_of_two_callers_never_mix(chain, say, number):
    async with Chat(chain, ALICE) as alice, Chat(chain, AI_DEV) as ai_dev:

        async def create(chat):
            title = f"load-{new_thread()}"
            answer = await chat.say(f"create a ticket for {title}", new_thread())
            assert (answer.status, answer.tools) == (200, ["create_ticket"])
            return title, chat.token

        start = time.perf_counter()
        made = await asyncio.gather(*(create((alice, ai_dev)[i % 2]) for i in range(number)))
        say(
            f"{number} chat messages at once: {time.perf_counter() - start:.2f} s (seed: 5 under 10)"
        )
    owners = {title: user for title, user, _ in chain.database.tickets()}
    for title, token in made:
        assert (owners[title] == "alice") == (token == ALICE)


async def test_a_thousand_messages_leave_nothing_behind(chain, say):
    chat_process, gateway = chain.children["chat"], chain.gateway
    async with Chat(chain, ALICE) as alice:

        async def converse(number: int):
            thread = new_thread()
            for _ in range(number):
                answer = await alice.say("what tools can you call?", thread)
                assert (answer.status, answer.tools) == (200, ["whoami"])

        async def in_all(messages: int):
            await asyncio.gather(*(converse(messages // AT_ONCE) for _ in range(AT_ONCE)))

        def settled() -> tuple:
            """Sockets of both processes, once nothing is in flight."""
            poll(
                "no request in flight", lambda: not gateway.count("requests_in_flight", "upstream")
            )
            poll("no stream open", lambda: not gateway.count("streams_active", "upstream"))
            return chat_process.sockets(), gateway.child.sockets()

        await in_all(WARM)
        before, memory = settled(), chat_process.resident()
        start = time.perf_counter()
        await in_all(MESSAGES - WARM)
        took = time.perf_counter() - start
        grown = chat_process.resident() - memory
        after = poll("sockets as before", lambda: (now := settled()) and now <= before and now)
    methods = gateway.count("requests_total", "method")
    opened = methods.get(("initialize",), 0)
    say(
        f"{MESSAGES} messages, {took / (MESSAGES - WARM) * 1000:.0f} ms each with {AT_ONCE} at once"
    )
    say(f"memory of the agent: {grown / 1024:.0f} KiB more after the last {MESSAGES - WARM}")
    say(f"sockets of agent and gateway: {before} before, {after} after; {opened} sessions opened")
    assert opened == methods.get(("DELETE",), methods.get(("delete",), 0)), methods
    assert grown < GROWTH
