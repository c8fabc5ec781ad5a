"""The rules of the model without a network, as the agent runs them."""

import json

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


def test_other_words_call_nothing():
    said = answer("sing", [])
    assert said.content == "I did not understand that. I can call these tools: none."
    assert said.confidence == 0.3
