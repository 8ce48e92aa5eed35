"""Usage reports of chat vendors, as disjoint buckets."""

import json

import pytest

from trunkline.core.usage import Units
from trunkline.protocol.openai_chat.usage import read_usage


def report(prompt: object, completion: object, total: object = None, **members: object) -> bytes:
    tokens = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return json.dumps({**tokens, **members}).encode()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (report(10, 5, 15), Units(input=10, output=5)),
        (report(10, 0), Units(input=10)),
        # OpenAI: cached, written, audio and reasoning tokens are inside the totals.
        (
            report(
                100,
                50,
                150,
                prompt_tokens_details={"cached_tokens": 30, "cache_write_tokens": 20, "audio_tokens": 10},
                completion_tokens_details={"reasoning_tokens": 20, "audio_tokens": 5, "rejected_prediction_tokens": 3},
            ),
            Units(input=40, cache_read=30, cache_write_5m=20, input_audio=10, output=25, reasoning=20, output_audio=5),
        ),
        # xAI: reasoning is beside the completion; the total says so.
        (
            report(10, 5, 35, completion_tokens_details={"reasoning_tokens": 20}),
            Units(input=10, output=5, reasoning=20),
        ),
        (
            report(10, 25, 55, completion_tokens_details={"reasoning_tokens": 20}),
            Units(input=10, output=25, reasoning=20),
        ),
        # xAI: more cached than there was.
        (report(10, 5, 15, prompt_tokens_details={"cached_tokens": 12}), Units(input=0, cache_read=12, output=5)),
        # DeepSeek.
        (
            report(10, 5, 15, prompt_cache_hit_tokens=6, prompt_cache_miss_tokens=4),
            Units(input=4, cache_read=6, output=5),
        ),
        # Moonshot.
        (report(10, 5, 15, cached_tokens=3), Units(input=7, cache_read=3, output=5)),
        # Qwen.
        (
            report(10, 5, 15, prompt_tokens_details={"cache_creation_input_tokens": 4}),
            Units(input=6, cache_write_5m=4, output=5),
        ),
        (
            report(
                10,
                5,
                15,
                prompt_tokens_details={
                    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2}
                },
            ),
            Units(input=7, cache_write_5m=1, cache_write_1h=2, output=5),
        ),
        (report(10.0, 5.0), Units(input=10, output=5)),
        (report(10, 5, prompt_tokens_details=None, completion_tokens_details=[]), Units(input=10, output=5)),
        (
            report(10, 5, prompt_tokens_details={"cached_tokens": "3", "audio_tokens": -2}),
            Units(input=10, output=5),
        ),
    ],
)
def test_tokens_are_in_exactly_one_bucket(source: bytes, expected: Units) -> None:
    assert read_usage(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        report(0, 0, 0),
        report("10", 5),
        report(10, "5"),
        report(10, None),
        report(None, 5),
        report(-1, 5),
        report(10, 1.5),
        report(True, 5),
        report(10, 10**12),
        b"null",
        b"[]",
        b"5",
        b"{",
        b"",
        b'{"\xff":1}',
        b"[" * 100_000,
    ],
)
def test_an_unusable_report_is_none(source: bytes) -> None:
    assert read_usage(source) is None
