"""Neutral requests, written as Messages requests. Shared by the tests of the request's writer."""

import base64
import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol import names
from trunkline.protocol.anthropic.request_writer import write_request
from trunkline.protocol.dialect import Written
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import (
    Part,
    Request,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

OLD = "claude-sonnet-4-5-20250929"
BOTH = "claude-opus-4-6"
NEW = "claude-opus-4-8"
LAST = "claude-opus-5-5"
NO_SCHEMA = "claude-opus-4-1"
HELLO = (Turn(Role.USER, (Text("hi"),)),)
OBJECT = b'{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}'
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
PDF = base64.b64encode(b"%PDF-1.7" + bytes(16)).decode()


def write(
    model: str = OLD,
    *,
    turns: tuple[Turn, ...] = HELLO,
    client: str = names.OPENAI_CHAT,
    options: VendorOptions = DEFAULTS,
    **fields: Any,
) -> tuple[dict[str, Any], str, Written]:
    """Return the body, what was lost, and all of it."""
    crossing = Crossing(client, names.ANTHROPIC)
    request = Request(turns=turns, **fields)
    written = write_request(request, crossing, model, options)
    # The same request gives the same bytes, or no prompt cache ever hits.
    assert write_request(request, Crossing(client, names.ANTHROPIC), model, options).body == written.body
    return json.loads(written.body), crossing.header(), written


def body(model: str = OLD, **fields: Any) -> dict[str, Any]:
    return write(model, **fields)[0]


def lost(model: str = OLD, **fields: Any) -> str:
    return write(model, **fields)[1]


def refused(model: str = OLD, **fields: Any) -> Fault:
    with pytest.raises(FaultError) as caught:
        write(model, **fields)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return caught.value.fault


def user(*parts: Part) -> Turn:
    return Turn(Role.USER, parts)


def assistant(*parts: Part) -> Turn:
    return Turn(Role.ASSISTANT, parts)


def messages(*turns: Turn, model: str = OLD, **fields: Any) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = body(model, turns=turns, **fields)["messages"]
    return written


def blocks(*parts: Part, **fields: Any) -> Any:
    (message,) = messages(user(*parts), **fields)
    return message["content"]


CALL = ToolCall("t", "f", "{}")
RESULT = ToolResult("t", "f", (Text("warm"),))
