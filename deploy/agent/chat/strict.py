"""JSON in and out: what readers could take differently is refused, and every text can be sent."""

import json
from typing import Any

from starlette.responses import JSONResponse


def read(raw: bytes) -> Any:
    """A value in JSON. Raises ValueError for anything else, and for a name that occurs twice."""
    try:
        return json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(members)
    if len(named) != len(members):
        raise ValueError("a name occurs twice")
    return named


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


class Reply(JSONResponse):
    """In ASCII, so that half of a surrogate pair does not spoil the answer."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
