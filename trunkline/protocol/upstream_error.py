"""What an upstream's error means: whose fault it is, what to tell the client, and where a retry has a chance.

Called by the dispatcher for an answer with an error status and by the answer and stream readers for an error inside
a 200. An upstream's words reach the client only where the client can act on them, and cleaned (DIALECTS section 4.2).
"""

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.denied_model import denies_model
from trunkline.protocol.error_body import MESSAGE_CHARS_MAX, ErrorDetails, read_error_body
from trunkline.protocol.retry_after import wait_from_headers, wait_from_words


class RetryClass(StrEnum):
    """Where another attempt has a chance."""

    NEVER = "never"
    """Nowhere: the request itself is at fault."""
    OTHER_CREDENTIAL = "other_credential"
    """With another credential of the channel, or on another channel."""
    OTHER_CHANNEL = "other_channel"
    """On another channel."""


FAILED_CALL = "tool_use_failed"
"""Code of an answer that the provider threw away, as its model had garbled a tool call (Groq): the same request may
come to a good one."""

UNREADABLE_PROOF = "invalid_encrypted_content"
"""Code of a request whose history has reasoning that another account encrypted: it may be sent again without it."""

MODEL_DENIED = "model_not_available"
"""Code of an error that says that a provider does not have a model, or not for us; it may serve all its others."""


class UpstreamError(msgspec.Struct, frozen=True):
    """An upstream's error, understood.

    Attributes:
        fault: what the client is told if no other attempt helps.
        cls: where to try again.
        cool_ms: how long the upstream wants this credential left alone, where it limits it and says so.
    """

    fault: Fault
    cls: RetryClass
    cool_ms: int | None = None


_NOT_OFFERED = "The provider does not offer this model at present."

BROKEN_EVENT = "The provider sent a broken event."
CUT = UpstreamError(Fault(ErrorType.UPSTREAM_CUT, "The provider's answer was cut off."), RetryClass.OTHER_CHANNEL)
"""The body ended before the answer did."""


_THROTTLED = re.compile(
    r"rate.?limit|too many requests|resource_exhausted|tokens per (?:min|day)|requests per (?:min|day)"
)
_QUOTA = re.compile(
    r"insufficient_quota|billing|insufficient (?:balance|credit|funds)|credit balance|payment required|arrear"
    # Zhipu: its account is overdrawn, or has no balance.
    r"|欠费|余额不足"
)
_BAD_KEY = re.compile(
    r"(?:invalid|incorrect|expired|missing|no) (?:\w+ )?api.?key|api.?key (?:\w+ )?(?:not valid|invalid|expired)"
    r"|invalid_api_key|api_key_invalid|authentication_error|unauthenticated"
)
_CONTEXT = re.compile(
    r"context_length_exceeded|prompt is too long|exceed context limit|input token count|maximum context length"
    r"|exceed_context_size|exceeds the maximum allowed input length|longer than the model's context length"
    r"|model_max_prompt_tokens_exceeded|context window|exceeds the available context size"
    # Moonshot; Zhipu; xAI; Together and others behind text-generation-inference; DashScope, which says only the bound.
    r"|exceeded model token limit|prompt exceeds max length|maximum prompt length"
    r"|`inputs` tokens \+ `max_new_tokens` must be"
    r"|range of input length should be"
)
_LENGTHS = re.compile(r"range of input length should be \[\d+, ?(\d+)\]", re.IGNORECASE)
_FILTERED = re.compile(
    r"content_filter|content_policy_violation|responsibleaipolicy|content management policy|safety system"
    # DashScope, DeepSeek, Zhipu (in both its languages), Moonshot, xAI, OpenRouter.
    r"|data_?inspection_?failed|inappropriate content|content exists risk|unsafe or sensitive content|敏感内容"
    r"|considered high risk|violates usage guidelines|requires moderation|input was flagged"
)
_REGION = re.compile(
    r"unsupported_country|country, region|not available in your (?:country|region)|location is not supported"
)
_NO_MODEL = re.compile(
    r"model_not_found|no such model|unknown model|invalid model|model\b.{0,80}(?:does not exist|not found)"
)
_INVALID_REQUEST = re.compile(
    rf"invalid_request|invalid_argument|{_CONTEXT.pattern}|{_FILTERED.pattern}|{_BAD_KEY.pattern}"
)
_OVERLOADED = re.compile(r"overloaded|server_busy|at capacity|capacity exceeded|service.?unavailable")

_SECRETS = (
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'<>)]+", re.IGNORECASE), "[link]"),
    (re.compile(r"\bwww\.[^\s\"'<>)]+", re.IGNORECASE), "[link]"),
    (re.compile(r"\bbearer\s+\S+", re.IGNORECASE), "[key]"),
    (re.compile(r"\b(?:sk|rk|gsk|xai|tgp|nvapi)[-_][A-Za-z0-9_*.-]{6,}"), "[key]"),
    (re.compile(r"\b(?:pk|hf|fw|org|proj|acct|user|key)[-_](?=[A-Za-z_*-]*[0-9*])[A-Za-z0-9_*.-]{6,}"), "[key]"),
    (re.compile(r"\bAIza[A-Za-z0-9_*-]{6,}"), "[key]"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "[address]"),
    # Any other long run of letters and digits mixed, masked ones included, is more likely a secret than a word.
    (re.compile(r"\b(?=[A-Za-z_*-]*[0-9])(?=[0-9_*-]*[A-Za-z])[A-Za-z0-9_*-]{32,}"), "[key]"),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def read_upstream_error(status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> UpstreamError:
    """Return what an upstream's error means. Never raises, whatever the bytes.

    Args:
        status: its HTTP status; below 300 for an error inside a 200, which then tells its kind itself.
        headers: names in lower case.
        body: as far as it was read; only `limits.UPSTREAM_ERROR_BYTES_MAX` are looked at.
        now_ms: Unix time in milliseconds.
    """
    details = read_error_body(body[: limits.UPSTREAM_ERROR_BYTES_MAX])
    wait_ms = wait_from_headers(headers, now_ms)
    if wait_ms is None:
        wait_ms = details.wait_ms if details.wait_ms is not None else wait_from_words(details.message)
    return _classify(status if status >= 300 else _inner_status(details), details, wait_ms)


def _inner_status(details: ErrorDetails) -> int:
    """Return the HTTP status that an error inside a 200 would have deserved."""
    if details.status:
        return details.status
    # The provider's own words first, then its sentence: that one may quote the client.
    for words in (details.kind, details.words):
        if _INVALID_REQUEST.search(words):
            return 400
        if _THROTTLED.search(words) or _QUOTA.search(words):
            return 429
        if _OVERLOADED.search(words):
            return 503
    return 500


def _classify(status: int, details: ErrorDetails, wait_ms: int | None) -> UpstreamError:
    words = details.words
    if status == 429:
        # Some call a plain rate limit a quota; one that names a time is no matter of money.
        return _refused() if wait_ms is None and _QUOTA.search(words) else _limited(wait_ms)
    if status in {401, 402}:
        return _refused()
    if status == 403:
        return _read_forbidden(details)
    if status in {400, 413, 422}:
        return _read_bad_request(status, details, wait_ms)
    if status in {408, 504, 522, 524}:
        fault = Fault(ErrorType.UPSTREAM_TIMEOUT, "The provider did not answer in time.")
        return UpstreamError(fault, RetryClass.OTHER_CHANNEL)
    if status >= 500 and _CONTEXT.search(details.kind):
        # llama.cpp's server has said so with a 500.
        return _overflow(400, details)
    if status in {503, 529} or (status >= 500 and _OVERLOADED.search(words)):
        message = "The provider is overloaded. Try again in a moment."
        fault = Fault(ErrorType.UPSTREAM_OVERLOADED, message, retry_after_ms=wait_ms)
        return UpstreamError(fault, RetryClass.OTHER_CHANNEL)
    if status in {404, 410}:
        return _denied() if denies_model(details) else _unavailable(_NOT_OFFERED)
    return _unavailable("The provider failed to answer the request.")


def _read_bad_request(status: int, details: ErrorDetails, wait_ms: int | None) -> UpstreamError:
    """Return what a 400 means: not always the client's mistake (Gemini answers a bad key with one).

    A client must not be able to have a credential set aside by writing words that the provider then quotes, so
    these are looked for in what the provider itself says, and at the beginning of its sentence.
    """
    words = f"{details.words} {details.behind}"
    # Throttling says "too many tokens", too, so it is looked for before a context overflow.
    if _THROTTLED.search(details.kind):
        return _limited(wait_ms)
    if _CONTEXT.search(words):
        return _overflow(status, details)
    if _FILTERED.search(words):
        return _bad_request(status, details, code="content_filter")
    sentence = details.message.lower().removeprefix("your ")
    if any(pattern.search(details.kind) or pattern.match(sentence) for pattern in (_BAD_KEY, _QUOTA)):
        return _refused()
    if denies_model(details):
        return _denied()
    if _NO_MODEL.search(details.words):
        return _unavailable(_NOT_OFFERED)
    if details.code == FAILED_CALL:
        return UpstreamError(_bad_request(status, details).fault, RetryClass.OTHER_CHANNEL)
    return _bad_request(status, details, code="request_too_large" if status == 413 else None)


def _overflow(status: int, details: ErrorDetails) -> UpstreamError:
    # A range's lower end is no length: programs that look for numbers would take both for sizes.
    said = _LENGTHS.sub(r"the input is longer than the model's maximum of \1 tokens", details.message)
    return _bad_request(status, msgspec.structs.replace(details, message=said), code="context_length_exceeded")


def _read_forbidden(details: ErrorDetails) -> UpstreamError:
    """Return what a 403 means: the credential's fault, or else what the client said, its place, or the model."""
    if _FILTERED.search(f"{details.words} {details.behind}"):
        return _bad_request(403, details, code="content_filter")
    if _REGION.search(details.words):
        return _bad_request(403, details)
    return _denied() if denies_model(details) and not _BAD_KEY.search(details.kind) else _refused()


def _bad_request(status: int, details: ErrorDetails, code: str | None = None) -> UpstreamError:
    message = cleaned(details.message) or f"The provider refused the request as invalid (status {status})."
    fault = Fault(ErrorType.UPSTREAM_BAD_REQUEST, message, param=details.param, code=code or details.code)
    return UpstreamError(fault, RetryClass.NEVER)


def _refused() -> UpstreamError:
    message = "The provider refused the gateway's own credential. Your key is fine; the operator has to act."
    return UpstreamError(Fault(ErrorType.UPSTREAM_CREDENTIAL, message), RetryClass.OTHER_CREDENTIAL)


def _limited(wait_ms: int | None) -> UpstreamError:
    message = "The provider limits the rate of requests for this model. Try again later."
    fault = Fault(ErrorType.UPSTREAM_RATE_LIMITED, message, retry_after_ms=wait_ms)
    return UpstreamError(fault, RetryClass.OTHER_CREDENTIAL, cool_ms=wait_ms)


def _denied() -> UpstreamError:
    return UpstreamError(Fault(ErrorType.UPSTREAM_ERROR, _NOT_OFFERED, code=MODEL_DENIED), RetryClass.OTHER_CHANNEL)


def _unavailable(message: str) -> UpstreamError:
    return UpstreamError(Fault(ErrorType.UPSTREAM_ERROR, message), RetryClass.OTHER_CHANNEL)


def invalid_answer(message: str) -> UpstreamError:
    """Return the error for an answer that is no answer: HTML, a cut body, broken JSON."""
    return UpstreamError(Fault(ErrorType.UPSTREAM_INVALID, message), RetryClass.OTHER_CHANNEL)


def cleaned(message: str) -> str:
    """Return a provider's message without links, addresses and anything that looks like a key, and not too long."""
    # Cut with a margin first, so that a secret at the cut is still seen as a whole.
    message = _CONTROL.sub(" ", message[: 2 * MESSAGE_CHARS_MAX])
    for pattern, word in _SECRETS:
        message = pattern.sub(word, message)
    return message[:MESSAGE_CHARS_MAX].strip()
