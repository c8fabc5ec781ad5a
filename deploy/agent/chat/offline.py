"""A model without a network: it chooses tools by plain rules, always the same way."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """What to call for which words, and how to tell the result."""

    words: re.Pattern[str]
    tool: str
    arguments: Callable[[re.Match[str]], Arguments]
    tell: Callable[[Arguments, Arguments], str]


def title_of(ticket: Arguments) -> str:
    return f"{ticket['id']} {ticket['title']} ({ticket['status']}, {ticket['priority']})"


def count(tickets: int) -> str:
    return "1 ticket" if tickets == 1 else f"{tickets} tickets"


def tell_list(_: Arguments, result: Arguments) -> str:
    if not result["tickets"]:
        return "The list of your tickets is empty."
    titles = "; ".join(title_of(ticket) for ticket in result["tickets"])
    return f"Here is the list of your tickets, {result['total']} in all: {titles}."


def tell_search(arguments: Arguments, result: Arguments) -> str:
    found = f"The search for {arguments['query']!r} found {count(result['total'])}"
    titles = "; ".join(title_of(ticket) for ticket in result["tickets"])
    return f"{found}: {titles}." if titles else f"{found}."


def rule(words: str, tool: str, arguments: Any, tell: Any) -> Rule:
    return Rule(re.compile(words, re.IGNORECASE | re.DOTALL), tool, arguments, tell)


RULES = (
    rule(
        r"\b(what|which) tools\b|\bwhat can you\b|\bwho am i\b|\bhelp\b",
        "whoami",
        lambda _: {},
        lambda _, who: f"I act for {who['user_id']} of {who['organization_id']}.",
    ),
    rule(
        r"\b(?:create|open|file)\b.*?\bticket\b\s*(?:for|about|:)?\s*(.+)",
        "create_ticket",
        lambda found: {"title": found[1].strip()[:200], "description": found[0].strip()},
        lambda _, made: f"I created the ticket {title_of(made['ticket'])}.",
    ),
    rule(
        r"\b(?:search|find)\b(?:.*\b(?:about|for|with))?\s+(.+)",
        "search_tickets",
        lambda found: {"query": found[1].strip(" .?!")[:200]},
        tell_search,
    ),
    rule(
        r"\b(?:show|get|read)\b.*?\bticket\s+(T-\d+)",
        "get_ticket",
        lambda found: {"ticket_id": found[1].upper()},
        lambda _, read: f"Ticket {title_of(read['ticket'])}: {read['ticket']['description']}",
    ),
    rule(r"\b(?:list|show)\b.*\btickets\b", "list_tickets", lambda _: {}, tell_list),
)


def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """The next step: a call of a tool, or the answer."""
    prompt, results = last_turn(messages)
    tools = sorted(tool.name for tool in info.function_tools)
    offer = f"I can call these tools: {', '.join(tools) or 'none'}."
    for candidate in RULES:
        if found := candidate.words.search(prompt):
            break
    else:
        return answer(info, f"I did not understand that. {offer}", 0.3)
    if candidate.tool not in tools:
        sentence = f"I am sorry, I may not do that for you: it needs the tool {candidate.tool}."
        return answer(info, f"{sentence} {offer}", 0.6, escalate=True)
    arguments = candidate.arguments(found)
    if not results:
        return ModelResponse(parts=[ToolCallPart(candidate.tool, arguments)])
    if results[-1].outcome != "success":
        sentence = f"I am sorry, {candidate.tool} did not work: {reason(results[-1].content)}."
        return answer(info, f"{sentence} {offer}", 0.6, escalate=True)
    told = candidate.tell(arguments, members(results[-1].content))
    return answer(info, f"{told} {offer}" if candidate.tool == "whoami" else told, 0.9)


def last_turn(messages: list[ModelMessage]) -> tuple[str, list[ToolReturnPart]]:
    """The last thing that the user said, and what tools have answered since."""
    prompt, results = "", []
    for part in (part for message in messages for part in message.parts):
        if isinstance(part, UserPromptPart):
            prompt, results = str(part.content), []
        elif isinstance(part, ToolReturnPart):
            results.append(part)
    return prompt, results


def members(content: Any) -> Arguments:
    """A tool's JSON, which may come as text, as an object, or as text within an object."""
    if isinstance(content, str):
        content = json.loads(content)
    if content.keys() == {"result"}:
        return members(content["result"])
    return content


def reason(content: Any) -> str:
    """The sentence of a refusal, whose wrapping differs between servers."""
    text = str(content)
    found = re.search(r'"error":\s*"([^"]+)"', text)
    return found[1] if found else text


def answer(
    info: AgentInfo, content: str, confidence: float, escalate: bool = False
) -> ModelResponse:
    said = {"content": content, "confidence": confidence, "requires_escalation": escalate}
    return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, said)])


MODEL = FunctionModel(respond, model_name="offline")
