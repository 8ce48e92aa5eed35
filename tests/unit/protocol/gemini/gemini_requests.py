"""Contents of requests, and how they are read. Shared by the tests of this dialect."""

import json

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.gemini.request_reader import read_request
from trunkline.protocol.model import (
    Request,
    Role,
)

HI = {"parts": [{"text": "hi"}]}
USER, MODEL = Role.USER, Role.ASSISTANT


def read(*contents: object, **members: object) -> Request:
    return read_request(json.dumps({"contents": contents or [HI], **members}).encode(), stream=False)


def refused(*contents: object, **members: object) -> Fault:
    with pytest.raises(FaultError) as caught:
        read(*contents, **members)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return caught.value.fault


def user(*parts: object) -> dict[str, object]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: object) -> dict[str, object]:
    return {"role": "model", "parts": list(parts)}


def only_parts(*parts: object) -> tuple[object, ...]:
    (turn,) = read(user(*parts)).turns
    return turn.parts
