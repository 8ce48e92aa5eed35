"""The operator's picture: its history, its channels and their order."""

from typing import Any

from trunkline.bus.messages import AttemptOutcome, Beat, OutcomeBatch
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight, SealedCredential
from trunkline.core.errors import ErrorType
from trunkline.policy.live import CHANNELS_MAX, HISTORY_POINTS, LiveBoard

AT_MS = 1_900_000_000_000


def channel(number: int, **fields: Any) -> ChannelSnapshot:
    credentials = (SealedCredential(number * 10, 1, b"", b""),)
    return ChannelSnapshot(number, f"channel-{number}", "openai", "http://upstream", credentials, {"m": "m"}, **fields)


def calls(number: int, count: int, error: ErrorType | None = None) -> OutcomeBatch:
    one = AttemptOutcome(number, number * 10, "m", error, 200, 100, 10, 500, stream=True)
    return OutcomeBatch("dispatcher-a", (one,) * count)


def test_nothing_is_said_before_the_first_second_is_over() -> None:
    board = LiveBoard(0.0)
    assert board.picture(0.5, {}, {}, None) is None
    assert board.history().points == ()


def test_a_second_brings_beats_and_outcomes_together() -> None:
    board = LiveBoard(0.0)
    for at_s in (0, 1, 2):
        sums: dict[str, Any] = {"finished": at_s * 20, "failures": {"upstream_error": at_s * 2}}
        board.receive_beat(
            Beat("edge", "edge-a", AT_MS, 7, clock_ms=1 + at_s * 1000, streams=3, waiting=1, **sums), at_s, AT_MS
        )
    board.receive_outcomes(calls(1, 4), 1.2)
    board.tick(2.0, AT_MS + 2000, queued=5)

    point = board.history().points[0]
    assert (point.at_ms, point.queued, point.requests_per_s) == (AT_MS + 2000, 5, 20.0)
    assert point.errors_per_s == {"upstream_error": 2.0}
    assert (point.in_flight, point.streams, point.waiting) == (7, 3, 1)
    assert (point.tokens_per_s, point.first_token_p50_ms) == (20.0, 101)


def test_two_minutes_are_kept() -> None:
    board = LiveBoard(0.0)
    for second in range(HISTORY_POINTS + 30):
        board.tick(float(second), AT_MS + second, None)

    points = board.history().points
    assert len(points) == HISTORY_POINTS
    assert (points[0].at_ms, points[-1].at_ms) == (AT_MS + 30, AT_MS + HISTORY_POINTS + 29)


def test_channels_in_trouble_come_first_and_those_that_are_off_last() -> None:
    board = LiveBoard(0.0)
    board.receive_outcomes(calls(2, 60), 0.5)
    board.receive_outcomes(calls(4, 600), 0.5)
    board.receive_outcomes(calls(4, 200, ErrorType.UPSTREAM_ERROR), 0.5)
    board.tick(1.0, AT_MS, None)
    channels = {number: channel(number, enabled=number != 5) for number in (1, 2, 3, 4, 5, 6)}
    weights = {
        3: ChannelWeight(3, ChannelState.EJECTED, 0.0, 9, "attempts fail"),
        5: ChannelWeight(5, ChannelState.EJECTED, 0.0, 9),
    }
    picture = board.picture(1.0, channels, weights, {6: 1})

    assert picture is not None
    assert [shown.name for shown in picture.channels] == [f"channel-{number}" for number in (3, 6, 4, 2, 1, 5)]
    first, second, busiest = picture.channels[:3]
    assert (first.state, first.weight, first.reason) == (ChannelState.EJECTED, 0.0, "attempts fail")
    assert (second.state, second.weight, second.credentials, second.credentials_refused) == ("serving", 1.0, 1, 1)
    assert (busiest.traffic.attempts_per_s, busiest.traffic.error_share) == (800.0, 0.25)
    assert busiest.traffic.errors == {"upstream_error": 200}


def test_what_is_not_known_of_credentials_is_not_said() -> None:
    board = LiveBoard(0.0)
    board.tick(1.0, AT_MS, None)
    picture = board.picture(1.0, {1: channel(1)}, {}, None)

    assert picture is not None
    assert picture.channels[0].credentials_refused is None


def test_a_channel_that_was_silent_before_has_its_calls_shared_over_the_minute() -> None:
    board = LiveBoard(0.0)
    board.receive_outcomes(calls(1, 60), 300.5)
    board.tick(301.0, AT_MS, None)
    picture = board.picture(301.0, {1: channel(1)}, {}, None)

    assert picture is not None
    assert picture.channels[0].traffic.attempts_per_s == 1.0


def test_the_number_of_channels_is_bounded() -> None:
    board = LiveBoard(0.0)
    board.tick(1.0, AT_MS, None)
    picture = board.picture(1.0, {number: channel(number) for number in range(1, CHANNELS_MAX + 8)}, {}, None)

    assert picture is not None
    assert (len(picture.channels), picture.channels_more) == (CHANNELS_MAX, 7)
