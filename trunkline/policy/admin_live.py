"""What the admin API says of the moment: rates, failures, how soon answers begin, channels and processes."""

import msgspec

from trunkline.bus.snapshots import ChannelState


class LivePoint(msgspec.Struct, frozen=True):
    """The site as it was at the end of one second.

    Attributes:
        at_ms: Unix time in milliseconds.
        requests_per_s: requests that came to an end, over all edges.
        errors_per_s: those of them that failed, by error type; what did not happen is left out.
        in_flight: requests that have no whole answer yet.
        streams: those of them whose answer is being streamed.
        waiting: those of them that wait for room at a dispatcher.
        attempts_per_s: upstream calls that ended, over all dispatchers.
        tokens_per_s: output tokens of the calls that ended: a long answer counts at its end.
        first_token_p50_ms, first_token_p95_ms: from a call to the first output of its stream; null if there was none.
        unstored: usage events that dispatchers hold because they are not in JetStream yet.
        queued: messages of usage in JetStream that are not settled yet; null if JetStream does not say.
    """

    at_ms: int
    requests_per_s: float
    errors_per_s: dict[str, float]
    in_flight: int
    streams: int
    waiting: int
    attempts_per_s: float
    tokens_per_s: float
    first_token_p50_ms: int | None
    first_token_p95_ms: int | None
    unstored: int
    queued: int | None


class LiveTraffic(msgspec.Struct, frozen=True):
    """What came of the upstream calls of the last minute, of one channel.

    Attributes:
        attempts_per_s, tokens_per_s, first_token_p50_ms, first_token_p95_ms: as in `LivePoint`.
        error_share: part of the calls that failed, 0 to 1; null if there were none.
        errors: how many, by error type.
    """

    attempts_per_s: float = 0.0
    tokens_per_s: float = 0.0
    first_token_p50_ms: int | None = None
    first_token_p95_ms: int | None = None
    error_share: float | None = None
    errors: dict[str, int] = {}


class LiveChannel(msgspec.Struct, frozen=True):
    """A channel.

    Attributes:
        id, name, dialect, enabled, drained: as configured.
        state: what health makes of it.
        weight: 0 to 1, what health multiplies into the channel's own weight.
        reason: why, in health's words; empty if there is nothing to say.
        refused_models: models that its provider does not let the gateway use.
        traffic: see there.
        credentials: how many it has.
        credentials_refused: how many of them its provider refuses; null while Postgres does not say.
    """

    id: int
    name: str
    dialect: str
    enabled: bool
    drained: bool
    state: ChannelState
    weight: float
    reason: str
    refused_models: int
    traffic: LiveTraffic
    credentials: int
    credentials_refused: int | None


class LiveProcess(msgspec.Struct, frozen=True):
    """A process, by its beats.

    Attributes:
        role, process: who it is.
        age_ms: since its last beat was heard.
        lost: its beats stopped, and it had not said that it would end. It is shown for a minute.
        draining, in_flight, room, streams, waiting, unstored: as in `bus.messages.Beat`.
        per_s: requests of an edge, or upstream calls of a dispatcher, that came to an end each second.
        skew_ms: how far its clock is before ours, or behind it if that is negative; the message's way is in it.
    """

    role: str
    process: str
    age_ms: int
    lost: bool
    draining: bool
    in_flight: int
    room: int
    streams: int
    waiting: int
    unstored: int
    per_s: float
    skew_ms: int


class LiveNow(msgspec.Struct, frozen=True):
    """All of it.

    Attributes:
        point: the last second.
        channels: those in trouble first, then those with the most calls.
        channels_more: how many others there are.
        processes: by role.
    """

    point: LivePoint
    channels: tuple[LiveChannel, ...]
    channels_more: int
    processes: tuple[LiveProcess, ...]


class LiveHistory(msgspec.Struct, frozen=True):
    """The seconds before, oldest first."""

    points: tuple[LivePoint, ...]
