"""How requests are read. Shared by the tests of this dialect."""

import base64
import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.anthropic.request_reader import read_request
from trunkline.protocol.model import (
    Part,
    Request,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
PDF = base64.b64encode(b"%PDF-1.7" + bytes(16)).decode()
CACHE = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def read(*, stream: bool = False, **members: Any) -> Request:
    tree = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **members}
    return read_request(json.dumps(tree).encode(), stream=stream)


def refused(**members: Any) -> Fault:
    with pytest.raises(FaultError) as caught:
        read(**members)
    return caught.value.fault


def parts(*blocks: object, role: str = "user") -> tuple[Part, ...]:
    (turn,) = read(messages=[{"role": role, "content": list(blocks)}]).turns
    return turn.parts


def bad_block(*blocks: object) -> str:
    fault = refused(messages=[{"role": "user", "content": list(blocks)}])
    assert fault.type is ErrorType.CLIENT_BAD_REQUEST
    assert fault.param is not None
    assert f"`{fault.param}`" in fault.message
    return fault.param
