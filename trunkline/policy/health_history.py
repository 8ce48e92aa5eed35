"""What is remembered of samples of health: sums by minute, hour and day, and which samples can be believed. Pure."""

import datetime as dt
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from trunkline.bus.messages import CredentialEvent, HealthSample
from trunkline.bus.snapshots import ChannelState
from trunkline.core.limits import MODEL_NAME_CHARS_MAX

SAMPLE_S: Final = 10
"""What one sample covers: health takes one this often (`services.health.history.HISTORY_INTERVAL_S`)."""

FUTURE_MS_MAX: Final = 5 * 60_000
"""How far health's clock may be ahead of ours. A sample of a later time would hold back all that come after it."""

COUNT_MAX: Final = 10_000_000
"""Of attempts, or of milliseconds, in one sample. What a day's samples add up to fits a bigint."""

_ID_MAX: Final = 2**63 - 1
_STATES: Final = frozenset(ChannelState)


class Span(NamedTuple):
    """A resolution.

    Attributes:
        name: as people ask for it.
        length_s: what one row covers.
        kept: how long rows are kept.
    """

    name: str
    length_s: int
    kept: dt.timedelta


SPANS: Final = (
    Span("minute", 60, dt.timedelta(hours=48)),  # what happened last night: 2,880 rows of each channel
    Span("hour", 3600, dt.timedelta(days=14)),  # this week and the one before, to compare
    Span("day", 86_400, dt.timedelta(days=90)),  # as long as usage is kept by default, and what the status page shows
)

KEPT_MS: Final = round(max(span.kept for span in SPANS).total_seconds()) * 1000


class RowKey(NamedTuple):
    """Which row: the channel, the model (empty for all), and what time it covers from when on (Unix seconds)."""

    channel: int
    model: str
    span_s: int
    begin_s: int


class Counts(msgspec.Struct):
    """What samples add up to.

    Attributes:
        successes, failures: attempts and probes.
        first_tokens: streams of which the time to the first token is known.
        first_token_ms: sum of those times.
        serving_s, ejected_s, probing_s: how long the channel was in each state.
    """

    successes: int = 0
    failures: int = 0
    first_tokens: int = 0
    first_token_ms: int = 0
    serving_s: int = 0
    ejected_s: int = 0
    probing_s: int = 0

    def add(self, sample: HealthSample) -> None:
        """Count one more sample."""
        self.successes += sample.successes
        self.failures += sample.failures
        self.first_tokens += sample.first_tokens
        self.first_token_ms += sample.first_token_ms * sample.first_tokens
        match sample.state:
            case ChannelState.SERVING:
                self.serving_s += SAMPLE_S
            case ChannelState.EJECTED:
                self.ejected_s += SAMPLE_S
            case _:
                self.probing_s += SAMPLE_S


def believable(sample: HealthSample, now_ms: int) -> bool:
    """Return whether a sample can be stored: what cannot would keep all behind it from being stored, too.

    Args:
        sample: as it came.
        now_ms: Unix milliseconds.
    """
    counts = (sample.successes, sample.failures, sample.first_token_ms, sample.first_tokens)
    return (
        now_ms - KEPT_MS <= sample.at_ms <= now_ms + FUTURE_MS_MAX
        and 0 < sample.channel <= _ID_MAX
        and len(sample.model) <= MODEL_NAME_CHARS_MAX
        and "\0" not in sample.model
        and sample.state in _STATES
        and all(0 <= count <= COUNT_MAX for count in counts)
    )


def believable_event(event: CredentialEvent, now_ms: int) -> bool:
    """Return whether an event can be stored; see `believable`."""
    return (
        now_ms - KEPT_MS <= event.at_ms <= now_ms + FUTURE_MS_MAX
        and 0 < event.credential <= _ID_MAX
        and 0 <= event.status < 1000
    )


def tally(samples: Iterable[HealthSample], now_ms: int) -> dict[RowKey, Counts]:
    """Return what samples add to which rows. Rows that are past their time are left out.

    Args:
        samples: believable ones, each once.
        now_ms: Unix milliseconds.
    """
    spans = [(span.length_s, now_ms // 1000 - round(span.kept.total_seconds())) for span in SPANS]
    rows: dict[RowKey, Counts] = {}
    for sample in samples:
        begin_s = sample.at_ms // 1000 - SAMPLE_S
        for length_s, kept_from_s in spans:
            if begin_s < kept_from_s:
                continue
            key = RowKey(sample.channel, sample.model, length_s, begin_s - begin_s % length_s)
            counts = rows.get(key)
            if counts is None:
                counts = rows[key] = Counts()
            counts.add(sample)
    return rows
