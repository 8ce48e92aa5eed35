"""Limits that are seen to come: by single readings, and in a simulation of providers that count."""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import pytest

from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential
from trunkline.policy import foreseen_limits as module
from trunkline.policy.credentials import Choice, CredentialStates, Outlook
from trunkline.policy.foreseen_limits import Meter
from trunkline.protocol.rate_limits import ProviderLimits

ONE, TWO = SealedCredential(1, 1, b"n", b"c"), SealedCredential(2, 1, b"n", b"c")


def channel(*credentials: SealedCredential) -> ChannelSnapshot:
    return ChannelSnapshot(
        id=1, name="one", dialect="openai", base_url="http://one", credentials=credentials, models={"m": "m"}
    )


def said(remaining: int, reset_s: float, limit: int = 100) -> ProviderLimits:
    return ProviderLimits(remaining_requests=remaining, limit_requests=limit, reset_requests_s=reset_s)


def test_a_speed_that_will_not_last_makes_a_credential_tight_until_the_rest_lasts() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    states.note_limits(of, ONE, said(90, 50.0), 10.0)
    assert {states.choose(of, (), 10.0) for _ in range(4)} == {Choice(ONE), Choice(TWO)}
    states.note_limits(of, ONE, said(75, 45.0), 15.0)  # 3 a second
    assert {states.choose(of, (), 15.0) for _ in range(4)} == {Choice(TWO)}
    assert states.choose(of, {2}, 15.0) == Choice(ONE, tight=True)
    # 75 are left, less 2 in reserve and 3 for the second in which others notice: they last for 23.3 seconds.
    assert {states.choose(of, (), 60.0 - 23.4) for _ in range(4)} == {Choice(TWO)}
    assert {states.choose(of, (), 60.0 - 23.3) for _ in range(4)} == {Choice(ONE), Choice(TWO)}


def test_a_speed_that_lasts_makes_nothing_tight() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    states.note_limits(of, ONE, said(90, 50.0), 10.0)
    states.note_limits(of, ONE, said(85, 45.0), 15.0)
    assert not states.only_tight(channel(ONE), 15.0)
    assert {states.choose(of, (), 15.0) for _ in range(4)} == {Choice(ONE), Choice(TWO)}


def test_conversations_leave_a_tight_credential_and_come_back() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    own = next(number for number in range(1, 99) if states.choose(of, (), 0.0, number) == Choice(ONE))
    states.note_limits(of, ONE, said(1, 50.0), 10.0)
    assert states.choose(of, (), 10.0, own) == Choice(TWO)
    assert states.choose(of, (), 60.0, own) == Choice(ONE)


def test_a_channel_with_tight_credentials_only_is_told_from_others() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    states.note_limits(of, ONE, said(1, 50.0), 10.0)
    assert not states.only_tight(of, 10.0)
    states.note_limits(of, TWO, said(2, 30.0), 10.0)
    assert states.only_tight(of, 10.0)
    assert {states.choose(of, (), 10.0) for _ in range(4)} == {Choice(ONE, tight=True), Choice(TWO, tight=True)}
    states.cool(1, ONE, 10.0, 5000)
    assert states.only_tight(of, 10.0)
    states.cool(1, TWO, 10.0, 5000)
    assert not states.only_tight(of, 10.0)  # it has none at all
    assert states.only_tight(of, 15.0)
    assert not states.only_tight(of, 40.0)


def test_where_nothing_is_left_a_credential_rests_until_the_reset() -> None:
    states, of = CredentialStates(), channel(ONE)
    states.note_limits(of, ONE, said(0, 20.0), 10.0)
    assert states.choose(of, (), 29.9) is None
    assert states.outlook(of, 12.0) == Outlook(usable=False, cooling_until=30.0)
    assert states.free_at(of, 12.0) == 30.0
    assert states.choose(of, (), 30.0) == Choice(ONE)
    states.note_limits(of, ONE, said(0, 7200.0), 40.0)
    assert states.free_at(of, 41.0) == 40.0 + module.REST_S_MAX


def test_a_later_answer_ends_it() -> None:
    states, of = CredentialStates(), channel(ONE)
    states.note_limits(of, ONE, said(0, 20.0), 10.0)
    states.note_limits(of, ONE, said(100, 60.0), 11.0)
    assert states.choose(of, (), 11.0) == Choice(ONE)


def test_after_a_rest_one_attempt_shows_whether_it_is_over() -> None:
    states, of = CredentialStates(), channel(ONE)
    states.note_limits(of, ONE, said(0, 7200.0), 0.0)
    assert states.choose(of, (), 60.0) == Choice(ONE, tight=True)
    states.begin(of, ONE, 60.0)
    assert states.choose(of, (), 60.1) is None
    states.note_limits(of, ONE, said(50, 7140.0), 61.0)
    assert states.choose(of, (), 61.0) == Choice(ONE)


def test_the_limit_of_one_model_holds_no_other_back() -> None:
    states, of = CredentialStates(), channel(ONE)
    states.note_limits(of, ONE, said(0, 20.0), 10.0, "large")
    assert states.choose(of, (), 10.0, model="large") is None
    assert states.choose(of, (), 10.0, model="small") == Choice(ONE)
    assert states.free_at(of, 10.0, "large") == 30.0
    assert states.free_at(of, 10.0, "small") == 10.0
    assert states.outlook(of, 10.0, "small").usable


def test_tokens_count_as_requests_do() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    for now, tokens in ((0.0, 90_000), (2.0, 70_000)):
        states.note_limits(of, ONE, ProviderLimits(999, tokens, 1000, 100_000, 60.0 - now, 60.0 - now), now)
    assert {states.choose(of, (), 2.0) for _ in range(4)} == {Choice(TWO)}


def test_many_attempts_before_an_answer_are_foreseen_for_all_dispatchers() -> None:
    states, of = CredentialStates(), channel(ONE, TWO)
    states.dispatchers = 4
    states.begin(of, ONE, 0.0)
    states.note_limits(of, ONE, said(30, 60.0), 0.0)
    for _ in range(6):
        states.begin(of, ONE, 0.1)
    assert {states.choose(of, (), 0.1) for _ in range(4)} == {Choice(ONE), Choice(TWO)}
    states.begin(of, ONE, 0.1)  # 7 here, so 28 in all, and 2 % are left alone
    assert {states.choose(of, (), 0.1) for _ in range(4)} == {Choice(TWO)}
    for _ in range(7):
        states.end(of, ONE, 0, 1.0)
    states.note_limits(of, ONE, said(30, 59.0), 1.0)  # it knows of all: none is under way any more
    assert states.choose(channel(ONE), (), 1.0) == Choice(ONE)


def test_a_limit_that_grows_all_the_time_is_known_by_its_reset() -> None:
    counts_anew, grows = Meter(), Meter()
    for now, remaining in ((0.0, 80), (5.0, 50), (10.0, 0)):
        counts_anew.read(remaining, 100, 60.0 - now + 0.9 * (remaining == 50), now, 0.0)
        grows.read(remaining, 100, (100 - remaining) * 0.6, now, 0.0)
    assert (counts_anew.refills, grows.refills) == (False, True)
    assert counts_anew.rest_until(10.0) == 60.0
    assert grows.rest_until(10.0) == pytest.approx(10.0 + 60.0 * module.REFILL)


def test_a_limit_without_a_size_is_as_large_as_it_ever_was() -> None:
    meter = Meter()
    meter.read(200, None, None, 0.0, 0.0)
    meter.read(100, None, None, 0.2, 0.0)
    assert (meter.limit, meter.reset_at, meter.speed) == (200, 60.2, 0.0)
    assert meter.room(0) == 96.0


class Provider(Protocol):
    """Counts an account's requests."""

    def take(self, now: float) -> ProviderLimits | None:
        """Return what is left after a request, None if it is refused."""
        ...


class CountsAnew:
    """Each minute of the clock takes so many."""

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit
        self._minute = -1

    def take(self, now: float) -> ProviderLimits | None:
        """See `Provider`."""
        if (minute := int(now // 60)) != self._minute:
            self._minute, self._left = minute, self._limit
        if not self._left:
            return None
        self._left -= 1
        return said(self._left, (minute + 1) * 60 - now, self._limit)


class Grows:
    """A bucket that is filled from empty in a minute."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = float(limit)
        self._at = 0.0

    def take(self, now: float) -> ProviderLimits | None:
        """See `Provider`."""
        self._left = min(self._limit, self._left + (now - self._at) * self._limit / 60)
        self._at = now
        if self._left < 1:
            return None
        self._left -= 1
        return said(int(self._left), (self._limit - self._left) * 60 / self._limit, self._limit)


def simulate(
    provider: Callable[[int], Provider], rate: float, answer_s: float, seed: int
) -> tuple[Counter[int], Counter[int]]:
    """Send jobs for six minutes through two dispatchers to two accounts, of which the first takes 100 a minute.

    Args:
        provider: how they count.
        rate: jobs in a second, in all.
        answer_s: mean time to the header of an answer.
        seed: of chance.

    Returns:
        What the first account took and what any refused, by minute.
    """
    chance, order = random.Random(seed), itertools.count()
    accounts = {1: provider(100), 2: provider(100_000)}
    fleet, of = [CredentialStates(), CredentialStates()], channel(ONE, TWO)
    for states in fleet:
        states.dispatchers = len(fleet)
    events: list[tuple[float, int, CredentialStates, SealedCredential, ProviderLimits]] = []
    took: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    now = 0.0
    while now < 360.0:
        while events and events[0][0] <= now:
            at, _, states, credential, limits = heapq.heappop(events)
            states.note_limits(of, credential, limits, at)
            states.end(of, credential, 100, at)
        states = chance.choice(fleet)
        choice = states.choose(of, (), now)
        assert choice is not None
        assert choice.credential is not None
        states.begin(of, choice.credential, now)
        limits_left = accounts[choice.credential.id].take(now)
        if limits_left is None:
            refused[int(now // 60)] += 1
            states.cool(1, choice.credential, now)
            states.end(of, choice.credential, 0, now)
        else:
            took[int(now // 60)] += choice.credential is ONE
            answered = now + answer_s * chance.uniform(0.5, 1.5)
            heapq.heappush(events, (answered, next(order), states, choice.credential, limits_left))
        now += chance.expovariate(rate)
    return took, refused


@pytest.mark.parametrize("provider", [CountsAnew, Grows])
@pytest.mark.parametrize(("rate", "answer_s", "used"), [(4.0, 0.5, 0.8), (30.0, 0.3, 0.7), (8.0, 3.0, 0.5)])
@pytest.mark.parametrize("seed", [1, 2])
def test_two_dispatchers_use_a_limit_that_they_share_and_never_hit_it(
    provider: Callable[[int], Provider], rate: float, answer_s: float, used: float, seed: int
) -> None:
    """The longer answers take, the more of the limit is kept for those that have not told what is left."""
    took, refused = simulate(provider, rate, answer_s, seed)
    assert [refused[minute] for minute in range(1, 6)] == [0, 0, 0, 0, 0]
    assert sum(took[minute] for minute in range(1, 6)) > used * 5 * 100


def test_the_simulation_hits_the_limit_where_nobody_foresees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CredentialStates, "note_limits", lambda *_: None)
    _, refused = simulate(CountsAnew, 8.0, 0.5, 1)
    assert all(refused[minute] > 10 for minute in range(1, 6))
