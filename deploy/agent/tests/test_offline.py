"""The rules of the model without a network, as the agent runs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chat import offline
from chat.assistant import ChatAnswer
from pydantic_ai import Agent, ToolFailed
from pydantic_ai.toolsets import FunctionToolset

TICKET = {"id": "T-1", "title": "Printer", "status": "open", "priority": "high", "description": "d"}


def whoami() -> str:
    return json.dumps({"user_id": "alice", "organization_id": "dev-org"})


def list_tickets() -> dict:
    return {"tickets": [TICKET], "total": 1}


def create_ticket(title: str, description: str) -> dict:
    return {"result": json.dumps({"ticket": TICKET | {"title": title}})}


def search_tickets(query: str) -> dict:
    return {"tickets": [], "total": 0}


def get_ticket(ticket_id: str) -> dict:
    raise ToolFailed('{"success": false, "error": "no such ticket"}')


ALL = [whoami, list_tickets, create_ticket, search_tickets, get_ticket]


def answer(message: str, tools: list) -> ChatAnswer:
    agent = Agent(offline.MODEL, output_type=ChatAnswer, toolsets=[FunctionToolset(tools)])
    return agent.run_sync(message).output


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("what tools can you call?", "I act for alice of dev-org. I can call these tools: create_"),
        (
            "list my tickets",
            "Here is the list of your tickets, 1 in all: T-1 Printer (open, high).",
        ),
        ("create a ticket for testing FastMCP", "I created the ticket T-1 testing FastMCP (open"),
        ("search for tickets about FastMCP", "The search for 'FastMCP' found 0 tickets."),
        ("Open a new\nticket: formatting", "I created the ticket T-1 formatting (open"),
        ("create a ticket formatting", "I created the ticket T-1 formatting (open"),
        ("find with about", "The search for 'about' found 0 tickets."),
        ("search printer?", "The search for 'printer' found 0 tickets."),
        ("show my tickets", "Here is the list of your tickets, 1 in all"),
    ],
)
def test_words_choose_the_tool_and_tell_its_result(message, told):
    said = answer(message, ALL)
    assert said.content.startswith(told)
    assert (said.confidence, said.requires_escalation) == (0.9, False)


def test_a_tool_that_is_not_there_is_a_polite_sentence_with_what_is():
    said = answer("show ticket T-1", [whoami, list_tickets])
    assert "I may not do that" in said.content
    assert "I can call these tools: list_tickets, whoami." in said.content
    assert said.requires_escalation


def test_a_tool_that_fails_gives_its_reason_and_is_not_asked_again():
    said = answer("show ticket T-9", ALL)
    assert "get_ticket did not work: no such ticket." in said.content
    assert said.requires_escalation


@pytest.mark.parametrize("message", ["sing", "create a ticket for", "find .", "list", "ticket T-1"])
def test_other_words_call_nothing(message):
    said = answer(message, [])
    assert said.content == "I did not understand that. I can call these tools: none."
    assert said.confidence == 0.3


@pytest.mark.parametrize(
    "told", ["[" * 5000, "7", "[]", '{"result": ' * 5000, "{}", '{"tickets": 7}', "no JSON", ""]
)
def test_a_tool_that_tells_something_else_is_a_polite_sentence(told):
    def list_tickets() -> str:
        return told

    said = answer("list my tickets", [list_tickets])
    assert said.content.startswith("I am sorry, I could not read the answer of list_tickets.")
    assert said.requires_escalation


def test_half_of_a_surrogate_pair_does_not_spoil_the_answer():
    def list_tickets() -> str:
        return json.dumps({"tickets": [TICKET | {"title": "\ud800"}], "total": 1})

    said = answer("list my tickets", [list_tickets])
    assert "T-1 ? (open" in said.content


UNPLEASANT = [
    "create ",
    "find about ",
    "search" + " " * 99,
    "show ",
    "show ticket ",
    "get ticket" + " " * 99,
    "list ",
    "what ",
    "for",
    " ",
]


@pytest.mark.parametrize("piece", UNPLEASANT)
def test_the_time_for_a_message_grows_with_its_length_and_not_with_its_square(piece):
    """A megabyte, which takes hours where each piece makes the whole be read once more."""
    program = """if True:
        import sys
        from chat.offline import RULES
        text = (sys.argv[1] * 1_000_000)[:1_000_000]
        for rule in RULES:
            found = rule.words.find(text)
            found and rule.arguments(*found)
    """
    folder = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", program, piece], check=True, timeout=60, cwd=folder)
