"""What is compared by `bench.strategies`: providers, what befalls them, and who asks for what. All of it by a seed.

In each scenario the same requests come for every strategy. Each belongs to a conversation, whether the fleet is told so
or not.
"""

import math
import random
from collections.abc import Callable
from typing import NamedTuple

from bench.fleet import Request
from bench.fleet_providers import Provider, Trouble

TOKENS_MEDIAN = 150
TOKENS_SPREAD = 0.8
"""Standard deviation of the logarithm: the mean is 207 tokens, and one answer in a hundred has ten times as many."""

TOKENS_MAX = 2000

CONVERSATIONS_OPEN = 300
"""Conversations that go on at a time; each request is the next of one of them, drawn by chance."""

NEW_SHARE = 1 / 8
"""Share of requests that begin a conversation in place of one that has ended: it has eight requests on average."""


class Scenario(NamedTuple):
    """One course of events.

    Attributes:
        name: of one or a few words.
        what: in a sentence.
        providers: see there.
        per_s: requests a second, on average.
        seconds: for which they come.
        watched: from when to when the figures of `bench.strategies` count besides the whole; the trouble.
        swing: part of the rate by which it rises and falls, once.
    """

    name: str
    what: str
    providers: tuple[Provider, ...]
    per_s: float
    seconds: float
    watched: tuple[float, float]
    swing: float = 0.0


MAIN = Provider("main", cost=2.0, first_token_s=0.6, tokens_per_s=80.0, answers=300)
FAST = Provider("fast", cost=3.0, first_token_s=0.35, tokens_per_s=130.0, answers=100)
CHEAP = Provider("cheap", cost=1.0, first_token_s=0.9, tokens_per_s=55.0, answers=300)
TROUBLE_S = (60.0, 120.0)
SECONDS = 180.0
PER_S = 50.0


def calm(seed: int) -> Scenario:
    """Return the scenario in which nothing happens."""
    return Scenario("calm", "Three providers that work.", (MAIN, FAST, CHEAP), PER_S, SECONDS, TROUBLE_S)


def outage(seed: int) -> Scenario:
    """Return the scenario in which one of three dies."""
    dead = MAIN._replace(troubles=(Trouble(*TROUBLE_S, dead=True),))
    what = "One of three refuses connections for a minute, and what it was answering is cut."
    return Scenario("one dies", what, (dead, FAST, CHEAP), PER_S, SECONDS, TROUBLE_S)


def brown_out(seed: int) -> Scenario:
    """Return the scenario in which one of three is slow and fails."""
    slow = FAST._replace(answers=300, troubles=(Trouble(*TROUBLE_S, slower=5.0, errors=0.2),))
    what = "The fastest of three is five times slower for a minute, and a fifth of its answers are errors."
    return Scenario("brown-out", what, (MAIN, slow, CHEAP), PER_S, SECONDS, TROUBLE_S)


def limit_storm(seed: int, *, tells: bool) -> Scenario:
    """Return the scenario in which three of four take fewer requests than come."""
    limited = [provider._replace(credentials=2, rpm=300, tells=tells, answers=300) for provider in (MAIN, FAST, CHEAP)]
    last = Provider("unlimited", cost=4.0, first_token_s=1.2, tokens_per_s=50.0, answers=300)
    said = "and say so in each answer" if tells else "and say nothing before they refuse"
    what = f"3,000 requests a minute; three of four take 600 each, by two credentials, {said}; the slowest takes all."
    name = "limits told" if tells else "limits untold"
    return Scenario(name, what, (*limited, last), PER_S, SECONDS, (60.0, SECONDS))


def slow_starts(seed: int) -> Scenario:
    """Return the scenario in which the best ones are cold until they are used."""
    own = Provider("own-1", cost=0.5, first_token_s=0.25, tokens_per_s=90.0, answers=150, cold=12.0, warm_after=40)
    what = "Two of four are cold at first: their first tokens take 3 s, and 0.25 s once 40 requests have come."
    return Scenario(
        "slow starts", what, (MAIN, CHEAP, own, own._replace(name="own-2")), PER_S, SECONDS, (60.0, SECONDS)
    )


def mixed_day(seed: int) -> Scenario:
    """Return the scenario with 50 channels of all kinds, half of which have some trouble."""
    draw = random.Random(f"{seed} mixed day")
    providers = []
    for number in range(50):
        quality = draw.random()
        slots = 3 * draw.randrange(4, 14)
        providers.append(
            Provider(
                f"channel-{number + 1}",
                cost=round(0.5 + 3.5 * (quality + draw.random()) / 2, 2),
                first_token_s=1.6 - 1.2 * quality + 0.3 * draw.random(),
                tokens_per_s=40.0 + 60.0 * quality + 20.0 * draw.random(),
                answers=slots,
                jobs=slots,
                weight=slots,
                errors=0.04 * draw.random() ** 2,
                priority=20 if number < 10 else 10 if number < 30 else 0,
                troubles=_any_trouble(draw),
            )
        )
    what = (
        "50 channels of different price, speed and reliability, three priorities, each bearing 12 to 39 answers at a "
    )
    what += "time, by its limit of jobs; half of them die, fail or slow down for a while; requests rise and fall."
    return Scenario("mixed day", what, tuple(providers), PER_S, 240.0, (60.0, 180.0), swing=0.6)


def _any_trouble(draw: random.Random) -> tuple[Trouble, ...]:
    begin_s = draw.uniform(10.0, 180.0)
    end_s = begin_s + draw.uniform(15.0, 60.0)
    troubles = (
        Trouble(begin_s, end_s, dead=True),
        Trouble(begin_s, end_s, errors=draw.uniform(0.3, 1.0)),
        Trouble(begin_s, end_s, slower=draw.uniform(2.0, 6.0)),
    )
    return (draw.choice(troubles),) if draw.random() < 0.5 else ()


def all_fail(seed: int) -> Scenario:
    """Return the scenario in which nobody answers."""
    failing = (Trouble(*TROUBLE_S, errors=1.0),)
    what = "All three answer every request with an error for a minute, while their lists of models still come."
    providers = tuple(provider._replace(troubles=failing) for provider in (MAIN, FAST, CHEAP))
    return Scenario("all fail", what, providers, PER_S, SECONDS, TROUBLE_S)


SCENARIOS: tuple[Callable[[int], Scenario], ...] = (
    calm,
    outage,
    brown_out,
    lambda seed: limit_storm(seed, tells=True),
    lambda seed: limit_storm(seed, tells=False),
    slow_starts,
    mixed_day,
    all_fail,
)


def requests(scenario: Scenario, seed: int) -> list[Request]:
    """Return a scenario's requests, in the order of their times."""
    draw = random.Random(f"{seed} {scenario.name}")
    open_ones = [draw.getrandbits(63) + 1 for _ in range(CONVERSATIONS_OPEN)]
    found: list[Request] = []
    now = 0.0
    while (now := now + draw.expovariate(scenario.per_s * _tide(scenario, now))) < scenario.seconds:
        place = draw.randrange(CONVERSATIONS_OPEN)
        if draw.random() < NEW_SHARE:
            open_ones[place] = draw.getrandbits(63) + 1
        tokens = min(round(TOKENS_MEDIAN * math.exp(draw.gauss(0.0, TOKENS_SPREAD))) + 1, TOKENS_MAX)
        found.append(Request(now, tokens, open_ones[place]))
    return found


def _tide(scenario: Scenario, now: float) -> float:
    return 1.0 - scenario.swing * math.cos(2 * math.pi * now / scenario.seconds)
