"""Gemini's usage report as disjoint buckets, and back."""

import json

import msgspec
import pytest

from trunkline.core.usage import Units
from trunkline.protocol.gemini.usage import read_usage, write_usage
from trunkline.protocol.gemini.wire import read_frame


def read(**report: object) -> Units | None:
    frame = read_frame(json.dumps({"usageMetadata": report}).encode())
    assert frame is not None
    assert frame.usage_metadata is not None
    return read_usage(frame.usage_metadata)


def test_thoughts_are_beside_the_candidates() -> None:
    # Left out, they would be given away (section 8, 12).
    units = read(promptTokenCount=10, candidatesTokenCount=5, thoughtsTokenCount=7, totalTokenCount=22)
    assert units == Units(input=10, output=5, reasoning=7)


def test_cached_tokens_are_part_of_the_prompt_and_tool_results_are_not() -> None:
    units = read(promptTokenCount=10, cachedContentTokenCount=4, toolUsePromptTokenCount=3, candidatesTokenCount=1)
    assert units == Units(input=9, cache_read=4, output=1)


def test_thoughts_inside_the_candidates_show_in_the_total() -> None:
    units = read(promptTokenCount=10, candidatesTokenCount=12, thoughtsTokenCount=7, totalTokenCount=22)
    assert units == Units(input=10, output=5, reasoning=7)


def test_media_with_a_price_of_its_own_is_split_off() -> None:
    units = read(
        promptTokenCount=100,
        cachedContentTokenCount=30,
        promptTokensDetails=[{"modality": "TEXT", "tokenCount": 40}, {"modality": "AUDIO", "tokenCount": 60}],
        cacheTokensDetails=[{"modality": "AUDIO", "tokenCount": 20}, {"modality": "TEXT", "tokenCount": 10}],
        candidatesTokenCount=50,
        candidatesTokensDetails=[{"modality": 2, "tokenCount": 45}, {"modality": "TEXT", "tokenCount": 5}],
    )
    assert units == Units(input=30, cache_read=30, input_audio=40, output=5, output_image=45)


def test_more_cached_than_prompt_is_clamped() -> None:
    assert read(promptTokenCount=5, cachedContentTokenCount=9, candidatesTokenCount=1) == Units(cache_read=9, output=1)


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"promptTokenCount": 0, "candidatesTokenCount": 0},
        {"promptTokenCount": -3},
        {"promptTokenCount": "12", "candidatesTokenCount": "3"},
        {"promptTokenCount": 10**12},
        {"promptTokenCount": 1.5},
        {"totalTokenCount": 12},
    ],
)
def test_an_unusable_report_is_none(report: dict[str, object]) -> None:
    assert read(**report) is None


def test_one_bad_number_spoils_only_its_field() -> None:
    assert read(promptTokenCount=5, candidatesTokenCount=2, cachedContentTokenCount="x") == Units(input=5, output=2)


@pytest.mark.parametrize(
    "units",
    [
        Units(input=10, output=5),
        Units(input=10, cache_read=4, output=5, reasoning=7),
        Units(input=10, input_audio=3, output=5, output_audio=2, output_image=9),
    ],
)
def test_writing_is_the_inverse_of_reading(units: Units) -> None:
    assert read_usage(write_usage(units)) == units


def test_totals_are_in_geminis_terms() -> None:
    written = write_usage(Units(input=10, cache_read=4, cache_write_5m=2, output=5, reasoning=7))
    assert json.loads(msgspec.json.encode(written)) == {
        "promptTokenCount": 16,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 7,
        "totalTokenCount": 28,
    }
