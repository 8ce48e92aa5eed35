"""What providers say of their limits, in each of the ways in which they say it."""

import pytest

from trunkline.protocol.rate_limits import RESET_S_MAX, ProviderLimits, read_limits

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        pytest.param(
            {
                "x-ratelimit-limit-requests": "500",
                "x-ratelimit-limit-tokens": "150000",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-remaining-tokens": "149984",
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            ProviderLimits(499, 149_984, 500, 150_000, 0.12, 360.0),
            id="OpenAI",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-requests": "14400",
                "x-ratelimit-limit-tokens": "18000",
                "x-ratelimit-remaining-requests": "14370",
                "x-ratelimit-remaining-tokens": "17997",
                "x-ratelimit-reset-requests": "2m59.56s",
                "x-ratelimit-reset-tokens": "7.66ms",
            },
            ProviderLimits(14_370, 17_997, 14_400, 18_000, 179.56, 0.008),
            id="Groq",
        ),
        pytest.param(
            {"x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "9000"},
            ProviderLimits(9, 9000),
            id="Azure",
        ),
        pytest.param(
            {
                "anthropic-ratelimit-requests-limit": "1000",
                "anthropic-ratelimit-requests-remaining": "999",
                "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:01Z",
                "anthropic-ratelimit-input-tokens-limit": "80000",
                "anthropic-ratelimit-input-tokens-remaining": "70000",
                "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:07Z",
                "anthropic-ratelimit-output-tokens-limit": "16000",
                "anthropic-ratelimit-output-tokens-remaining": "4000",
                "anthropic-ratelimit-output-tokens-reset": "2027-01-15T10:00:45+02:00",
                "anthropic-ratelimit-tokens-limit": "96000",
                "anthropic-ratelimit-tokens-remaining": "74000",
                "anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:45Z",
            },
            ProviderLimits(999, 4000, 1000, 16_000, 1.0, 45.0),
            id="Anthropic, of the kind that is scarcest",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-tokens-minute": "5000000",
                "x-ratelimit-remaining-tokens-minute": "4999911",
                "x-ratelimit-tokens-query-cost": "52",
                "x-ratelimit-limit-req-minute": "720",
                "x-ratelimit-remaining-req-minute": "717",
            },
            ProviderLimits(717, 4_999_911, 720, 5_000_000, 60.0, 60.0),
            id="Mistral",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-requests-day": "14400",
                "x-ratelimit-limit-tokens-minute": "60000",
                "x-ratelimit-remaining-requests-day": "14000",
                "x-ratelimit-remaining-tokens-minute": "51000",
                "x-ratelimit-reset-requests-day": "33011.382867",
                "x-ratelimit-reset-tokens-minute": "11.382867",
            },
            ProviderLimits(14_000, 51_000, 14_400, 60_000, 33_011.382867, 11.382867),
            id="Cerebras",
        ),
        pytest.param(
            {
                "x-ratelimit-limit": "10",
                "x-ratelimit-remaining": "9",
                "x-ratelimit-reset": "1",
                "x-tokenlimit-limit": "3000",
                "x-tokenlimit-remaining": "2990",
            },
            ProviderLimits(9, 2990, 10, 3000, 1.0, None),
            id="Together",
        ),
        pytest.param(
            {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4987", "x-ratelimit-reset": "1800000090"},
            ProviderLimits(4987, None, 5000, None, 90.0, None),
            id="GitHub",
        ),
        pytest.param(
            {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000030000"},
            ProviderLimits(0, None, 20, None, 30.0, None),
            id="OpenRouter",
        ),
        pytest.param(
            {"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "40", "ratelimit-reset": "12"},
            ProviderLimits(40, None, 100, None, 12.0, None),
            id="the draft of the IETF",
        ),
    ],
)
def test_each_provider_is_understood(headers: dict[str, str], limits: ProviderLimits) -> None:
    assert read_limits(headers, NOW_MS) == limits


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json", "x-ratelimit-limit-requests": "10"},
        {"x-ratelimit-remaining-requests": "many"},
        {"anthropic-ratelimit-requests-remaining": ""},
        {"ratelimit-remaining": "9" * 40 + "x"},
        {"x-ratelimit-remaining": "inf"},
    ],
)
def test_without_a_count_there_is_nothing(headers: dict[str, str]) -> None:
    assert read_limits(headers, NOW_MS) is None


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("59.7", 59.7),
        ("0", 0.0),
        ("-5", 0.0),
        ("1799999990", 0.0),
        ("2027-01-15T08:00:20", 20.0),
        ("2026-01-15T08:00:20Z", 0.0),
        ("1h30m", 5400.0),
        ("99999999", RESET_S_MAX),
        ("soon", None),
        ("nan", None),
        ("", None),
    ],
)
def test_each_way_to_write_a_reset_is_understood(reset: str, seconds: float | None) -> None:
    limits = read_limits({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": reset}, NOW_MS)
    assert limits == ProviderLimits(remaining_requests=1, reset_requests_s=seconds)


def test_a_count_below_nothing_is_nothing() -> None:
    limits = read_limits({"x-ratelimit-remaining": "-3", "x-ratelimit-limit": "60.0"}, NOW_MS)
    assert limits == ProviderLimits(remaining_requests=0, limit_requests=60)
