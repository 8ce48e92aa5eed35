"""Usage in chat's words: the exact inverse of `usage` (DIALECTS section 5). Called by the writer of answers."""

import msgspec

from trunkline.core.usage import Units


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class _PromptDetails(msgspec.Struct, omit_defaults=True):
    cached_tokens: int
    audio_tokens: int
    cache_write_tokens: int = 0
    cache_creation: _CacheCreation | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _PromptDetails
    completion_tokens_details: _CompletionDetails


_encode = msgspec.json.Encoder().encode


def write_usage(units: Units) -> bytes:
    """Return the value of ``usage``. What was written to a cache for an hour is told apart only where there is some."""
    creation = _CacheCreation(units.cache_write_5m, units.cache_write_1h) if units.cache_write_1h else None
    prompt, completion = units.input_total, units.output_total
    return _encode(
        _Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            prompt_tokens_details=_PromptDetails(
                cached_tokens=units.cache_read,
                audio_tokens=units.input_audio,
                cache_write_tokens=units.cache_write_5m + units.cache_write_1h,
                cache_creation=creation,
            ),
            completion_tokens_details=_CompletionDetails(units.reasoning, units.output_audio),
        )
    )
