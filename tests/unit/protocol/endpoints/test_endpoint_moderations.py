"""Moderation: passed on, and reported as one request."""

import json

import msgspec
import pytest

from trunkline.core.errors import ErrorType, FaultError
from trunkline.core.usage import Units
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.moderations import Moderations
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.tokens import count_text
from trunkline.protocol.vendor import VendorOptions

ENDPOINT = Moderations()
OPENAI = Provider("openai", "up", "public", VendorOptions(), RequestRules())
RESULT = (
    b'{"id":"modr-1","model":"omni-moderation-2024-09-26","results":[{"flagged":false,"category_scores":{"a":1e-7}}]}'
)


def opened(body: bytes, provider: Provider = OPENAI) -> EndpointCall:
    ENDPOINT.read_head(body, "")
    return ENDPOINT.open(body, "", provider)


def read(call: EndpointCall, body: bytes) -> tuple[WholeAnswer, bytes]:
    assert call.whole is not None
    return call.whole(body)


@pytest.mark.parametrize("body", [{"input": "x"}, {"input": ["x"], "model": None}, {"input": [{"type": "text"}]}])
def test_the_model_may_be_left_out(body: object) -> None:
    head = ENDPOINT.read_head(json.dumps(body).encode(), "")
    assert head == ClientRequest("omni-moderation-latest", stream=False)


@pytest.mark.parametrize(
    ("body", "param"), [({}, "input"), ({"input": []}, "input"), ({"input": "x", "model": 5}, "model")]
)
def test_a_wrong_field_is_named(body: object, param: str) -> None:
    with pytest.raises(FaultError) as caught:
        ENDPOINT.read_head(json.dumps(body).encode(), "")
    assert (caught.value.fault.type, caught.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


def test_the_providers_model_is_always_sent() -> None:
    assert opened(b'{"input":"x"}').body == b'{"model":"up","input":"x"}'
    assert opened(b'{"input":"x", "model": null}').body == b'{"input":"x", "model": "up"}'
    body = b'{"input":"x","model":"up","new":1}'
    call = opened(body)
    assert call.body is body
    assert call.call.path == "/moderations"


@pytest.mark.parametrize("dialect", ["azure", "gemini", "anthropic"])
def test_other_providers_offer_none(dialect: str) -> None:
    with pytest.raises(FaultError) as caught:
        opened(b'{"input":"x"}', msgspec.structs.replace(OPENAI, dialect=dialect))
    assert (caught.value.fault.type, caught.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, "model")


def test_an_answer_passes_under_the_public_name_and_is_one_request() -> None:
    whole, shown = read(opened(b'{"input":"x"}'), RESULT)
    assert whole == WholeAnswer(Units(requests=1), 0, None)
    assert shown == RESULT.replace(b"omni-moderation-2024-09-26", b"public")
    same = opened(b'{"input":"x"}', msgspec.structs.replace(OPENAI, public_model="up"))
    assert read(same, RESULT)[1] is RESULT


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"results":[]}', ErrorType.UPSTREAM_INVALID),
        (b'{"results":{}}', ErrorType.UPSTREAM_INVALID),
        (b"", ErrorType.UPSTREAM_INVALID),
        (b'{"error":{"message":"boom"}}', ErrorType.UPSTREAM_ERROR),
    ],
)
def test_what_is_no_answer_is_seen(body: bytes, kind: ErrorType) -> None:
    whole, shown = read(opened(b'{"input":"x"}'), body)
    assert whole.error is not None
    assert (whole.error.fault.type, whole.units, shown) == (kind, None, b"")


def test_texts_are_counted_and_images_are_not() -> None:
    parts = [{"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {"url": "data:AAAA"}}]
    assert ENDPOINT.count_input(json.dumps({"input": parts}).encode()) == count_text("hello")
