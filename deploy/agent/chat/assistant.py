"""The agent: one answer to one message, with the tools that the gateway shows."""

from dataclasses import dataclass, field
from typing import Any

from fastmcp import Client
from pydantic import BaseModel, Field
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart

from . import offline
from .threads import Message

INSTRUCTIONS = """\
You help with tickets. Use only the tools that you are given; they already act for the person you
talk to. Where something needs a tool that you do not have, or a tool refuses, say so politely,
tell what you can do instead, and set requires_escalation.
"""


class ChatAnswer(BaseModel):
    """What a model answers."""

    content: str
    confidence: float = Field(ge=0, le=1)
    requires_escalation: bool = False


@dataclass
class Used:
    """The tools that were called for one answer, in order."""

    tools: list[dict[str, Any]] = field(default_factory=list)

    async def record(self, _context: Any, call: Any, name: str, arguments: dict[str, Any]) -> Any:
        entry = {"name": name, "success": False}
        self.tools.append(entry)
        result = await call(name, arguments)
        entry["success"] = True
        return result


class Assistant:
    """An agent with a model; whose tools it has is decided anew for each message."""

    def __init__(self, model: str) -> None:
        chosen = offline.MODEL if model == "offline" else model
        self._agent = Agent(chosen, output_type=ChatAnswer, instructions=INSTRUCTIONS, retries=2)

    async def answer(
        self, client: Client, history: list[Message], content: str
    ) -> tuple[ChatAnswer, list[dict[str, Any]]]:
        """The answer, and the tools that were called for it."""
        used = Used()
        tools = MCPToolset(client, tool_error_behavior="failed", process_tool_call=used.record)
        run = await self._agent.run(content, message_history=spoken(history), toolsets=[tools])
        return run.output, used.tools


def spoken(history: list[Message]) -> list[ModelMessage]:
    """Earlier messages of the thread as the model wants them."""
    return [
        ModelRequest(parts=[UserPromptPart(message.content)])
        if message.role == "user"
        else ModelResponse(parts=[TextPart(message.content)])
        for message in history
    ]
