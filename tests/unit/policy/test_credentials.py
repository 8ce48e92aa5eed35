"""Turns, cooling and setting aside of credentials."""

from collections import Counter

import pytest

from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential
from trunkline.core.hashing import mix64
from trunkline.policy import credential_troubles as troubles
from trunkline.policy import credentials as module
from trunkline.policy.credential_troubles import CredentialState
from trunkline.policy.credentials import Choice, CredentialStates, Outlook


def sealed(number: int, nonce: bytes = b"n") -> SealedCredential:
    return SealedCredential(number, 1, nonce, b"c")


def channel(*credentials: SealedCredential) -> ChannelSnapshot:
    return ChannelSnapshot(
        id=1, name="one", dialect="openai", base_url="http://one", credentials=credentials, models={"m": "m"}
    )


ONE, TWO, THREE = sealed(1), sealed(2), sealed(3)


def used(states: CredentialStates, of: ChannelSnapshot, now: float, times: int) -> list[int | None]:
    choices = [states.choose(of, (), now) for _ in range(times)]
    return [
        choice.credential.id if choice is not None and choice.credential is not None else None for choice in choices
    ]


def test_credentials_take_turns() -> None:
    assert used(CredentialStates(), channel(ONE, TWO, THREE), 0.0, 5) == [1, 2, 3, 1, 2]


def test_what_the_job_has_tried_is_passed_over() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    assert states.choose(of, {1}, 0.0) == Choice(TWO)
    assert states.choose(of, {1, 2}, 0.0) is None


def test_a_limited_credential_cools_for_as_long_as_the_provider_asks() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    states.cool(1, ONE, 10.0, 1500)
    assert used(states, of, 11.49, 3) == [2, 2, 2]
    assert states.outlook(of, 11.0) == Outlook(usable=True, cooling_until=None)
    states.cool(1, TWO, 10.0, 3000)
    assert states.choose(of, (), 11.0) is None
    assert states.outlook(of, 11.0) == Outlook(usable=False, cooling_until=11.5)
    assert used(states, of, 11.5, 2) == [1, 1]
    assert sorted(str(number) for number in used(states, of, 13.0, 2)) == ["1", "2"]


@pytest.mark.parametrize(
    ("for_ms", "wait_s"),
    [(None, troubles.COOL_MS_MIN / 1000), (10**12, troubles.COOL_MS_MAX / 1000), (-5, 0.0), (250, 0.25)],
)
def test_cooling_is_bounded(for_ms: int | None, wait_s: float) -> None:
    states, of = CredentialStates(), channel(ONE)
    states.cool(1, ONE, 0.0, for_ms)
    if wait_s:
        assert states.choose(of, (), wait_s - 0.001) is None
    assert states.choose(of, (), wait_s) == Choice(ONE)


def test_a_shorter_wish_does_not_end_a_longer_rest() -> None:
    states, of = CredentialStates(), channel(ONE)
    states.cool(1, ONE, 0.0, 60_000)
    states.cool(1, ONE, 1.0, 1_000)
    assert states.choose(of, (), 59.0) is None


def test_success_of_another_attempt_does_not_end_cooling_or_setting_aside() -> None:
    states, of = CredentialStates(), channel(ONE)
    states.cool(1, ONE, 0.0, 60_000)
    states.set_aside(1, ONE, "refused", 0.0)
    states.confirm(1, ONE)
    assert states.choose(of, (), 59.0) is None


def refused_at(states: CredentialStates, now: float, began: float) -> float:
    """Let an attempt be limited; returns how long its credential cools from then on."""
    states.cool(1, ONE, now, began=began)
    free = states.free_at(channel(ONE), now)
    assert free is not None
    return free - now


def test_each_429_in_a_row_doubles_the_cooling_and_a_success_ends_the_row() -> None:
    states = CredentialStates()
    waits = []
    now = 0.0
    for _ in range(7):
        waits.append(refused_at(states, now, now - 0.1))
        now += waits[-1] + 0.2
    assert waits == pytest.approx([0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0])
    states.confirm(1, ONE, now)
    assert refused_at(states, now + 0.1, now) == pytest.approx(0.25)


def test_attempts_that_were_under_way_at_the_first_429_neither_count_nor_end_the_row() -> None:
    states = CredentialStates()
    assert refused_at(states, 10.0, 9.5) == 0.25
    assert refused_at(states, 10.1, 9.9) == pytest.approx(0.15)
    states.confirm(1, ONE, 9.9)
    assert refused_at(states, 10.4, 10.3) == pytest.approx(0.5)


def test_a_429_a_minute_after_the_last_one_begins_another_row() -> None:
    states = CredentialStates()
    assert [refused_at(states, now, now) for now in (0.0, 1.0, 2.0)] == [0.25, 0.5, 1.0]
    assert refused_at(states, 2.0 + troubles.ROW_S, 61.0) == 0.25


def test_only_a_wait_that_nobody_stated_is_drawn_longer() -> None:
    states = CredentialStates()
    states.cool(1, ONE, 0.0, draw=0.5)
    states.cool(1, TWO, 0.0, 1000, draw=0.5)
    assert states.free_at(channel(ONE), 0.0) == 0.25 * (1 + 0.5 * troubles.JITTER)
    assert states.free_at(channel(TWO), 0.0) == 1.0


def test_when_a_channel_can_be_used() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    assert states.free_at(of, 10.0) == states.free_at(of, 10.0, tried={1}) == 10.0
    states.cool(1, ONE, 10.0, 2000)
    assert states.free_at(of, 10.0) == 10.0
    states.cool(1, TWO, 10.0, 1000)
    assert states.free_at(of, 10.5) == 11.0
    assert states.free_at(of, 10.5, tried={2}) == 12.0
    assert states.free_at(of, 10.5, tried={1, 2}) is None
    states.set_aside(1, TWO, "refused", 10.5)
    assert states.free_at(of, 10.5) == 12.0
    states.set_aside(1, ONE, "refused", 10.5)
    assert states.free_at(of, 10.5) is None
    assert states.free_at(of, 10.5 + troubles.ASIDE_S_MIN) == 10.5 + troubles.ASIDE_S_MIN


def test_a_credential_that_is_chosen_for_later_still_cools_for_others() -> None:
    states, of = CredentialStates(), channel(ONE)
    states.cool(1, ONE, 0.0, 1000)
    assert states.choose(of, (), 0.0, wait_s=0.9) is None
    assert states.choose(of, (), 0.0, wait_s=1.0) == Choice(ONE)
    assert states.choose(of, (), 0.0) is None


def test_a_refused_credential_is_tried_by_one_attempt_at_a_time() -> None:
    states, of = CredentialStates(), channel(ONE)
    states.set_aside(1, ONE, "refused", 0.0)
    assert states.choose(of, (), troubles.ASIDE_S_MIN - 0.01) is None
    now = troubles.ASIDE_S_MIN
    assert states.choose(of, (), now) == Choice(ONE)
    assert states.choose(of, (), now) is None
    assert states.choose(of, (), now + troubles.TRIAL_S) == Choice(ONE)
    states.confirm(1, ONE)
    assert used(states, of, now + troubles.TRIAL_S, 3) == [1, 1, 1]
    assert states.troubles(now) == []


def test_it_is_set_aside_for_longer_each_time_but_not_for_each_attempt_under_way() -> None:
    states, of = CredentialStates(), channel(ONE)
    now, wait_s = 0.0, troubles.ASIDE_S_MIN
    for _ in range(10):
        for _ in range(5):
            states.set_aside(1, ONE, "refused", now)
        assert states.choose(of, (), now + wait_s - 0.01) is None
        now += wait_s
        assert states.choose(of, (), now) == Choice(ONE)
        wait_s = min(wait_s * 2, troubles.ASIDE_S_MAX)
    assert wait_s == troubles.ASIDE_S_MAX


def test_a_replaced_secret_starts_afresh() -> None:
    states = CredentialStates()
    states.set_aside(1, ONE, "refused", 0.0)
    states.cool(1, TWO, 0.0, 60_000)
    renewed = channel(sealed(1, b"new"), sealed(2, b"new"))
    assert states.outlook(renewed, 0.0).usable
    assert used(states, renewed, 0.0, 2) == [1, 2]


def test_the_outlook_tells_cooling_from_set_aside() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    states.set_aside(1, ONE, "refused", 0.0)
    states.set_aside(1, TWO, "quota", 0.0)
    assert states.outlook(of, 1.0) == Outlook(usable=False, cooling_until=None)
    states.cool(1, TWO, 0.0, 120_000)
    assert states.outlook(of, 70.0) == Outlook(usable=True, cooling_until=None)
    assert states.choose(of, (), 70.0) == Choice(ONE)
    assert states.outlook(of, 71.0) == Outlook(usable=False, cooling_until=120.0)


def test_a_channel_without_credentials_can_cool_and_be_tried_once() -> None:
    states, of = CredentialStates(), channel()
    assert states.choose(of, (), 0.0) == Choice(None)
    assert states.choose(of, {module.NAMELESS}, 0.0) is None
    states.cool(1, None, 0.0, 1000)
    assert states.choose(of, (), 0.5) is None
    assert states.outlook(of, 0.5) == Outlook(usable=False, cooling_until=1.0)
    assert states.choose(of, (), 1.0) == Choice(None)


def test_troubles_are_listed_and_a_deleted_channel_is_forgotten() -> None:
    states = CredentialStates()
    states.set_aside(1, ONE, "refused", 0.0)
    states.cool(1, TWO, 0.0, 1000)
    states.cool(2, sealed(9), 0.0, 1000)
    listed = {(item.channel, item.credential, item.state, item.reason) for item in states.troubles(0.5)}
    assert listed == {
        (1, 1, CredentialState.SET_ASIDE, "refused"),
        (1, 2, CredentialState.COOLING, ""),
        (2, 9, CredentialState.COOLING, ""),
    }
    states.forget(1)
    assert [item.channel for item in states.troubles(0.5)] == [2]
    assert states.troubles(2.0) == []


def test_conversations_keep_their_credential_and_use_all_evenly() -> None:
    states, of = CredentialStates(), channel(ONE, TWO, THREE)

    def kept(conversation: int) -> Choice | None:
        choices = {states.choose(of, (), 0.0, mix64(conversation)) for _ in range(3)}
        assert len(choices) == 1
        return choices.pop()

    counts = Counter(kept(conversation) for conversation in range(1, 1501))
    assert set(counts) == {Choice(ONE), Choice(TWO), Choice(THREE)}
    assert all(430 < count < 570 for count in counts.values())


def test_a_conversation_goes_through_all_credentials_once_and_then_finds_none() -> None:
    states, of = CredentialStates(), channel(*(sealed(number) for number in range(1, 21)))
    for conversation in range(1, 30):
        tried: list[int] = []
        while (choice := states.choose(of, tried, 0.0, mix64(conversation))) is not None:
            assert choice.credential is not None
            tried.append(choice.credential.id)
        assert sorted(tried) == list(range(1, 21))


def test_a_credential_that_comes_or_goes_moves_no_other_conversation() -> None:
    states = CredentialStates()
    three, two = channel(ONE, TWO, THREE), channel(ONE, THREE)
    for conversation in range(1, 200):
        before = states.choose(three, (), 0.0, mix64(conversation))
        after = states.choose(two, (), 0.0, mix64(conversation))
        assert after == before or before == Choice(TWO)
        assert states.choose(three, (), 0.0, mix64(conversation)) == before


def test_after_its_time_aside_a_credential_is_tried_by_one_conversation_at_a_time() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    own = next(number for number in range(1, 99) if states.choose(of, (), 0.0, mix64(number)) == Choice(ONE))
    states.set_aside(1, ONE, "refused", 0.0)
    assert states.choose(of, (), 1.0, mix64(own)) == Choice(TWO)
    assert states.choose(of, (), troubles.ASIDE_S_MIN, mix64(own)) == Choice(ONE)
    assert states.choose(of, (), troubles.ASIDE_S_MIN, mix64(own)) == Choice(TWO)
