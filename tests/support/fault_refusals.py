"""The rows of `support.fault_table` in which a provider answers with an error."""

from tests.support.fault_answers import HTML, IN_TIME, answer, error, event, page, refusal, stream
from tests.support.fault_kinds import (
    DENIED,
    FAILED,
    LATE,
    LIMITED,
    OVERLOADED,
    REFUSED,
    Against,
    Fault,
    alike,
    bad_request,
    says,
)

_OVERLONG = error(
    "This model's maximum context length is 10 tokens, but your messages have 20.",
    "invalid_request_error",
    "context_length_exceeded",
)
_FLAGGED = error("The prompt triggered the content management policy.", "invalid_request_error", "content_filter")
_UNPAID = error("You exceeded your current quota, check your plan and billing.", "insufficient_quota")
_NO_MODEL = error("The model `faulty` does not exist or you do not have access to it.", code="model_not_found")
_TOO_MANY = error("Rate limit reached for requests.", "rate_limit_error", "rate_limit_exceeded")
_ABROAD = error("Country, region, or territory not supported", "request_forbidden", "unsupported_country_region")

REFUSALS = {
    "bad-request": says(
        "400: the request is wrong",
        bad_request(),
        Against.NOTHING,
        400,
        error("`temperature` is too high.", "invalid_request_error"),
    ),
    "unprocessable": says(
        "422", bad_request(), Against.NOTHING, 422, {"detail": [{"loc": ["body"], "msg": "wrong", "type": "value"}]}
    ),
    "too-large": says(
        "413",
        bad_request("request_too_large"),
        Against.NOTHING,
        413,
        error("Payload too large.", "invalid_request_error"),
    ),
    "overlong": says(
        "400: the context is too long", bad_request("context_length_exceeded"), Against.NOTHING, 400, _OVERLONG
    ),
    "filtered": says("400: the content is not allowed", bad_request("content_filter"), Against.NOTHING, 400, _FLAGGED),
    "forbidden-content": says(
        "403: the content is not allowed", bad_request("content_filter"), Against.NOTHING, 403, _FLAGGED
    ),
    "forbidden-country": says(
        "403: not in this country", bad_request("unsupported_country_region"), Against.NOTHING, 403, _ABROAD
    ),
    "bad-key": says(
        "401",
        REFUSED,
        Against.ASIDE,
        401,
        error("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    ),
    "bad-key-as-400": says(
        "400: the key is not valid",
        REFUSED,
        Against.ASIDE,
        400,
        {
            "error": {
                "code": 400,
                "message": "API key not valid. Please pass a valid API key.",
                "status": "INVALID_ARGUMENT",
            }
        },
    ),
    "forbidden": says("403", REFUSED, Against.ASIDE, 403, error("Forbidden", "permission_error")),
    "unpaid": says("402", REFUSED, Against.ASIDE, 402, error("Insufficient Balance", "unknown_error")),
    "quota-spent": says("429: the quota is spent", REFUSED, Against.ASIDE, 429, _UNPAID),
    "no-model": says("404: no such model", DENIED, Against.MODEL, 404, _NO_MODEL),
    "no-model-as-400": says("400: no such model", DENIED, Against.MODEL, 400, _NO_MODEL),
    "wrong-url": alike("404: a web page", FAILED, Against.CHANNEL, page(404)),
    "moved": alike(
        "301", FAILED, Against.CHANNEL, (answer(301, b"", b"location: https://elsewhere.example/v1/chat/completions"),)
    ),
    "moved-for-now": alike(
        "302 to a sign-in page", FAILED, Against.CHANNEL, (answer(302, HTML, b"location: /login", kind=b"text/html"),)
    ),
}

LIMITS = {
    "limits": says("429 with `retry-after: 7`", LIMITED, Against.COOLS, 429, _TOO_MANY, b"retry-after: 7"),
    "limits-until": says(
        "429 with `retry-after` as a date", LIMITED, Against.COOLS, 429, _TOO_MANY, b"retry-after: " + IN_TIME
    ),
    "limits-in-ms": says("429 with `retry-after-ms`", LIMITED, Against.COOLS, 429, _TOO_MANY, b"retry-after-ms: 7000"),
    "limits-in-words": says(
        "429: try again in 7 s",
        LIMITED,
        Against.COOLS,
        429,
        error("Rate limit reached. Please try again in 7s.", "tokens", "rate_limit_exceeded"),
    ),
    "limits-untimed": says("429 without a time", LIMITED, Against.COOLS, 429, _TOO_MANY),
    "limits-by-page": alike("429: a web page", LIMITED, Against.COOLS, page(429)),
    "limits-as-400": says("400: too many requests", LIMITED, Against.COOLS, 400, _TOO_MANY),
    "limits-inside": Fault(
        "200 with an error that says that it limits",
        LIMITED,
        Against.COOLS,
        plain=refusal(200, _TOO_MANY),
        stream=stream(event(_TOO_MANY)),
    ),
}

FAILURES = {
    "slow-request": says("408", LATE, Against.CHANNEL, 408, error("Request timeout")),
    "fails": says("500", FAILED, Against.CHANNEL, 500, error("The server had an error.")),
    "bad-gateway": alike("502: a web page", FAILED, Against.CHANNEL, page(502)),
    "unavailable": says("503", OVERLOADED, Against.CHANNEL, 503, error("Service unavailable")),
    "unavailable-until": says(
        "503 with `retry-after: 7`", OVERLOADED, Against.CHANNEL, 503, error("Later."), b"retry-after: 7"
    ),
    "gateway-timeout": alike("504: a web page", LATE, Against.CHANNEL, page(504)),
    "proxy-fails": alike("520: a web page", FAILED, Against.CHANNEL, page(520)),
    "proxy-timeout": alike("524: a web page", LATE, Against.CHANNEL, page(524)),
    "overloaded": says("529", OVERLOADED, Against.CHANNEL, 529, error("Overloaded", "overloaded_error")),
    "overloaded-as-500": says(
        "500: overloaded", OVERLOADED, Against.CHANNEL, 500, error("The model is overloaded.", "overloaded_error")
    ),
    "error-inside": Fault(
        "200 with an error inside",
        FAILED,
        Against.CHANNEL,
        plain=refusal(200, error("The model crashed.")),
        stream=stream(event(error("The model crashed."))),
    ),
    "bad-request-inside": Fault(
        "200 with an error that calls the request wrong",
        bad_request(),
        Against.NOTHING,
        plain=refusal(200, error("`temperature` is too high.", "invalid_request_error")),
        stream=stream(event(error("`temperature` is too high.", "invalid_request_error"))),
    ),
}
