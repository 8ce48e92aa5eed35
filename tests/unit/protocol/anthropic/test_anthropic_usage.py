"""Anthropic's usage report in disjoint buckets, and back."""

import json

import pytest

from trunkline.core.usage import Units
from trunkline.protocol.anthropic.usage import UsageTally, read_usage, render_usage


def read(**report: object) -> Units | None:
    return read_usage(json.dumps(report).encode())


def test_caches_are_beside_the_input_and_never_added_to_it() -> None:
    assert read(
        input_tokens=12,
        cache_creation_input_tokens=30,
        cache_read_input_tokens=100,
        cache_creation={"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        output_tokens=50,
        service_tier="standard",
    ) == Units(input=12, cache_read=100, cache_write_5m=10, cache_write_1h=20, output=50)


def test_writes_without_a_split_are_short_ones() -> None:
    assert read(input_tokens=1, cache_creation_input_tokens=30, output_tokens=2) == Units(
        input=1, cache_write_5m=30, output=2
    )


def test_what_the_sum_has_more_than_the_split_is_short() -> None:
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    assert read(input_tokens=1, cache_creation_input_tokens=35, cache_creation=split, output_tokens=2) == Units(
        input=1, cache_write_5m=15, cache_write_1h=20, output=2
    )


def test_thinking_is_a_part_of_the_output() -> None:
    details = {"thinking_tokens": 30}
    assert read(input_tokens=1, output_tokens=50, output_tokens_details=details) == Units(
        input=1, output=20, reasoning=30
    )
    assert read(input_tokens=1, output_tokens=20, output_tokens_details=details) == Units(input=1, reasoning=20)


def test_searches_are_counted() -> None:
    assert read(input_tokens=1, output_tokens=2, server_tool_use={"web_search_requests": 3}) == Units(
        input=1, output=2, searches=3
    )


def test_iterations_beside_the_numbers_of_the_top_level_are_added() -> None:
    compaction = {
        "type": "compaction",
        "input_tokens": 100,
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 5,
        "output_tokens": 7,
    }
    message = {"type": "message", "input_tokens": 1, "output_tokens": 2}
    advisor = {"type": "advisor_message", "input_tokens": 4, "output_tokens": 3}
    assert read(input_tokens=1, output_tokens=2, iterations=[compaction, message, advisor, 5]) == Units(
        input=105, cache_read=10, cache_write_5m=5, output=12
    )


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"input_tokens": 5},
        {"output_tokens": 5},
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": "5", "output_tokens": "6"},
        {"input_tokens": -5, "output_tokens": -6},
        {"input_tokens": True, "output_tokens": 10**12},
        {"input_tokens": None, "output_tokens": 3},
    ],
)
def test_an_unusable_report_is_none(report: dict[str, object]) -> None:
    assert read(**report) is None


@pytest.mark.parametrize("report", [b"", b"null", b"[]", b"5", b"{", b"\xff", b'"x"', b"[" * 100_000])
def test_what_is_no_report_is_none(report: bytes) -> None:
    assert read_usage(report) is None


def test_whole_floats_are_numbers_and_odd_members_are_ignored() -> None:
    assert read(input_tokens=5.0, output_tokens=2, cache_creation=7, output_tokens_details=[], iterations={}) == Units(
        input=5, output=2
    )


def test_per_field_the_last_value_that_is_one_stands() -> None:
    tally = UsageTally()
    tally.take(b'{"input_tokens":5,"cache_read_input_tokens":9,"output_tokens":1}', final=False)
    assert not tally.output_reported
    assert tally.input_units() == Units(input=5, cache_read=9)
    tally.take(b'{"input_tokens":null,"cache_read_input_tokens":-1,"output_tokens":20}', final=True)
    tally.take(b'{"output_tokens":"many"}', final=True)
    assert tally.output_reported
    assert tally.units() == Units(input=5, cache_read=9, output=20)


def test_nothing_known_of_the_input_is_none() -> None:
    tally = UsageTally()
    assert tally.input_units() is None
    tally.take(b'{"input_tokens":0,"output_tokens":1}', final=False)
    assert tally.input_units() is None


@pytest.mark.parametrize(
    "units",
    [
        Units(input=1, output=2),
        Units(input=12, cache_read=100, cache_write_5m=10, cache_write_1h=20, output=20, reasoning=30, searches=3),
        Units(cache_write_1h=20, reasoning=5),
        Units(cache_write_5m=20, output=5),
    ],
)
def test_writing_is_the_inverse_of_reading(units: Units) -> None:
    assert read_usage(render_usage(units)) == units


def test_buckets_without_a_word_are_input_or_output() -> None:
    shown = read_usage(render_usage(Units(input=1, input_audio=2, input_image=3, output=4, output_image=5)))
    assert shown == Units(input=6, output=9)
