"""What an upstream's errors mean."""

import json

import pytest

from trunkline.core.errors import ErrorType
from trunkline.protocol.upstream_error import (
    FAILED_CALL,
    MODEL_DENIED,
    RetryClass,
    UpstreamError,
    cleaned,
    read_upstream_error,
)

NEVER, CREDENTIAL, CHANNEL = RetryClass.NEVER, RetryClass.OTHER_CREDENTIAL, RetryClass.OTHER_CHANNEL
T = ErrorType


def read(status: int, body: object, **headers: str) -> UpstreamError:
    source = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_upstream_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, source, 0)


def error(message: str = "", **members: object) -> dict[str, object]:
    return {"error": {"message": message, **members}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "cls"),
    [
        (400, error("Unknown parameter: 'x'", type="invalid_request_error"), T.UPSTREAM_BAD_REQUEST, NEVER),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "too large"}]}, T.UPSTREAM_BAD_REQUEST, NEVER),
        (400, {"object": "error", "message": "bad image", "code": 400}, T.UPSTREAM_BAD_REQUEST, NEVER),
        (413, b"", T.UPSTREAM_BAD_REQUEST, NEVER),
        (400, [error("API key not valid. Please pass a valid API key.")], T.UPSTREAM_CREDENTIAL, CREDENTIAL),
        (
            400,
            error("bad", status="INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}]),
            T.UPSTREAM_CREDENTIAL,
            CREDENTIAL,
        ),
        (400, error("Your credit balance is too low", type="x"), T.UPSTREAM_CREDENTIAL, CREDENTIAL),
        (400, error("The credit balance in your text", type="x"), T.UPSTREAM_BAD_REQUEST, NEVER),
        (401, error("Incorrect API key provided: sk-abc"), T.UPSTREAM_CREDENTIAL, CREDENTIAL),
        (402, b"", T.UPSTREAM_CREDENTIAL, CREDENTIAL),
        (403, b"<html>", T.UPSTREAM_CREDENTIAL, CREDENTIAL),
        (403, error("Country, region, or territory not supported"), T.UPSTREAM_BAD_REQUEST, NEVER),
        (429, error("Rate limit reached"), T.UPSTREAM_RATE_LIMITED, CREDENTIAL),
        (429, error("You exceeded your quota", code="insufficient_quota"), T.UPSTREAM_CREDENTIAL, CREDENTIAL),
        (404, error("The model `x` does not exist", code="model_not_found"), T.UPSTREAM_ERROR, CHANNEL),
        (400, error("x is not a thing", code="model_not_found"), T.UPSTREAM_ERROR, CHANNEL),
        (405, b"", T.UPSTREAM_ERROR, CHANNEL),
        (302, b"", T.UPSTREAM_ERROR, CHANNEL),
        (500, b"Internal Server Error", T.UPSTREAM_ERROR, CHANNEL),
        (502, b"<html>", T.UPSTREAM_ERROR, CHANNEL),
        (503, b"", T.UPSTREAM_OVERLOADED, CHANNEL),
        (529, error(type="overloaded_error"), T.UPSTREAM_OVERLOADED, CHANNEL),
        (500, error(type="overloaded_error"), T.UPSTREAM_OVERLOADED, CHANNEL),
        (504, b"", T.UPSTREAM_TIMEOUT, CHANNEL),
        (408, b"", T.UPSTREAM_TIMEOUT, CHANNEL),
        # Inside a 200 the body alone tells.
        (200, error("x", code=429), T.UPSTREAM_RATE_LIMITED, CREDENTIAL),
        (200, error("x", code="503"), T.UPSTREAM_OVERLOADED, CHANNEL),
        (200, error("x", type="rate_limit_error"), T.UPSTREAM_RATE_LIMITED, CREDENTIAL),
        (200, error("x", type="overloaded_error"), T.UPSTREAM_OVERLOADED, CHANNEL),
        (200, error("bad tool", type="invalid_request_error"), T.UPSTREAM_BAD_REQUEST, NEVER),
        (200, error("Incorrect API key", code="invalid_api_key"), T.UPSTREAM_CREDENTIAL, CREDENTIAL),
        (200, {"error": "boom"}, T.UPSTREAM_ERROR, CHANNEL),
        (200, b"", T.UPSTREAM_ERROR, CHANNEL),
    ],
)
def test_errors_are_told_apart(status: int, body: object, kind: ErrorType, cls: RetryClass) -> None:
    result = read(status, body)
    assert (result.fault.type, result.cls) == (kind, cls)
    assert result.fault.message.strip()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error("This model's maximum context length is 8192 tokens, 9000 asked.", code="context_length_exceeded")),
        (400, error("prompt is too long: 9000 tokens > 8192 maximum")),
        (400, error("input length and `max_tokens` exceed context limit: 9000 + 1 > 8192")),
        (400, [error("The input token count (9000) exceeds the maximum number of tokens allowed (8192)")]),
        (400, {"object": "error", "message": "maximum context length is 8192 tokens, not 9000"}),
        (400, error("the request (9000) exceeds 8192", type="exceed_context_size_error")),
        (400, error("exceeds the maximum allowed input length 8192 9000", code="1261")),
        (413, error("9000 is longer than the model's context length 8192")),
        (400, error("Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)")),
        (400, {"code": "x", "error": "maximum prompt length is 8192 but the request contains 9000 tokens"}),
        (422, error("`inputs` tokens + `max_new_tokens` must be <= 8192. Given: 9000 `inputs` tokens and 0")),
        (400, error("the request exceeds the available context size", n_prompt_tokens=9000, n_ctx=8192)),
        (500, error("x", type="exceed_context_size_error", n_prompt_tokens=9000, n_ctx=8192, code=500)),
        (200, error("x", type="exceed_context_size_error", n_prompt_tokens=9000, n_ctx=8192, code=500)),
        (
            400,
            error(
                "Provider returned error",
                code=400,
                metadata={"raw": '{"error":{"message":"maximum context length is 8192, not 9000"}}'},
            ),
        ),
        (200, error("maximum context length is 8192, not 9000")),
    ],
)
def test_a_context_overflow_is_recognised_and_keeps_its_numbers(status: int, body: object) -> None:
    result = read(status, body)
    assert result.cls is NEVER
    assert result.fault.code == "context_length_exceeded"
    assert "8192" in result.fault.message
    assert "9000" in result.fault.message


def test_an_overflow_may_tell_only_the_bound_or_nothing() -> None:
    ranged = read(400, error("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 8192]"))
    assert ranged.fault.code == "context_length_exceeded"
    said = "the input is longer than the model's maximum of 8192 tokens"
    assert ranged.fault.message == f"<400> InternalError.Algo.InvalidParameter: {said}"
    assert read(400, error("Prompt exceeds max length", code="1261")).fault.code == "context_length_exceeded"


def test_too_many_tokens_per_minute_is_no_context_overflow() -> None:
    body = error("Too many tokens: maximum context length", type="rate_limit_error")
    assert read(400, body).fault.type is ErrorType.UPSTREAM_RATE_LIMITED


def test_a_blocked_input_keeps_azures_code() -> None:
    body = error("Filtered", code="BadRequest", innererror={"code": "ResponsibleAIPolicyViolation"})
    assert read(400, body).fault.code == "content_filter"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error("Content Exists Risk", code="invalid_request_error")),
        (400, error("Input data may contain inappropriate content.", code="data_inspection_failed")),
        (400, error("<400> InternalError.Algo.DataInspectionFailed: Input text data may", code="x")),
        (400, error("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301")),
        (400, error("The request was rejected because it was considered high risk", type="invalid_request_error")),
        (403, {"code": "permission-denied", "error": "Content violates usage guidelines. "}),
        (403, error('acme/x requires moderation on Acme. Your input was flagged for "violence".', code=403)),
        (403, error("Provider returned error", metadata={"raw": '{"error":{"code":"content_filter","message":"x"}}'})),
    ],
)
def test_blocked_content_is_told_as_such_and_never_the_credentials_fault(status: int, body: object) -> None:
    result = read(status, body)
    assert (result.fault.type, result.fault.code, result.cls) == (T.UPSTREAM_BAD_REQUEST, "content_filter", NEVER)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error("Access denied, please make sure your account is in good standing.", code="Arrearage")),
        (429, error("余额不足或无可用资源包,请充值。", code="1113")),
        (429, error("Your account is suspended due to insufficient balance", type="exceeded_current_quota_error")),
    ],
)
def test_an_unpaid_account_is_told_in_many_words(status: int, body: object) -> None:
    assert read(status, body).cls is CREDENTIAL
    assert read(status, body).fault.type is T.UPSTREAM_CREDENTIAL


def test_what_is_said_behind_the_provider_is_told_and_blames_no_credential() -> None:
    raw = '{"error":{"message":"You exceeded your quota, check your billing details","code":"insufficient_quota"}}'
    behind = error("Provider returned error", code=429, metadata={"raw": raw})
    assert read(429, behind).fault.type is T.UPSTREAM_RATE_LIMITED
    fault = read(400, behind).fault
    assert fault.type is T.UPSTREAM_BAD_REQUEST
    assert fault.message == "Provider returned error: You exceeded your quota, check your billing details"
    for said, told in (
        ("plain words", ": plain words"),
        ('{"detail":[{"loc":["body","n"],"msg":"too large"}]}', ": n: too large"),
        ('"text"', ": text"),
        ("<html>", ""),
        ('{"cut', ""),
        ("{}", ""),
        ("", ""),
        (7, ""),
    ):
        message = read(400, error("Provider returned error", metadata={"raw": said})).fault.message
        assert message == f"Provider returned error{told}"


def test_a_list_of_flaws_becomes_a_sentence_that_quotes_nothing() -> None:
    flaws = [
        {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": "said"},
        {"loc": ["body", "messages", 0, "user"], "msg": "Input should be a string", "input": {"text": "said"}},
        {"msg": "Nowhere"},
    ]
    sentence = "seed: Extra inputs are not permitted; messages.0.user: Input should be a string; Nowhere"
    for body in ({"detail": flaws}, {"object": "error", "message": {"detail": flaws}, "type": "x", "param": None}):
        fault = read(422, body).fault
        assert (fault.message, fault.param) == (sentence, "seed")
    assert read(422, {"detail": "Not so."}).fault.message == "Not so."
    assert read(422, {"detail": [3]}).fault.message == "[3]"


def test_a_call_that_the_provider_garbled_may_be_tried_again() -> None:
    body = error("Failed to call a function.", type="invalid_request_error", code=FAILED_CALL, failed_generation="x")
    for status in (400, 200):
        result = read(status, body)
        assert (result.fault.type, result.fault.code, result.cls) == (T.UPSTREAM_BAD_REQUEST, FAILED_CALL, CHANNEL)


@pytest.mark.parametrize("words", ["insufficient_quota", "invalid api key", "rate limit", "billing", "unauthenticated"])
def test_a_client_cannot_set_a_credential_aside_with_words_that_are_quoted(words: str) -> None:
    for status in (400, 200):
        body = error(f"Invalid value: '{words}'", type="invalid_request_error", param="temperature")
        result = read(status, body)
        assert result.cls is NEVER
        assert result.fault.param == "temperature"


OPENAI_DENIED = error(
    "The model `gpt-9` does not exist or you do not have access to it.",
    type="invalid_request_error",
    param=None,
    code="model_not_found",
)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, OPENAI_DENIED),
        (200, {"error": {**OPENAI_DENIED["error"], "code": 404}}),
        (
            403,
            error(
                "Project `proj_JMo3Q9spNIEWhSxusokLegJY` does not have access to model `gpt-4.1`",
                type="invalid_request_error",
                code="model_not_found",
            ),
        ),
        (403, error("Project proj_1 does not have access to model gpt-4.1")),
        (404, {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-9"}}),
        (
            404,
            error(
                "models/gemini-9 is not found for API version v1beta, or is not supported for generateContent.",
                code=404,
                status="NOT_FOUND",
            ),
        ),
        (
            404,
            [
                error(
                    "Publisher Model `projects/p/locations/l/publishers/google/models/x` was not found or your project "
                    "does not have access to it.",
                    code=404,
                )
            ],
        ),
        (404, error("This model models/gemini-1 is no longer available to new users.", code=404, status="NOT_FOUND")),
        (
            404,
            error("The API deployment for this resource does not exist. If you created it", code="DeploymentNotFound"),
        ),
        (400, {"code": "InvalidParameter", "message": "Model not exist.", "request_id": "r"}),
        (403, {"code": "AccessDenied", "message": "Access denied.", "request_id": "r"}),
        (403, error("Access denied.", type="access_denied", code="access_denied")),
        (403, {"code": "AccessDenied.Unpurchased", "message": "Access to model denied. Please make sure you are"}),
        (403, error("Model access denied.", code="Model.AccessDenied")),
        (400, {"error": {"code": "1211", "message": "模型不存在"}}),
        (
            400,
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "code": "1211", "message": "[1211][模型不存在][1]"},
            },
        ),
        (400, error("Unknown Model, please check the model code.", code="1211")),
        (404, error("No endpoints found for acme/small.", code=404)),
        (404, error("No endpoints found matching your data policy (Free model training).", code=404)),
        (400, error("acme/small is not a valid model ID", code=400)),
        (400, error("Model Not Exist", type="invalid_request_error", code="invalid_request_error")),
        (400, {"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"}),
        (400, {"code": 20012, "message": "Model does not exist. Please check it carefully.", "data": None}),
        (403, b'"Model disabled."'),
        (404, {"object": "error", "message": "The model `/data/x` does not exist.", "type": "NotFoundError"}),
        (404, {"error": "model 'x:8b' not found"}),
        (404, error("Not found the model kimi-9 or Permission denied", type="resource_not_found_error")),
        (410, error("The model `x` has been decommissioned and is no longer supported.", code="model_decommissioned")),
        (403, error("You don't have access to the model with the specified model ID.", type="AccessDeniedException")),
    ],
)
def test_a_model_that_is_not_to_be_had_is_told_from_all_else(status: int, body: object) -> None:
    result = read(status, body)
    assert (result.fault.type, result.fault.code, result.cls) == (T.UPSTREAM_ERROR, MODEL_DENIED, CHANNEL)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # A wrong base URL.
        (404, b""),
        (404, b"404 page not found"),
        (404, {"detail": "Not Found"}),
        (404, error("Invalid URL (POST /v1/v1/chat/completions)", type="invalid_request_error")),
        (404, {"error": {"code": "404", "message": "Resource not found"}}),
        # What only this request asked for.
        (404, error("No endpoints found that support tool use. To learn more about provider routing, visit: x")),
        (404, error("This is not a chat model and thus not supported in the v1/chat/completions endpoint.")),
        (404, {"type": "error", "error": {"type": "not_found_error", "message": "File not found: file_1"}}),
        (404, error("Item with id 'the model x does not exist' not found.", type="invalid_request_error")),
        (400, error("The model `x` does not exist", code="model_not_found", param="tools[0].model")),
        (400, error("Invalid value: 'the model x does not exist'", type="invalid_request_error", param=None)),
        # A matter of the account, or of the moment.
        (401, OPENAI_DENIED),
        (403, error("Your key may not use this model", type="authentication_error", code="model_not_found")),
        (403, error("Access denied due to Virtual Network/Firewall rules.", code="403")),
        (403, error("Access denied, please make sure your account is in good standing.", code="Arrearage")),
        (403, b"<html>Access denied</html>"),
        (503, error("No available channel for model x under group default", code="model_not_found")),
    ],
)
def test_other_trouble_denies_no_model(status: int, body: object) -> None:
    assert read(status, body).fault.code != MODEL_DENIED


def test_a_bad_key_that_is_told_by_a_403_stays_the_credentials_fault() -> None:
    for body in (error("Access denied."), error("Incorrect API key provided."), {"message": "Forbidden"}, b""):
        assert read(403, body).fault.type is T.UPSTREAM_CREDENTIAL


def test_field_and_code_are_kept_where_they_look_like_names() -> None:
    fault = read(400, error("m", code="unsupported_parameter", param="messages[0].content")).fault
    assert (fault.code, fault.param) == ("unsupported_parameter", "messages[0].content")
    fault = read(400, error("m", code=1214, param="say this <b>")).fault
    assert (fault.code, fault.param) == (None, None)
    assert read(400, error("m", code="1214")).fault.code is None


def test_waits_come_from_headers_then_body_then_words() -> None:
    words = error("Rate limit. Please try again in 20s.")
    assert read(429, words, retry_after="7").cool_ms == 7000
    assert read(429, words, retry_after="7").fault.retry_after_ms == 7000
    assert read(429, words).cool_ms == 20_000
    google = [error("quota, check billing", status="RESOURCE_EXHAUSTED", details=[{"retryDelay": "37s"}])]
    assert read(429, google).cool_ms == 37_000
    assert read(429, b"").cool_ms is None
    assert read(503, b"", retry_after="3").fault.retry_after_ms == 3000


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("see https://platform.openai.com/account?x=1 for more", "see [link] for more"),
        ("key sk-proj-abcDEF123456 is bad", "key [key] is bad"),
        ("Incorrect: sk-abc***********xyz.", "Incorrect: [key]"),
        ("Bearer abc.def.ghi", "[key]"),
        ("AIzaSyD-1234567890", "[key]"),
        ("org-AbC123456789 user-provided", "[key] user-provided"),
        ("ask admin@corp.example.com", "ask [address]"),
        ("id 0123456789abcdef0123456789abcdef0123", "id [key]"),
        ("a\x00b\r\nc", "a b c"),
        ("model gpt-4o-mini-2024-07-18 needs 8192 tokens", "model gpt-4o-mini-2024-07-18 needs 8192 tokens"),
    ],
)
def test_messages_are_cleaned(message: str, expected: str) -> None:
    assert cleaned(message) == expected


def test_messages_are_bounded() -> None:
    assert len(cleaned("word " * 10_000)) <= 1000


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_providers_words_about_itself_stay_with_us(status: int) -> None:
    assert "secret-host" not in read(status, error("secret-host said no")).fault.message
