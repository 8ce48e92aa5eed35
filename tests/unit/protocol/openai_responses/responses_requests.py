"""Items of requests, and how they are read. Shared by the tests of this dialect."""

import base64
import json

import pytest

from trunkline.core.errors import Fault, FaultError
from trunkline.protocol.model import (
    Part,
    Request,
    Role,
    Text,
    ToolResult,
    Turn,
)
from trunkline.protocol.openai_responses.request_reader import read_request

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 10).decode()


def read(value: object = "hi", **fields: object) -> Request:
    return read_request(json.dumps({"model": "m", "input": value, **fields}).encode(), stream=False)


def turns(*items: object) -> tuple[Turn, ...]:
    return read(list(items)).turns


def parts(*content: object) -> tuple[Part, ...]:
    (turn,) = turns({"role": "user", "content": list(content)})
    return turn.parts


def refused(value: object = "hi", **fields: object) -> Fault:
    with pytest.raises(FaultError) as caught:
        read(value, **fields)
    return caught.value.fault


def user(*texts: str) -> Turn:
    return Turn(Role.USER, tuple(Text(text) for text in texts))


def call(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, object]:
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str, value: object = "ok") -> dict[str, object]:
    return {"type": "function_call_output", "call_id": call_id, "output": value}


def result(call_id: str, name: str = "f", text: str = "ok") -> ToolResult:
    return ToolResult(call_id, name, (Text(text),))


HI = {"role": "user", "content": "hi"}
