"""Finish reasons, from Gemini's words and to them, and those that mean a failure (DIALECTS section 4.1)."""

from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.events import FinishReason
from trunkline.protocol.upstream_error import RetryClass, UpstreamError, invalid_answer, read_upstream_error

_MALFORMED = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"})

_READ = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.PAUSED,
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER"),
        ),
        FinishReason.FILTER,
    ),
    **dict.fromkeys(_MALFORMED, FinishReason.MALFORMED_CALL),
}

_WRITTEN = {
    FinishReason.STOP: "STOP",
    FinishReason.STOP_SEQUENCE: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTEXT_FULL: "MAX_TOKENS",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.FILTER: "SAFETY",
    FinishReason.PAUSED: "CONTINUATION",
    FinishReason.MALFORMED_CALL: "MALFORMED_FUNCTION_CALL",
    FinishReason.OTHER: "STOP",
}

MALFORMED_CALL = _WRITTEN[FinishReason.MALFORMED_CALL]


def read_reason(name: str, *, calls: bool) -> FinishReason:
    """Return the neutral reason; calls that are there decide over a plain stop and over unknown words."""
    reason = _READ.get(name, FinishReason.OTHER)
    if calls and reason in {FinishReason.STOP, FinishReason.OTHER}:
        return FinishReason.TOOL_CALLS
    return reason


def written_reason(reason: FinishReason) -> str:
    """Return Gemini's word."""
    return _WRITTEN[reason]


def provider_failed(name: str, *, output: bool) -> bool:
    """Return whether a reason says that the provider failed: ``OTHER`` without anything before it."""
    return name == "OTHER" and not output


def failure(name: str, *, output: bool) -> UpstreamError | None:
    """Return the error that a reason means in an answer that is translated; None for an end.

    Args:
        name: Gemini's word.
        output: whether the candidate had any content.
    """
    if provider_failed(name, output=output):
        return read_upstream_error(500, {}, b"", 0)
    if name == "MISSING_THOUGHT_SIGNATURE":
        message = (
            "The model needs the signatures of its earlier function calls. Send its turns back as they came, with all "
            "their reasoning and signature fields."
        )
        return UpstreamError(Fault(ErrorType.UPSTREAM_BAD_REQUEST, message), RetryClass.NEVER)
    if name in _MALFORMED and not output:
        # Nobody has seen anything of it yet, so that another attempt may do better.
        return invalid_answer("The provider's model made a function call that cannot be read.")
    return None
