"""What is short of this dialect: heads of requests, errors, whole answers passed on, models, counts, headers."""

import json
import re

import pytest

from tests.unit.protocol.anthropic.anthropic_frames import dump
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.core.usage import Units
from trunkline.protocol import names
from trunkline.protocol.anthropic.answer import read_whole
from trunkline.protocol.anthropic.count import IMAGE_TOKENS, count_input
from trunkline.protocol.anthropic.dialect import Anthropic
from trunkline.protocol.anthropic.errors import render_error, render_stream_error
from trunkline.protocol.anthropic.models import render_model, render_models
from trunkline.protocol.anthropic.request import prepare, read_count_head, read_head
from trunkline.protocol.conversation import opening_digest
from trunkline.protocol.dialect import ClientDialect, ClientRequest, RelayDialect, TokenCounter, UpstreamDialect
from trunkline.protocol.models import ModelCard
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.tokens import ANSWER_TOKENS, FILE_TOKENS, MESSAGE_TOKENS, count_text
from trunkline.protocol.upstream_error import read_upstream_error
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

MESSAGES = b'"messages":[{"role":"user","content":"hi"}]'

# --- heads -----------------------------------------------------------------------------------------------------------


def body(fields: bytes) -> bytes:
    return b"{" + fields + b"," + MESSAGES + b"}"


def refused(source: bytes, *, count: bool = False) -> Fault:
    with pytest.raises(FaultError) as caught:
        read_count_head(source) if count else read_head(source)
    return caught.value.fault


def test_what_routing_needs_is_read() -> None:
    source = body(b'"model":"m","stream":true,"max_tokens":5,"system":[{"type":"text","text":"x"}],"top_k":2')
    turns, system = b'[{"role":"user","content":"hi"}]', b'[{"type":"text","text":"x"}]'
    opening = opening_digest(turns, system)
    assert read_head(source) == ClientRequest(model="m", stream=True, max_output=5, opening=opening)
    assert read_head(body(b'"model":"m","max_tokens":5,"stream":null')) == ClientRequest(
        "m", stream=False, max_output=5, opening=opening_digest(turns)
    )


def test_a_count_has_no_bound() -> None:
    assert read_count_head(body(b'"model":"m"')) == ClientRequest("m", stream=False)
    assert refused(b'{"model":"m","messages":[]}', count=True).param == "messages"
    assert refused(body(b'"model":""'), count=True).param == "model"


def test_a_bound_of_zero_fills_the_cache() -> None:
    assert read_head(body(b'"model":"m","max_tokens":0')).max_output == 0


@pytest.mark.parametrize(
    ("source", "param"),
    [
        (body(b'"model":"m"'), "max_tokens"),
        (body(b'"model":"m","max_tokens":null'), "max_tokens"),
        (body(b'"model":"m","max_tokens":-1'), "max_tokens"),
        (body(b'"model":"m","max_tokens":"5"'), "max_tokens"),
        (body(b'"model":"m","max_tokens":1.5'), "max_tokens"),
        (body(b'"max_tokens":5'), "model"),
        (body(b'"model":5,"max_tokens":5'), "model"),
        (body(b'"model":" ","max_tokens":5'), "model"),
        (body(b'"model":"' + b"m" * 300 + b'","max_tokens":5'), "model"),
        (body(b'"model":"m","max_tokens":5,"stream":"yes"'), "stream"),
        (b'{"model":"m","max_tokens":5}', "messages"),
        (b'{"model":"m","max_tokens":5,"messages":[]}', "messages"),
        (b'{"model":"m","max_tokens":5,"messages":"hi"}', "messages"),
    ],
)
def test_the_field_at_fault_is_named(source: bytes, param: str) -> None:
    fault = refused(source)
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)
    assert f"`{param}`" in fault.message


@pytest.mark.parametrize("source", [b"", b"[]", b"{", b"\xff", b'{"model":"m",}', body(b'"model":"\xff"')])
def test_what_is_no_json_object(source: bytes) -> None:
    assert refused(source).type is ErrorType.CLIENT_BAD_JSON


def test_many_small_fields_are_refused_and_large_ones_are_not() -> None:
    large = b'"model":"m","max_tokens":5,"system":"' + b"x" * (2 * limits.CHAT_FIELDS_BYTES_MAX) + b'"'
    assert read_head(body(large)).model == "m"
    assert "beside `messages`" in refused(body(large.replace(b"system", b"sistem"))).message


def test_only_what_must_change_changes() -> None:
    source = b'{ "models":["x"], "model" : "pub" , "tools":[{"input_schema":{"model":1.10}}], "stream":true}'
    assert prepare(source, upstream_model="up") == (
        b'{ "model" : "up" , "tools":[{"input_schema":{"model":1.10}}], "stream":true}'
    )
    plain = body(b'"model":"m","max_tokens":5,"stream":true')
    assert prepare(plain, upstream_model="m") is plain
    assert prepare(plain) is plain
    rules = RequestRules(drop=("top_p",), set={"max_tokens": b"9"})
    assert prepare(plain, rules=rules) == plain.replace(b'"max_tokens":5', b'"max_tokens":9')


# --- errors ----------------------------------------------------------------------------------------------------------

SHAPES = {
    ErrorType.CLIENT_BAD_REQUEST: (400, "invalid_request_error"),
    ErrorType.CLIENT_BAD_JSON: (400, "invalid_request_error"),
    ErrorType.CLIENT_UNAUTHENTICATED: (401, "authentication_error"),
    ErrorType.CLIENT_NOT_FOUND: (404, "not_found_error"),
    ErrorType.CLIENT_METHOD_NOT_ALLOWED: (405, "invalid_request_error"),
    ErrorType.CLIENT_MODEL_NOT_FOUND: (404, "not_found_error"),
    ErrorType.CLIENT_HEADERS_TOO_LARGE: (431, "invalid_request_error"),
    ErrorType.CLIENT_BODY_TOO_LARGE: (413, "request_too_large"),
    ErrorType.CLIENT_UPGRADE_UNSUPPORTED: (426, "invalid_request_error"),
    ErrorType.CLIENT_UNSUPPORTED_MEDIA: (415, "invalid_request_error"),
    ErrorType.CLIENT_TOO_SLOW: (408, "timeout_error"),
    ErrorType.CLIENT_GONE: (499, "invalid_request_error"),
    ErrorType.POLICY_KEY_BLOCKED: (401, "authentication_error"),
    ErrorType.POLICY_MODEL_NOT_ALLOWED: (403, "permission_error"),
    ErrorType.POLICY_ENDPOINT_NOT_ALLOWED: (403, "permission_error"),
    ErrorType.POLICY_ACCESS_DENIED: (403, "permission_error"),
    ErrorType.POLICY_NO_CREDIT: (402, "billing_error"),
    ErrorType.POLICY_BUDGET_SPENT: (402, "billing_error"),
    ErrorType.POLICY_RATE_LIMITED: (429, "rate_limit_error"),
    ErrorType.UPSTREAM_BAD_REQUEST: (400, "invalid_request_error"),
    ErrorType.UPSTREAM_CREDENTIAL: (502, "api_error"),
    ErrorType.UPSTREAM_RATE_LIMITED: (429, "rate_limit_error"),
    ErrorType.UPSTREAM_OVERLOADED: (529, "overloaded_error"),
    ErrorType.UPSTREAM_ERROR: (502, "api_error"),
    ErrorType.UPSTREAM_UNREACHABLE: (502, "api_error"),
    ErrorType.UPSTREAM_ADDRESS: (502, "api_error"),
    ErrorType.UPSTREAM_INVALID: (502, "api_error"),
    ErrorType.UPSTREAM_CUT: (502, "api_error"),
    ErrorType.UPSTREAM_TIMEOUT: (504, "timeout_error"),
    ErrorType.GATEWAY_OVERLOADED: (429, "rate_limit_error"),
    ErrorType.GATEWAY_BUSY: (529, "overloaded_error"),
    ErrorType.GATEWAY_NO_CHANNEL: (529, "overloaded_error"),
    ErrorType.GATEWAY_NO_DISPATCHER: (529, "overloaded_error"),
    ErrorType.GATEWAY_DISPATCHER_LOST: (500, "api_error"),
    ErrorType.GATEWAY_FRAME_LOST: (500, "api_error"),
    ErrorType.GATEWAY_SHUTTING_DOWN: (529, "overloaded_error"),
    ErrorType.GATEWAY_OUTRUN: (500, "api_error"),
    ErrorType.GATEWAY_NOT_READY: (529, "overloaded_error"),
    ErrorType.GATEWAY_INTERNAL: (500, "api_error"),
}


@pytest.mark.parametrize("kind", list(ErrorType))
def test_every_error_has_its_status_and_type(kind: ErrorType) -> None:
    response = render_error(Fault(kind, "Do this.", param="x", code="y"), "req_1")
    status, word = SHAPES[kind]
    assert response.status == status
    assert json.loads(response.body) == {
        "type": "error",
        "error": {"type": word, "message": "Do this."},
        "request_id": "req_1",
    }
    assert response.headers["request-id"] == "req_1"
    assert response.headers["content-type"] == "application/json"
    assert ("retry-after" in response.headers) is (status in {429, 529})
    assert (response.headers.get("x-should-retry") == "false") is (status not in {408, 429, 500, 529})


def test_an_error_in_a_stream_has_the_name_that_clients_look_for() -> None:
    assert render_stream_error(Fault(ErrorType.UPSTREAM_CUT, "Cut."), "req_1") == (
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"Cut."},"request_id":"req_1"}\n\n'
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (1000 + 8000).",
            "prompt is too long: 9000 tokens > 8192 maximum. This model's",
        ),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "prompt is too long: 1200000 tokens > 1048576 maximum. The input",
        ),
        ("gpt-4-0613 takes 8,192 tokens, not 10,000.", "prompt is too long: 10000 tokens > 8192 maximum. gpt-4"),
        ("prompt is too long: 210000 tokens > 200000 maximum", "prompt is too long: 210000 tokens > 200000 maximum"),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        ),
        ("The context window is full.", "prompt is too long: The context window is full."),
    ],
)
def test_an_overflow_is_said_as_clients_know_it(message: str, shown: str) -> None:
    error = read_upstream_error(400, {}, dump({"error": {"message": message, "code": "context_length_exceeded"}}), 0)
    assert json.loads(render_error(error.fault, "r").body)["error"]["message"].startswith(shown)


# --- whole answers ---------------------------------------------------------------------------------------------------


def answer(**members: object) -> bytes:
    return dump(
        {
            "id": "msg_1",
            "type": "message",
            "model": "up",
            "content": [{"type": "text", "text": "Hello there"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 5, "output_tokens": 7},
            **members,
        }
    )


def test_reported_usage_is_taken_and_nothing_is_counted() -> None:
    read = read_whole(answer())
    assert (read.units, read.output_tokens_counted, read.valid) == (Units(input=5, output=7), 0, True)


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 5}])
def test_missing_usage_is_counted(usage: object) -> None:
    content = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "Hello there"},
        {"type": "tool_use", "name": "f", "input": {"a": 1}},
    ]
    read = read_whole(answer(usage=usage, content=content))
    assert (read.units, read.output_tokens_counted) == (None, count_text('hm\nHello there\nf\n{"a":1}'))
    assert read.valid


def test_a_refusal_without_content_is_valid_and_billed() -> None:
    read = read_whole(answer(content=[], stop_reason="refusal", usage={"input_tokens": 5, "output_tokens": 0}))
    assert (read.units, read.valid) == (Units(input=5), True)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (b"", ErrorType.UPSTREAM_INVALID),
        (b"<html>", ErrorType.UPSTREAM_INVALID),
        (b"[]", ErrorType.UPSTREAM_INVALID),
        (b'{"id":"x"}', ErrorType.UPSTREAM_INVALID),
        (b'{"choices":[]}', ErrorType.UPSTREAM_INVALID),
        (answer()[:-3], ErrorType.UPSTREAM_INVALID),
        (answer(stop_reason="error"), ErrorType.UPSTREAM_ERROR),
        (dump({"type": "error", "error": {"type": "overloaded_error"}}), ErrorType.UPSTREAM_OVERLOADED),
        (dump({"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}), ErrorType.UPSTREAM_BAD_REQUEST),
    ],
)
def test_what_is_no_answer(source: bytes, kind: ErrorType) -> None:
    error = read_whole(source).error
    assert error is not None
    assert error.fault.type is kind


# --- models and counts -----------------------------------------------------------------------------------------------


def test_list_and_single_model_have_anthropics_shape() -> None:
    cards = [ModelCard("a/b", 0, "x"), ModelCard("c", 1_700_000_000, "y")]
    first = {"type": "model", "id": "a/b", "display_name": "a/b", "created_at": "1970-01-01T00:00:00Z"}
    second = {"type": "model", "id": "c", "display_name": "c", "created_at": "2023-11-14T22:13:20Z"}
    assert json.loads(render_models(cards)) == {
        "data": [first, second],
        "has_more": False,
        "first_id": "a/b",
        "last_id": "c",
    }
    assert json.loads(render_model(cards[1])) == second
    assert json.loads(render_models([])) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def tokens(content: object, **members: object) -> int:
    """Return the tokens of a message beside its marks."""
    request = dump({"model": "m", "messages": [{"role": "user", "content": content}], **members})
    return count_input(request) - ANSWER_TOKENS - MESSAGE_TOKENS


def test_texts_of_every_kind_count() -> None:
    assert tokens("Hello there") == count_text("Hello there")
    assert tokens("", system="Be nice") == count_text("Be nice")
    assert tokens("", system=[{"type": "text", "text": "Be nice"}]) == count_text("Be nice")
    tool = {"name": "f", "input_schema": {"type": "object"}}
    assert tokens("", tools=[tool]) == count_text(dump([tool]).decode())
    assert tokens([{"type": "thinking", "thinking": "hm"}]) == count_text("hm")
    assert tokens([{"type": "tool_use", "name": "f", "input": {"a": 1}}]) == count_text('f\n{"a":1}')
    result = {"type": "tool_result", "tool_use_id": "t", "content": "It is warm"}
    assert tokens([result]) == count_text("It is warm")
    assert tokens([{**result, "content": [{"type": "text", "text": "It is warm"}]}]) == count_text("It is warm")
    document = {"type": "document", "source": {"type": "text", "data": "It is warm"}}
    assert tokens([{**result, "content": [document]}]) == count_text("It is warm")


def test_media_cost_a_fixed_figure_wherever_they_stand() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 5000}}
    file = {"type": "document", "source": {"type": "base64", "data": "A" * 5000}}
    assert tokens([image, file]) == IMAGE_TOKENS + FILE_TOKENS
    assert tokens([{"type": "tool_result", "content": [image]}]) == IMAGE_TOKENS


def test_contents_without_end_are_followed_no_further() -> None:
    content: object = "x"
    for _ in range(100):
        content = [{"type": "tool_result", "content": content}]
    assert 0 < tokens(content) < 2000


def test_what_is_too_large_or_odd_is_counted_by_its_bytes() -> None:
    assert count_input(b"x" * 400) == 100
    assert count_input(b'{"messages":5}') == 3
    assert count_input(b'{"messages":[],"x":"' + b"a b " * (limits.COUNT_BYTES_MAX // 4) + b'"}') > 1_000_000


# --- the dialect -----------------------------------------------------------------------------------------------------

DIALECT = Anthropic()


def test_it_has_every_side() -> None:
    client: ClientDialect = DIALECT
    upstream: UpstreamDialect = DIALECT
    relay: RelayDialect = DIALECT
    counter: TokenCounter = DIALECT
    assert {client.name, upstream.name, relay.name} == {names.ANTHROPIC}
    assert client.request_id_header == "request-id"
    assert client.carried_headers == ("anthropic-version", "anthropic-beta")
    assert client.stream_type(array=False) == "text/event-stream; charset=utf-8"
    assert counter.render_count(12) == b'{"input_tokens":12}'
    assert upstream.call("m", stream=True, options=DEFAULTS).path == "/messages"


def test_exactly_one_credential_header() -> None:
    assert DIALECT.credential_header("s", DEFAULTS) == b"x-api-key: s\r\n"
    assert DIALECT.credential_header("s", VendorOptions(auth_bearer=True)) == b"authorization: Bearer s\r\n"


@pytest.mark.parametrize(
    ("headers", "betas", "lines"),
    [
        ({}, ("*",), b"anthropic-version: 2023-06-01\r\n"),
        ({"anthropic-version": "2026-10-21"}, ("*",), b"anthropic-version: 2026-10-21\r\n"),
        ({"anthropic-version": "a b"}, ("*",), b"anthropic-version: 2023-06-01\r\n"),
        ({"x-api-key": "secret", "cookie": "c"}, ("*",), b"anthropic-version: 2023-06-01\r\n"),
        (
            {"anthropic-beta": "a-1, b-2,,a-1, \x7f"},
            ("*",),
            b"anthropic-version: 2023-06-01\r\nanthropic-beta: a-1,b-2\r\n",
        ),
        ({"anthropic-beta": "a-1,b-2"}, ("b-2",), b"anthropic-version: 2023-06-01\r\nanthropic-beta: b-2\r\n"),
        ({"anthropic-beta": "a-1"}, (), b"anthropic-version: 2023-06-01\r\n"),
    ],
)
def test_version_and_betas_are_carried(headers: dict[str, str], betas: tuple[str, ...], lines: bytes) -> None:
    carried = DIALECT.carried(headers, VendorOptions(betas=betas))
    assert carried == lines
    assert re.fullmatch(rb"(?:[a-z-]+: [!-~]+\r\n)+", carried)
