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


class Words:
    """Patterns that a message must have one after the other.

    Each is looked for once, after where the one before was first found. One pattern with `.*`
    between them would take the square of the time for a message that repeats the first.
    """

    def __init__(self, *patterns: str) -> None:
        self._patterns = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]

    def find(self, text: str) -> tuple[str, str, str] | None:
        """From the first pattern to the end of the text; the last pattern's group, or what it
        found; and what comes after that."""
        start, found = None, None
        for pattern in self._patterns:
            found = pattern.search(text, found.end() if found else 0)
            if found is None:
                return None
            start = found.start() if start is None else start
        return text[start:], found[found.re.groups], text[found.end() :]


@dataclass(frozen=True)
class Rule:
    """What to call for which words, and how to tell the result."""

    words: Words
    tool: str
    arguments: Callable[[str, str, str], Arguments | None]
    """Of what the words found; None where they do not say enough."""
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


def new_ticket(all: str, _: str, rest: str) -> Arguments | None:
    title = re.sub(r"^(?:(?:for|about)\b|:)", "", rest.strip(), flags=re.IGNORECASE).strip()[:200]
    return {"title": title, "description": all.strip()} if title else None


def searched(_all: str, _: str, rest: str) -> Arguments | None:
    """What comes after the last preposition, or after the verb where there is none."""
    start = 0
    for preposition in re.finditer(r"\b(?:about|for|with)\s+(?=\S)", rest, re.IGNORECASE):
        start = preposition.end()
    query = rest[start:].strip(" .?!")[:200]
    return {"query": query} if query else None


RULES = (
    Rule(
        Words(r"\b(?:what|which) tools\b|\bwhat can you\b|\bwho am i\b|\bhelp\b"),
        "whoami",
        lambda *_: {},
        lambda _, who: f"I act for {who['user_id']} of {who['organization_id']}.",
    ),
    Rule(
        Words(r"\b(?:create|open|file)\b", r"\bticket\b"),
        "create_ticket",
        new_ticket,
        lambda _, made: f"I created the ticket {title_of(made['ticket'])}.",
    ),
    Rule(Words(r"\b(?:search|find)\b"), "search_tickets", searched, tell_search),
    Rule(
        Words(r"\b(?:show|get|read)\b", r"\bticket\s+(T-\d+)"),
        "get_ticket",
        lambda _all, id, _rest: {"ticket_id": id.upper()},
        lambda _, read: f"Ticket {title_of(read['ticket'])}: {read['ticket']['description']}",
    ),
    Rule(Words(r"\b(?:list|show)\b", r"\btickets\b"), "list_tickets", lambda *_: {}, tell_list),
)


def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """The next step: a call of a tool, or the answer."""
    prompt, results = last_turn(messages)
    tools = sorted(tool.name for tool in info.function_tools)
    offer = f"I can call these tools: {', '.join(tools) or 'none'}."
    for candidate in RULES:
        found = candidate.words.find(prompt)
        arguments = candidate.arguments(*found) if found else None
        if arguments is not None:
            break
    else:
        return answer(info, f"I did not understand that. {offer}", 0.3)
    if candidate.tool not in tools:
        sentence = f"I am sorry, I may not do that for you: it needs the tool {candidate.tool}."
        return answer(info, f"{sentence} {offer}", 0.6, escalate=True)
    if not results:
        return ModelResponse(parts=[ToolCallPart(candidate.tool, arguments)])
    if results[-1].outcome != "success":
        sentence = f"I am sorry, {candidate.tool} did not work: {reason(results[-1].content)}."
        return answer(info, f"{sentence} {offer}", 0.6, escalate=True)
    try:
        told = candidate.tell(arguments, members(results[-1].content))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        sentence = f"I am sorry, I could not read the answer of {candidate.tool}."
        return answer(info, f"{sentence} {offer}", 0.6, escalate=True)
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
    # Half of a surrogate pair can be read in JSON, and be sent and kept nowhere.
    content = content.encode(errors="replace").decode()
    said = {"content": content, "confidence": confidence, "requires_escalation": escalate}
    return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, said)])


MODEL = FunctionModel(respond, model_name="offline")
