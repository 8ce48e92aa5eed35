"""Limits that the configuration sets to credentials, shared among dispatchers."""

import math
from collections.abc import Iterator

import msgspec
import pytest

from trunkline.bus.snapshots import ChannelSnapshot, CredentialLimits, SealedCredential
from trunkline.policy.credential_limits import SlidingMinute, limits_of, share_of
from trunkline.policy.credential_troubles import ENDS_SOON_S
from trunkline.policy.credentials import Choice, CredentialStates, Outlook

NONE = CredentialLimits()


def channel(limits: CredentialLimits, *own: CredentialLimits) -> ChannelSnapshot:
    return ChannelSnapshot(
        id=1,
        name="one",
        dialect="openai",
        base_url="http://one",
        credentials=tuple(SealedCredential(place + 1, 1, b"n", b"c", limits=one) for place, one in enumerate(own)),
        models={"m": "m"},
        limits=limits,
    )


def taken(states: CredentialStates, of: ChannelSnapshot, now: float) -> int | None:
    """Begin an attempt if one is let; returns its credential, 0 for the nameless one."""
    choice = states.choose(of, (), now)
    if choice is None:
        return None
    states.begin(of, choice.credential, now)
    return 0 if choice.credential is None else choice.credential.id


@pytest.mark.parametrize(("limit", "dispatchers", "share"), [(10, 1, 10), (10, 3, 3), (2, 5, 1), (0, 1, 1), (7, 0, 7)])
def test_a_share_is_rounded_down_but_never_nothing(limit: int, dispatchers: int, share: int) -> None:
    assert share_of(limit, dispatchers) == share


def test_each_limit_of_a_credential_comes_before_that_of_its_channel() -> None:
    assert limits_of(CredentialLimits(1, 2, 3), CredentialLimits(rpm=9)) == CredentialLimits(1, 9, 3)
    assert limits_of(CredentialLimits(rpm=2), None) == CredentialLimits(rpm=2)
    assert limits_of(NONE, NONE) is None


def test_a_minute_slides_and_counts_a_little_too_much_rather_than_too_little() -> None:
    minute = SlidingMinute()
    for now in (0.2, 0.9, 30.0):
        minute.add(1, now)
    assert minute.total == 3
    assert minute.below_at(4) == -math.inf
    assert minute.below_at(3) == minute.below_at(2) == 61.0
    assert minute.below_at(1) == 91.0
    minute.expire(60.9)
    assert minute.total == 3
    minute.expire(61.0)
    assert minute.total == 1
    minute.add(5, 10.0)  # one that comes late is counted with the last
    assert minute.below_at(1) == 91.0


def test_no_more_attempts_at_a_time_than_the_limit() -> None:
    states, of = CredentialStates(), channel(CredentialLimits(jobs=2), NONE, CredentialLimits(jobs=1))
    assert [taken(states, of, 0.0) for _ in range(4)] == [1, 2, 1, None]
    assert states.under_way(1, 1) == 2
    assert states.free_at(of, 5.0) == 5.0 + ENDS_SOON_S
    assert states.outlook(of, 5.0) == Outlook(usable=False, cooling_until=5.0 + ENDS_SOON_S)
    states.end(of, of.credentials[0], 10, 5.0)
    assert states.free_at(of, 5.0) == 5.0
    assert [taken(states, of, 5.0) for _ in range(2)] == [1, None]


def test_a_limit_is_shared_among_dispatchers_as_they_come_and_go() -> None:
    states, of = CredentialStates(), channel(CredentialLimits(jobs=6), NONE)
    states.dispatchers = 3
    assert [taken(states, of, 0.0) for _ in range(3)] == [1, 1, None]
    states.dispatchers = 2
    states.end(of, of.credentials[0], 0, 1.0)
    assert [taken(states, of, 1.0) for _ in range(3)] == [1, 1, None]


def test_attempts_of_a_minute() -> None:
    states, of = CredentialStates(), channel(CredentialLimits(rpm=3), NONE)
    assert [taken(states, of, now) for now in (0.0, 10.0, 20.0)] == [1, 1, 1]
    for _ in range(3):
        states.end(of, of.credentials[0], 0, 25.0)
    assert taken(states, of, 60.5) is None
    assert states.free_at(of, 30.0) == 61.0
    assert [taken(states, of, 61.0) for _ in range(2)] == [1, None]
    assert states.free_at(of, 61.0) == 71.0


def test_an_attempt_for_later_counts_then() -> None:
    states, of = CredentialStates(), channel(CredentialLimits(rpm=1), NONE)
    assert taken(states, of, 0.0) == 1
    assert states.choose(of, (), 59.0, wait_s=1.9) is None
    assert states.choose(of, (), 59.0, wait_s=2.0) == Choice(of.credentials[0])
    states.begin(of, of.credentials[0], 61.0)
    assert states.free_at(of, 60.0) == 122.0
    assert states.choose(of, (), 61.5) is None


def test_tokens_of_a_minute_with_a_guess_for_those_under_way() -> None:
    states, of = CredentialStates(), channel(CredentialLimits(tpm=1000), NONE)
    assert taken(states, of, 0.0) == 1
    states.end(of, of.credentials[0], 400, 1.0)
    assert taken(states, of, 2.0) == 1  # 400 used, and as many to come
    assert taken(states, of, 2.0) == 1  # …and once more
    assert taken(states, of, 2.0) is None
    states.end(of, of.credentials[0], 0, 3.0)
    assert taken(states, of, 3.0) == 1
    states.end(of, of.credentials[0], 600, 4.0)
    states.end(of, of.credentials[0], 600, 5.0)
    assert taken(states, of, 61.9) is None
    assert states.free_at(of, 10.0) == 65.0  # when what was used at second 4 has gone, too
    assert taken(states, of, 65.0) == 1


def test_a_channel_without_credentials_has_the_limits_itself() -> None:
    states, of = CredentialStates(), channel(CredentialLimits(jobs=1))
    assert [taken(states, of, 0.0) for _ in range(2)] == [0, None]
    states.end(of, None, 5, 1.0)
    assert taken(states, of, 1.0) == 0


def test_limits_that_are_changed_hold_from_the_next_attempt_on() -> None:
    states, of = CredentialStates(), channel(CredentialLimits(rpm=10), NONE)
    assert taken(states, of, 0.0) == 1
    of = msgspec.structs.replace(of, limits=CredentialLimits(rpm=2))
    assert [taken(states, of, 1.0) for _ in range(2)] == [1, None]


def test_counts_of_a_removed_credential_are_dropped_and_a_deleted_channel_may_still_end_attempts() -> None:
    states, three, one = CredentialStates(), channel(NONE, NONE, NONE, NONE), channel(NONE, NONE)
    for credential in three.credentials:
        states.begin(three, credential, 0.0)
    states.end(three, three.credentials[1], 0, 1.0)
    states.set_aside(1, three.credentials[1], "refused", 1.0)
    other = msgspec.structs.replace(one, credentials=(SealedCredential(9, 1, b"n", b"c"),))
    states.begin(other, other.credentials[0], 2.0)
    assert states.troubles(2.0) == []
    assert states.under_way(1, 3) == 1  # it goes on
    states.forget(1)
    states.end(three, three.credentials[2], 0, 3.0)
    assert states.under_way(1, 3) == 0


def instants(seed: int) -> Iterator[float]:
    now = 0.0
    while now < 400.0:
        seed = (seed * 1_103_515_245 + 12_345) % 2**31
        now += seed / 2**31 * (0.2 if seed % 7 else 8.0)
        yield now


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_minute_has_more_attempts_than_the_limit_wherever_it_begins(seed: int) -> None:
    states, of = CredentialStates(), channel(CredentialLimits(rpm=20), NONE)
    begun = [now for now in instants(seed) if taken(states, of, now) is not None]
    assert max(sum(1 for now in begun if first <= now < first + 60.0) for first in begun) == 20
    assert len(begun) >= 20 * 6  # and it is used
