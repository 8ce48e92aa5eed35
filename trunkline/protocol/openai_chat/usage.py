"""Chat's usage report, in all the forms that vendors give it, as disjoint buckets (DIALECTS section 5).

Called by the readers of whole answers and of streams.
"""

from typing import Annotated, TypeVar

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.usage_report import COUNT_MAX, count_of, inner_report, report_of

_Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)] | None


class _CacheWrites(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: _Count = None
    ephemeral_1h_input_tokens: _Count = None


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: _Count = None
    audio_tokens: _Count = None
    cache_creation: _CacheWrites | None = None
    cache_write_tokens: _Count = None
    cache_creation_input_tokens: _Count = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: _Count = None
    audio_tokens: _Count = None


class _Report(msgspec.Struct, gc=False):
    """What is read of a report; None for a count that is not there, or is none."""

    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    total_tokens: _Count = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: _Count = None
    cached_tokens: _Count = None


_Form = TypeVar("_Form", bound=msgspec.Struct)

_decode = msgspec.json.Decoder(_Report).decode
_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()
_NO_CACHE_WRITES = _CacheWrites()


def read_usage(report: bytes | msgspec.Raw) -> Units | None:
    """Return what a ``usage`` value says, or None if it is unusable, so that the caller counts.

    Unusable is a report without input or output, with negative numbers or strings for them, or of zeros alone.

    Args:
        report: the value's JSON.
    """
    try:
        usage = _decode(report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        usage = _read_leniently(report)
    prompt_details = usage.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion_details = usage.completion_tokens_details or _NO_COMPLETION_DETAILS
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if prompt is None or completion is None or not (prompt or completion):
        return None
    cached = (
        prompt_details.cached_tokens
        or usage.prompt_cache_hit_tokens  # DeepSeek
        or usage.cached_tokens  # Moonshot
        or 0
    )
    written_5m, written_1h = _cache_writes(prompt_details)
    input_audio = prompt_details.audio_tokens or 0
    output_audio = completion_details.audio_tokens or 0
    reasoning = completion_details.reasoning_tokens or 0
    # xAI counts reasoning beside the completion, OpenAI inside it: the total tells, or that it does not fit inside.
    outside = reasoning > completion or (reasoning > 0 and usage.total_tokens == prompt + completion + reasoning)
    return Units(
        input=max(0, prompt - cached - written_5m - written_1h - input_audio),
        cache_read=cached,
        cache_write_5m=written_5m,
        cache_write_1h=written_1h,
        input_audio=input_audio,
        output=max(0, completion - output_audio - (0 if outside else reasoning)),
        reasoning=reasoning,
        output_audio=output_audio,
    )


def _cache_writes(details: _PromptDetails) -> tuple[int, int]:
    """Return tokens written to a cache for 5 minutes and for an hour; without the split all are the former."""
    split = details.cache_creation or _NO_CACHE_WRITES
    short, long = split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens
    if short is not None or long is not None:
        return short or 0, long or 0
    written = details.cache_write_tokens  # OpenAI
    if written is None:
        written = details.cache_creation_input_tokens  # Qwen
    return written or 0, 0


def _read_leniently(report: bytes | msgspec.Raw) -> _Report:
    """Return what can be used of a report in which something is of another type than it should be."""
    usage = report_of(report)
    prompt_details = inner_report(usage, "prompt_tokens_details")
    return _counts(
        _Report,
        usage,
        prompt_tokens_details=_counts(
            _PromptDetails,
            prompt_details,
            cache_creation=_counts(_CacheWrites, inner_report(prompt_details, "cache_creation")),
        ),
        completion_tokens_details=_counts(_CompletionDetails, inner_report(usage, "completion_tokens_details")),
    )


def _counts(form: type[_Form], members: dict[str, object], **inner: msgspec.Struct) -> _Form:
    """Return an object of a form: its counts from some members, and what is inside of it as given."""
    return form(**{name: count_of(members, name) for name in form.__struct_fields__ if name not in inner}, **inner)
