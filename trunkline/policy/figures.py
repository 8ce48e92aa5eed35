"""Live figures of channels and models: how soon they begin to answer, how fast they write, how often they fail.

Each dispatcher keeps its own, of the attempts that it makes; health makes the same of all dispatchers' outcomes and
publishes them, which counts where a dispatcher has seen too little of late. Pure: `now` is monotonic seconds.

Every mean forgets: what is older than its half-life counts half, and where many observations come only the last ones
count. When the newest is too old, the mean is unknown: so a channel which nobody asks is asked again.
"""

import math
from collections import deque
from collections.abc import Mapping

from trunkline.bus.snapshots import ModelFigures

HALF_LIFE_S = 15.0
"""Providers' load moves in minutes; and a channel that was slow for a moment is tried again soon."""

EVIDENCE_MIN = 0.25
"""What is left of the newest observation, below which a mean says nothing: it is two half-lives old then, however many
there were before. A channel that was left because it was slow is tried again after that."""

OBSERVATIONS_MAX = 16.0
"""Observations that a mean counts at the most: under load a channel that slows down is left after so many and not after
half-lives; and the mean of so many is out by an eighth, if first tokens vary by half."""

_LIVES = -math.log2(EVIDENCE_MIN)

FAILURES_MAX = 0.9
"""Most that failures can make an answer's expected time longer: tenfold."""

TIMES_KEPT = 128
"""Last times of a channel and model, to first tokens and of whole answers, whose 95th percentile hedging goes by."""

TIMES_MIN = 20
"""Below so many a 95th percentile is the slowest one, and no reason for a second attempt."""


class Ewma:
    """A mean in which observations lose half their weight in a half-life.

    Args:
        half_life_s: in seconds.
    """

    __slots__ = ("_at", "_half_life_s", "_sum", "_weight")

    def __init__(self, half_life_s: float = HALF_LIFE_S) -> None:
        self._half_life_s = half_life_s
        self._sum = self._weight = 0.0
        self._at = 0.0

    def add(self, value: float, now: float) -> None:
        """Take an observation."""
        kept = self._kept(now)
        if self._weight * kept > OBSERVATIONS_MAX - 1.0:
            kept = (OBSERVATIONS_MAX - 1.0) / self._weight
        self._sum = self._sum * kept + value
        self._weight = self._weight * kept + 1.0
        self._at = max(self._at, now)

    def mean(self, now: float) -> float | None:
        """Return the mean; None where too little is remembered."""
        if not self._weight or now - self._at > self._half_life_s * _LIVES:
            return None
        return self._sum / self._weight

    def _kept(self, now: float) -> float:
        # A clock that steps back forgets nothing.
        return math.exp2(min(self._at - now, 0.0) / self._half_life_s)


class ModelRecord:
    """What is known of a model on a channel.

    Attributes:
        first_token_s: to the first output of streams.
        whole_s: to the end of whole answers.
        tokens_per_s: of streams, after the first output.
        failures: share of attempts that failed by the channel's fault.
        first_tokens, wholes: the last first-token times, and times of whole answers.
        published: what health says of it.
    """

    __slots__ = ("failures", "first_token_s", "first_tokens", "published", "tokens_per_s", "whole_s", "wholes")

    def __init__(self) -> None:
        self.first_token_s = Ewma()
        self.whole_s = Ewma()
        self.tokens_per_s = Ewma()
        self.failures = Ewma()
        self.first_tokens: deque[float] = deque(maxlen=TIMES_KEPT)
        self.wholes: deque[float] = deque(maxlen=TIMES_KEPT)
        self.published = ModelFigures()

    def expected_s(self, now: float, *, stream: bool) -> float | None:
        """Return the seconds until an answer is there, failed attempts included; None if nothing is known.

        Args:
            now: monotonic seconds.
            stream: whether its first output is meant, or else its end.
        """
        mean = (self.first_token_s if stream else self.whole_s).mean(now)
        if mean is None:
            mean = self.published.first_token_ms / 1000 if stream else 0.0
            if not mean:
                return None
        failing = self.failures.mean(now)
        return mean if failing is None else mean / (1.0 - min(failing, FAILURES_MAX))

    def speed(self, now: float) -> float | None:
        """Return output tokens per second; None if nothing is known."""
        mean = self.tokens_per_s.mean(now)
        return (self.published.tokens_per_s or None) if mean is None else mean


class Underway:
    """One attempt that is being made. From `LiveFigures.begin`; `end` it in every case."""

    __slots__ = ("_channel", "_record", "_waiting")

    def __init__(self, channel: "ChannelRecord", record: ModelRecord) -> None:
        self._channel = channel
        self._record = record
        self._waiting = True
        channel.in_flight += 1
        channel.waiting += 1

    def first_output(self, after_s: float, now: float) -> None:
        """Its stream has begun."""
        self._begun()
        self._record.first_token_s.add(after_s, now)
        self._record.first_tokens.append(after_s)

    def outrun(self, after_s: float, now: float, *, stream: bool) -> None:
        """It was given up for another one before its stream began, or was whole: it takes that long at the least.

        So only what is longer than what is known says anything. Else one that is asked as the second would look quick
        for having been given up soon.
        """
        record = self._record
        times, mean = (record.first_tokens, record.first_token_s) if stream else (record.wholes, record.whole_s)
        known = mean.mean(now)
        if known is None and times:
            known = times[-1]
        if known is not None and after_s > known:
            mean.add(after_s, now)

    def end(self) -> None:
        """It is over."""
        self._begun()
        self._channel.in_flight -= 1

    def judged(self, *, failed: bool, now: float) -> None:
        """It was fruitless (`retry.FRUITLESS`), or not."""
        self._record.failures.add(1.0 if failed else 0.0, now)

    def answered(self, took_s: float, now: float) -> None:
        """A whole answer came."""
        self._record.whole_s.add(took_s, now)
        self._record.wholes.append(took_s)

    def streamed(self, tokens: int, took_s: float, now: float) -> None:
        """A stream came to its end; ``took_s`` is from its first output on."""
        if tokens > 1 and took_s > 0:
            self._record.tokens_per_s.add(tokens / took_s, now)

    def _begun(self) -> None:
        if self._waiting:
            self._waiting = False
            self._channel.waiting -= 1


class ChannelRecord:
    """What is under way on a channel.

    Attributes:
        in_flight: attempts.
        waiting: those of them that have no output yet.
        models: what is known of each model, by public name.
    """

    __slots__ = ("in_flight", "models", "waiting")

    def __init__(self) -> None:
        self.in_flight = 0
        self.waiting = 0
        self.models: dict[str, ModelRecord] = {}


class LiveFigures:
    """The figures of one dispatcher. Bounded by what is configured: nothing is kept of models without a channel."""

    __slots__ = ("_channels",)

    def __init__(self) -> None:
        self._channels: dict[int, ChannelRecord] = {}

    def begin(self, channel: int, model: str) -> Underway:
        """An attempt begins."""
        record = self._channel(channel)
        return Underway(record, self._model(record, model))

    def channel(self, channel: int) -> ChannelRecord | None:
        """Return what is known of a channel."""
        return self._channels.get(channel)

    def record(self, channel: int, model: str) -> ModelRecord | None:
        """Return what is known of a model on a channel."""
        known = self._channels.get(channel)
        return None if known is None else known.models.get(model)

    def late_after_s(self, channel: int, model: str, *, stream: bool) -> float | None:
        """Return after how long an attempt is late: the 95th percentile of the last ones; None if there are too few.

        Args:
            channel: whose.
            model: of it.
            stream: whether its first output is meant, or else its end.
        """
        record = self.record(channel, model)
        if record is None:
            return None
        times = sorted(record.first_tokens if stream else record.wholes)
        return times[len(times) * 95 // 100] if len(times) >= TIMES_MIN else None

    def publish(self, channel: int, figures: Mapping[str, ModelFigures]) -> None:
        """Take what health says of a channel."""
        known = self._channel(channel)
        for model, record in known.models.items():
            if model not in figures:
                record.published = ModelFigures()
        for model, said in figures.items():
            self._model(known, model).published = said

    def forget(self, channel: int) -> None:
        """Drop a channel that is gone; attempts that are under way end all the same."""
        self._channels.pop(channel, None)

    def _channel(self, channel: int) -> ChannelRecord:
        record = self._channels.get(channel)
        if record is None:
            record = self._channels[channel] = ChannelRecord()
        return record

    @staticmethod
    def _model(channel: ChannelRecord, model: str) -> ModelRecord:
        record = channel.models.get(model)
        if record is None:
            record = channel.models[model] = ModelRecord()
        return record
