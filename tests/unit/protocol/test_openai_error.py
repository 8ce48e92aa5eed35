"""Faults as responses in OpenAI's shape, for Chat and Responses."""

import json

import pytest

from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.openai_error import render_error

T = ErrorType

EXPECTED: dict[ErrorType, tuple[int, str, str]] = {
    T.CLIENT_BAD_REQUEST: (400, "invalid_request_error", "invalid_value"),
    T.CLIENT_BAD_JSON: (400, "invalid_request_error", "invalid_json"),
    T.CLIENT_UNAUTHENTICATED: (401, "invalid_request_error", "invalid_api_key"),
    T.CLIENT_NOT_FOUND: (404, "invalid_request_error", "not_found"),
    T.CLIENT_METHOD_NOT_ALLOWED: (405, "invalid_request_error", "method_not_allowed"),
    T.CLIENT_MODEL_NOT_FOUND: (404, "invalid_request_error", "model_not_found"),
    T.CLIENT_HEADERS_TOO_LARGE: (431, "invalid_request_error", "headers_too_large"),
    T.CLIENT_BODY_TOO_LARGE: (413, "invalid_request_error", "request_too_large"),
    T.CLIENT_UPGRADE_UNSUPPORTED: (426, "invalid_request_error", "upgrade_not_supported"),
    T.CLIENT_UNSUPPORTED_MEDIA: (415, "invalid_request_error", "unsupported_media_type"),
    T.CLIENT_TOO_SLOW: (408, "invalid_request_error", "request_timeout"),
    T.CLIENT_GONE: (499, "invalid_request_error", "client_closed_request"),
    T.POLICY_KEY_BLOCKED: (401, "invalid_request_error", "invalid_api_key"),
    T.POLICY_MODEL_NOT_ALLOWED: (403, "permission_error", "model_not_allowed"),
    T.POLICY_ENDPOINT_NOT_ALLOWED: (403, "permission_error", "endpoint_not_allowed"),
    T.POLICY_ACCESS_DENIED: (403, "permission_error", "access_denied"),
    T.POLICY_NO_CREDIT: (403, "insufficient_quota", "insufficient_quota"),
    T.POLICY_BUDGET_SPENT: (403, "insufficient_quota", "budget_exceeded"),
    T.POLICY_RATE_LIMITED: (429, "rate_limit_error", "rate_limit_exceeded"),
    T.UPSTREAM_BAD_REQUEST: (400, "invalid_request_error", "invalid_value"),
    T.UPSTREAM_CREDENTIAL: (502, "server_error", "upstream_unavailable"),
    T.UPSTREAM_RATE_LIMITED: (429, "rate_limit_error", "rate_limit_exceeded"),
    T.UPSTREAM_OVERLOADED: (503, "server_error", "overloaded"),
    T.UPSTREAM_ERROR: (502, "server_error", "upstream_unavailable"),
    T.UPSTREAM_UNREACHABLE: (502, "server_error", "upstream_unavailable"),
    T.UPSTREAM_ADDRESS: (502, "server_error", "upstream_unavailable"),
    T.UPSTREAM_INVALID: (502, "server_error", "upstream_invalid_response"),
    T.UPSTREAM_CUT: (502, "server_error", "upstream_invalid_response"),
    T.UPSTREAM_TIMEOUT: (504, "server_error", "upstream_timeout"),
    T.GATEWAY_OVERLOADED: (429, "rate_limit_error", "overloaded"),
    T.GATEWAY_BUSY: (503, "server_error", "overloaded"),
    T.GATEWAY_NO_CHANNEL: (503, "server_error", "overloaded"),
    T.GATEWAY_NO_DISPATCHER: (503, "server_error", "overloaded"),
    T.GATEWAY_DISPATCHER_LOST: (500, "server_error", "internal_error"),
    T.GATEWAY_FRAME_LOST: (500, "server_error", "internal_error"),
    T.GATEWAY_SHUTTING_DOWN: (503, "server_error", "overloaded"),
    T.GATEWAY_OUTRUN: (500, "server_error", "internal_error"),
    T.GATEWAY_NOT_READY: (503, "server_error", "overloaded"),
    T.GATEWAY_INTERNAL: (500, "server_error", "internal_error"),
}


@pytest.mark.parametrize("kind", list(ErrorType))
def test_every_error_has_its_status_type_and_code(kind: ErrorType) -> None:
    response = render_error(Fault(kind, "Do this.", param="model"), "req-1")
    error = json.loads(response.body)["error"]
    assert (response.status, error.pop("type"), error.pop("code")) == EXPECTED[kind]
    assert error == {"message": "Do this.", "param": "model"}
    assert response.headers["x-request-id"] == "req-1"
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("kind", list(ErrorType))
def test_sdks_retry_only_what_may_succeed_later(kind: ErrorType) -> None:
    headers = render_error(Fault(kind, "m"), "r").headers
    status = EXPECTED[kind][0]
    assert headers.get("x-should-retry") == (None if status in {408, 429, 500, 503} else "false")
    assert ("retry-after" in headers) == (status in {429, 503})
    assert ("www-authenticate" in headers) == (status == 401)


@pytest.mark.parametrize(("wait_ms", "seconds"), [(0, "0"), (1, "1"), (1000, "1"), (1001, "2"), (59_999, "60")])
def test_waits_are_rounded_up_to_seconds(wait_ms: int, seconds: str) -> None:
    headers = render_error(Fault(ErrorType.POLICY_RATE_LIMITED, "m", retry_after_ms=wait_ms), "r").headers
    assert headers["retry-after"] == seconds
    assert headers["retry-after-ms"] == str(wait_ms)


def test_a_faults_own_code_wins() -> None:
    fault = Fault(ErrorType.UPSTREAM_BAD_REQUEST, "m", code="context_length_exceeded")
    assert json.loads(render_error(fault, "r").body)["error"]["code"] == "context_length_exceeded"
