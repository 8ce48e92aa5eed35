"""Waits that upstreams ask for."""

import pytest

from trunkline.protocol.retry_after import WAIT_MS_MAX, duration_ms, wait_from_headers, wait_from_words

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after-ms": "1500"}, 1500),
        ({"retry-after-ms": "1500.4", "retry-after": "9"}, 1500),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9000),
        ({"retry-after": "0.25"}, 250),
        ({"retry-after": "1m2.5s"}, 62_500),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30_000),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 -0000"}, 30_000),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 99 Foo 9999 99:99:99 GMT"}, None),
        ({"retry-after": "9" * 15}, WAIT_MS_MAX),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "5"}, None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0"}, 1000),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "7.66s",
                "x-ratelimit-remaining-tokens": "0",
            },
            7660,
        ),
        ({"x-ratelimit-reset": "1700000002000", "x-ratelimit-remaining": "0"}, 2000),
        ({"x-ratelimit-reset": "1700000003", "x-ratelimit-remaining": "0"}, 3000),
        ({"x-ratelimit-reset": "4", "x-ratelimit-remaining": "0"}, 4000),
    ],
)
def test_headers(headers: dict[str, str], expected: int | None) -> None:
    assert wait_from_headers(headers, NOW_MS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("37s", 37_000),
        ("6ms", 6),
        ("1h1m", 3_660_000),
        ("250us", 0),
        ("2d", WAIT_MS_MAX),
        ("", None),
        ("5", None),
        ("x1s", None),
    ],
)
def test_durations(text: str, expected: int | None) -> None:
    assert duration_ms(text) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Rate limit reached. Please try again in 1m2.5s. Visit", 62_500),
        ("Please try again in 20s", 20_000),
        ("Please retry after 30 seconds.", 30_000),
        ("Please wait for 2 minutes", 120_000),
        ("Please retry in 37.5s.", 37_500),
        ("try again in 6ms", 6),
        ("try again later", None),
        ("limit 30 seconds", None),
        ("", None),
    ],
)
def test_words(message: str, expected: int | None) -> None:
    assert wait_from_words(message) == expected
