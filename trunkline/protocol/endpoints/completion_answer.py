"""What the gateway looks at in answers of the old completions, whole ones and chunks of a stream alike."""

from collections.abc import Iterable

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.endpoints.answer_form import AnswerForm
from trunkline.protocol.lenient import read_leniently
from trunkline.protocol.usage_report import count_of, inner_report, report_of

FAILED_FINISHES = frozenset({"error", "insufficient_system_resource", "network_error", "abort"})
"""Finish reasons of vendors that mean the provider failed (DIALECTS section 4.1)."""


class Choice(msgspec.Struct, gc=False):
    """One choice, or a piece of it."""

    index: int = 0
    text: str | None = None
    finish_reason: str | None = None


class Answer(AnswerForm, gc=False):
    """A whole answer or one chunk."""

    choices: list[Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()


_decode_answer = msgspec.json.Decoder(Answer).decode


def read_answer_object(data: bytes) -> Answer | None:
    """Return what matters of an answer or chunk, or None for JSON that is not an object.

    Raises:
        ValueError: not JSON, not UTF-8, or nested too deeply.
    """
    if not data.isascii():
        # What the decoder skips it does not check to be UTF-8.
        data.decode()
    try:
        return _decode_answer(data)
    except (msgspec.DecodeError, RecursionError):
        return read_leniently(Answer, data, texts=True)


def texts_of(choices: Iterable[Choice] | None) -> list[str]:
    """Return the texts of choices that have any."""
    return [choice.text for choice in choices or () if choice.text]


def usable(units: Units | None, *, output: bool, echo: bool) -> Units | None:
    """Return a report if it may be billed by.

    No output tokens for a text that is there is no report at all (DIALECTS section 5), unless the text is the client's
    own prompt, sent back as it asked.
    """
    return None if units is not None and output and not echo and not units.output_total else units


def read_usage(report: msgspec.Raw) -> Units | None:
    """Return what a ``usage`` value says, or None if it is unusable: no numbers, or zeros alone."""
    usage = report_of(report)
    prompt, completion = count_of(usage, "prompt_tokens"), count_of(usage, "completion_tokens")
    if prompt is None or completion is None or not (prompt or completion):
        return None
    cached = count_of(inner_report(usage, "prompt_tokens_details"), "cached_tokens")
    if cached is None:
        cached = count_of(usage, "prompt_cache_hit_tokens")  # DeepSeek
    cached = min(cached or 0, prompt)
    reasoning = min(count_of(inner_report(usage, "completion_tokens_details"), "reasoning_tokens") or 0, completion)
    return Units(input=prompt - cached, cache_read=cached, output=completion - reasoning, reasoning=reasoning)
