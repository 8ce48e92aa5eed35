"""Why an answer ended, in chat's words and back (DIALECTS section 4.1). Called by readers and writers of answers."""

from trunkline.protocol.events import FinishReason

_READ = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.CONTEXT_FULL,
    "tool_calls": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.FILTER,
    "sensitive": FinishReason.FILTER,
}

_CUT_SHORT = frozenset({FinishReason.LENGTH, FinishReason.CONTEXT_FULL, FinishReason.FILTER})

_WRITTEN = {
    FinishReason.LENGTH: "length",
    FinishReason.CONTEXT_FULL: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.FILTER: "content_filter",
}


def read_finish(said: str, *, called: bool) -> FinishReason:
    """Return what a provider's finish reason means.

    Args:
        said: its word; an unknown one is `FinishReason.OTHER`.
        called: whether there are tool calls. They decide, unless the answer was cut short.
    """
    reason = _READ.get(said, FinishReason.OTHER)
    if reason in _CUT_SHORT:
        return reason
    if called:
        return FinishReason.TOOL_CALLS
    return FinishReason.STOP if reason is FinishReason.TOOL_CALLS else reason


def written_finish(reason: FinishReason) -> str:
    """Return chat's word for a reason; never a foreign one."""
    return _WRITTEN.get(reason, "stop")
