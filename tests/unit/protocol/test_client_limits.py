"""What clients are told of their own limits, in the words of each dialect."""

import pytest

from trunkline.protocol import registry
from trunkline.protocol.client_limits import LimitState, duration_text
from trunkline.protocol.names import ANTHROPIC, CONVERSATIONAL, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES

REQUESTS = LimitState(50, 49, 60.2)
TOKENS = LimitState(100_000, 99_000, 0.0)
WALL_MS = 1_790_000_000_500
OPENAI_REQUESTS = (
    b"x-ratelimit-limit-requests: 50\r\nx-ratelimit-remaining-requests: 49\r\nx-ratelimit-reset-requests: 1m1s\r\n"
)
OPENAI_TOKENS = (
    b"x-ratelimit-limit-tokens: 100000\r\nx-ratelimit-remaining-tokens: 99000\r\nx-ratelimit-reset-tokens: 0s\r\n"
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, b"0s"),
        (0.001, b"1s"),
        (1.0, b"1s"),
        (59.5, b"1m0s"),
        (360.0, b"6m0s"),
        (3599.0, b"59m59s"),
        (3600.0, b"1h0m0s"),
        (86_399.2, b"24h0m0s"),
    ],
)
def test_durations_are_openais(seconds: float, text: bytes) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, OPENAI_RESPONSES, GEMINI])
def test_openais_and_geminis_clients_get_openais_headers(dialect: str) -> None:
    lines = registry.CLIENTS[dialect].limit_lines
    assert lines(REQUESTS, TOKENS, WALL_MS) == OPENAI_REQUESTS + OPENAI_TOKENS
    assert lines(None, TOKENS, WALL_MS) == OPENAI_TOKENS
    assert lines(REQUESTS, None, WALL_MS) == OPENAI_REQUESTS


def test_anthropics_clients_get_anthropics_headers() -> None:
    lines = registry.CLIENTS[ANTHROPIC].limit_lines
    # 60.2 s after 14:13:20.5, rounded up to a whole second.
    requests = (
        b"anthropic-ratelimit-requests-limit: 50\r\n"
        b"anthropic-ratelimit-requests-remaining: 49\r\n"
        b"anthropic-ratelimit-requests-reset: 2026-09-21T14:14:21Z\r\n"
    )
    assert lines(REQUESTS, None, WALL_MS) == requests
    tokens = b"".join(
        b"anthropic-ratelimit-%b-limit: 100000\r\n"
        b"anthropic-ratelimit-%b-remaining: 99000\r\n"
        b"anthropic-ratelimit-%b-reset: 2026-09-21T14:13:21Z\r\n" % (name, name, name)
        for name in (b"tokens", b"input-tokens", b"output-tokens")
    )
    assert lines(REQUESTS, TOKENS, WALL_MS) == requests + tokens


@pytest.mark.parametrize("dialect", CONVERSATIONAL)
def test_without_limits_there_is_no_header(dialect: str) -> None:
    assert registry.CLIENTS[dialect].limit_lines(None, None, WALL_MS) == b""
