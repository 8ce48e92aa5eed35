"""Faults as responses in Google's shape."""

import json

import pytest

from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.gemini.errors import render_error, render_stream_error

T = ErrorType

EXPECTED: dict[ErrorType, tuple[int, str]] = {
    T.CLIENT_BAD_REQUEST: (400, "INVALID_ARGUMENT"),
    T.CLIENT_BAD_JSON: (400, "INVALID_ARGUMENT"),
    T.CLIENT_UNAUTHENTICATED: (401, "UNAUTHENTICATED"),
    T.CLIENT_NOT_FOUND: (404, "NOT_FOUND"),
    T.CLIENT_METHOD_NOT_ALLOWED: (405, "INVALID_ARGUMENT"),
    T.CLIENT_MODEL_NOT_FOUND: (404, "NOT_FOUND"),
    T.CLIENT_HEADERS_TOO_LARGE: (431, "INVALID_ARGUMENT"),
    T.CLIENT_BODY_TOO_LARGE: (413, "INVALID_ARGUMENT"),
    T.CLIENT_UPGRADE_UNSUPPORTED: (426, "INVALID_ARGUMENT"),
    T.CLIENT_UNSUPPORTED_MEDIA: (415, "INVALID_ARGUMENT"),
    T.CLIENT_TOO_SLOW: (408, "DEADLINE_EXCEEDED"),
    T.CLIENT_GONE: (499, "CANCELLED"),
    T.POLICY_KEY_BLOCKED: (401, "UNAUTHENTICATED"),
    T.POLICY_MODEL_NOT_ALLOWED: (403, "PERMISSION_DENIED"),
    T.POLICY_ENDPOINT_NOT_ALLOWED: (403, "PERMISSION_DENIED"),
    T.POLICY_ACCESS_DENIED: (403, "PERMISSION_DENIED"),
    T.POLICY_NO_CREDIT: (403, "PERMISSION_DENIED"),
    T.POLICY_BUDGET_SPENT: (403, "PERMISSION_DENIED"),
    T.POLICY_RATE_LIMITED: (429, "RESOURCE_EXHAUSTED"),
    T.UPSTREAM_BAD_REQUEST: (400, "INVALID_ARGUMENT"),
    T.UPSTREAM_CREDENTIAL: (502, "UNAVAILABLE"),
    T.UPSTREAM_RATE_LIMITED: (429, "RESOURCE_EXHAUSTED"),
    T.UPSTREAM_OVERLOADED: (503, "UNAVAILABLE"),
    T.UPSTREAM_ERROR: (502, "UNAVAILABLE"),
    T.UPSTREAM_UNREACHABLE: (502, "UNAVAILABLE"),
    T.UPSTREAM_ADDRESS: (502, "UNAVAILABLE"),
    T.UPSTREAM_INVALID: (502, "INTERNAL"),
    T.UPSTREAM_CUT: (502, "INTERNAL"),
    T.UPSTREAM_TIMEOUT: (504, "DEADLINE_EXCEEDED"),
    T.GATEWAY_OVERLOADED: (429, "RESOURCE_EXHAUSTED"),
    T.GATEWAY_BUSY: (503, "UNAVAILABLE"),
    T.GATEWAY_NO_CHANNEL: (503, "UNAVAILABLE"),
    T.GATEWAY_NO_DISPATCHER: (503, "UNAVAILABLE"),
    T.GATEWAY_DISPATCHER_LOST: (500, "INTERNAL"),
    T.GATEWAY_FRAME_LOST: (500, "INTERNAL"),
    T.GATEWAY_SHUTTING_DOWN: (503, "UNAVAILABLE"),
    T.GATEWAY_OUTRUN: (500, "INTERNAL"),
    T.GATEWAY_NOT_READY: (503, "UNAVAILABLE"),
    T.GATEWAY_INTERNAL: (500, "INTERNAL"),
}


@pytest.mark.parametrize("kind", list(ErrorType))
def test_every_error_has_its_code_and_status(kind: ErrorType) -> None:
    response = render_error(Fault(kind, "Do this."), "req-1")
    error = json.loads(response.body)["error"]
    assert (response.status, error["status"]) == EXPECTED[kind]
    assert (error["code"], error["message"]) == (response.status, "Do this.")
    assert response.headers["x-request-id"] == "req-1"
    assert response.headers["content-type"].startswith("application/json")
    assert response.body.startswith(b'{"error":{"code":')


@pytest.mark.parametrize("kind", list(ErrorType))
def test_only_what_may_succeed_later_may_be_retried(kind: ErrorType) -> None:
    headers = render_error(Fault(kind, "m"), "r").headers
    status = EXPECTED[kind][0]
    assert ("x-should-retry" not in headers) == (status in {408, 429, 500, 503})
    assert ("retry-after" in headers) == (status in {429, 503})


def details(fault: Fault) -> list[dict[str, object]]:
    return json.loads(render_error(fault, "req-1").body)["error"]["details"]  # type: ignore[no-any-return] # JSON


def test_a_rate_limit_says_when_to_come_back() -> None:
    found = details(Fault(T.POLICY_RATE_LIMITED, "m", retry_after_ms=36_001))
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"} in found


def test_reasons_fields_and_the_request_id_stand_in_the_details() -> None:
    assert details(Fault(T.CLIENT_UNAUTHENTICATED, "m"))[0] == {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "trunkline",
    }
    assert details(Fault(T.CLIENT_BAD_REQUEST, "m", param="contents", code="unsupported_parameter")) == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "UNSUPPORTED_PARAMETER",
            "domain": "trunkline",
        },
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "contents", "description": "m"}],
        },
        {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "req-1"},
    ]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "prompt is too long: 200,001 tokens > 200000 maximum",
            "The input token count (200001) exceeds the maximum number of tokens allowed (200000).",
        ),
        (
            "This model's maximum context length is 8192 tokens, but gpt-4-0613 was given 9000 tokens.",
            "The input token count (9000) exceeds the maximum number of tokens allowed (8192).",
        ),
        (
            "The input token count (5) exceeds the maximum number of tokens allowed (4)",
            "The input token count (5) exceeds the maximum number of tokens allowed (4)",
        ),
        ("Too long.", "The input token count exceeds the maximum number of tokens allowed. Too long."),
    ],
)
def test_a_full_context_is_told_in_geminis_words(message: str, shown: str) -> None:
    fault = Fault(T.UPSTREAM_BAD_REQUEST, message, code="context_length_exceeded")
    assert json.loads(render_error(fault, "r").body)["error"]["message"] == shown


def test_an_error_in_a_stream_is_one_plain_event_with_error_first() -> None:
    event = render_stream_error(Fault(T.UPSTREAM_CUT, "a\nb"), "r", array=False)
    assert event.startswith(b'data: {"error":{"code":502,')
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2


def test_an_error_in_an_array_leaves_it_open() -> None:
    # The SDK that reads arrays raises on one without an end, and takes an error for an empty answer.
    piece = render_stream_error(Fault(T.UPSTREAM_CUT, "m"), "r", array=True)
    assert piece.startswith(b",")
    assert json.loads(piece[1:])["error"]["code"] == 502
