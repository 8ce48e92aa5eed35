"""The simulated providers of `bench.fleet`: how soon and how fast each answers, and what befalls it when.

A provider's answer is worked out when its request comes: nothing that happens later changes it, save that one whose
provider dies is cut.
"""

import math
import random
from typing import NamedTuple

from trunkline.bus.snapshots import ChannelSnapshot, CredentialLimits, SealedCredential
from trunkline.protocol.names import UPSTREAM_OPENAI

MODEL = "model"
WINDOW_S = 60.0
"""In which limits of requests are counted."""

REFUSAL_S = 0.05
"""From a request to an error, and to the news that nobody listens."""

SPREAD = 0.35
"""Standard deviation of the logarithm of first-token times: the slowest of a hundred takes 2.3 times the median."""

CACHED = 0.5
"""A first token comes in so much of the time where the account knows the conversation: half of it is reading."""

KNOWN_S = 300.0
"""So long without a request, and an account has forgotten a conversation: caches of prompts live five minutes."""

COOLING_S = 60.0
"""So long without a request, and a provider that warms up is cold again."""


class Trouble(NamedTuple):
    """What befalls a provider for a while.

    Attributes:
        begin_s, end_s: when.
        slower: its first tokens and its writing take so many times as long.
        errors: share of requests that it answers with a 500.
        dead: nobody listens, and what was under way is cut.
    """

    begin_s: float
    end_s: float
    slower: float = 1.0
    errors: float = 0.0
    dead: bool = False


class Provider(NamedTuple):
    """One channel and what is behind it.

    Attributes:
        name: of the channel.
        cost: what a million tokens cost, in dollars.
        first_token_s: median, at leisure.
        tokens_per_s: of one answer, at leisure.
        answers: that it makes at a time without being slowed by it.
        errors: share of requests that it answers with a 500 at all times.
        cold: its first tokens take so many times as long until `warm_after` requests have come.
        warm_after: see there.
        rpm: requests that it takes in a minute, of each credential; None for any number.
        tells: its answers say what is left of that.
        credentials: how many the channel has.
        jobs: limit of the configuration for each credential; None for none.
        priority, weight: of the channel.
        troubles: in turn.
    """

    name: str
    cost: float
    first_token_s: float
    tokens_per_s: float
    answers: int = 120
    errors: float = 0.0
    cold: float = 1.0
    warm_after: int = 0
    rpm: int | None = None
    tells: bool = True
    credentials: int = 1
    jobs: int | None = None
    priority: int = 0
    weight: int = 100
    troubles: tuple[Trouble, ...] = ()

    def channel(self, number: int) -> ChannelSnapshot:
        """Return the channel as it is configured."""
        limits = CredentialLimits(jobs=self.jobs)
        return ChannelSnapshot(
            id=number,
            name=self.name,
            dialect=UPSTREAM_OPENAI,
            base_url=f"http://{self.name}/v1",
            credentials=tuple(
                SealedCredential(100 * number + turn, 1, bytes([turn]), b"", limits=limits)
                for turn in range(self.credentials)
            ),
            models={MODEL: MODEL},
            priority=self.priority,
            weight=self.weight,
            costs={MODEL: round(self.cost * 1e9)},
        )


class Answer(NamedTuple):
    """What a provider makes of a request.

    Attributes:
        status: of HTTP; 0 if nobody listens.
        headers: names in lower case.
        first_s: from the request to the first token, or to all of an error.
        writing_s: from there to the end.
    """

    status: int
    headers: dict[str, str]
    first_s: float
    writing_s: float = 0.0


class Upstream:
    """A provider at work.

    Args:
        provider: what it is.
        seed: of its chances.

    Attributes:
        under_way: answers that it makes now.
    """

    def __init__(self, provider: Provider, seed: str) -> None:
        self.provider = provider
        self.under_way = 0
        self._random = random.Random(seed)
        self._seen = 0.0
        self._seen_at = -math.inf
        self._windows: dict[int, tuple[int, int]] = {}
        self._known: dict[tuple[int, int], float] = {}

    def trouble(self, now: float) -> Trouble:
        """Return what befalls it now; what is neither slow nor failing if nothing does."""
        for trouble in self.provider.troubles:
            if trouble.begin_s <= now < trouble.end_s:
                return trouble
        return Trouble(0.0, 0.0)

    def answer(self, credential: int, conversation: int, tokens: int, now: float) -> Answer:
        """Return what becomes of a request; count it as under way if that is an answer."""
        trouble = self.trouble(now)
        if trouble.dead:
            return Answer(0, {}, REFUSAL_S)
        headers, limited = self._count(credential, now)
        if limited:
            return Answer(429, headers, REFUSAL_S)
        if self._random.random() < max(self.provider.errors, trouble.errors):
            return Answer(500, headers, REFUSAL_S)
        self.under_way += 1
        crowd = max(1.0, self.under_way / self.provider.answers) * trouble.slower
        first_s = self.provider.first_token_s * crowd * self._warming(now) * math.exp(self._random.gauss(0.0, SPREAD))
        if now - self._known.get((conversation, credential), -math.inf) < KNOWN_S:
            first_s *= CACHED
        self._known[conversation, credential] = now
        return Answer(200, headers, first_s, tokens / self.provider.tokens_per_s * crowd)

    def _warming(self, now: float) -> float:
        provider = self.provider
        if not provider.warm_after:
            return 1.0
        idle_s = now - self._seen_at
        self._seen = min(self._seen * max(0.0, 1.0 - idle_s / COOLING_S) + 1.0, provider.warm_after)
        self._seen_at = now
        return 1.0 + (provider.cold - 1.0) * (1.0 - self._seen / provider.warm_after)

    def _count(self, credential: int, now: float) -> tuple[dict[str, str], bool]:
        """Count a request against its credential's limit; return what is said of it, and whether it is refused."""
        limit = self.provider.rpm
        if limit is None:
            return {}, False
        # Each account's minute begins when it likes.
        into_s = now + 7.0 * credential
        window, used = self._windows.get(credential, (0, 0))
        if int(into_s / WINDOW_S) != window:
            window, used = int(into_s / WINDOW_S), 0
        limited = used >= limit
        self._windows[credential] = window, used if limited else used + 1
        if not self.provider.tells:
            return {}, limited
        reset_s = WINDOW_S - into_s % WINDOW_S
        headers = {
            "x-ratelimit-limit-requests": str(limit),
            "x-ratelimit-remaining-requests": str(max(limit - used - 1, 0)),
            "x-ratelimit-reset-requests": f"{reset_s:.3f}s",
        }
        if limited:
            headers["retry-after"] = str(math.ceil(reset_s))
        return headers, limited
