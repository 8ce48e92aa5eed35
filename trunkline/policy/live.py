"""The operator's live picture: the site second by second, its channels and its processes. Kept by the console.

Made of what processes say anyway (docs/adr/0013-console.md): beats, and the outcomes that dispatchers tell health.
Pure: `now` is monotonic seconds, ``at_ms`` Unix time in milliseconds.
"""

from collections import deque
from collections.abc import Mapping

from trunkline.bus.messages import Beat, OutcomeBatch
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight
from trunkline.policy.admin_live import LiveChannel, LiveHistory, LiveNow, LivePoint, LiveTraffic
from trunkline.policy.live_processes import Processes
from trunkline.policy.live_window import Window

SITE_S = 10
"""Seconds that the site's times to the first token and tokens a second are of: enough calls for a 95th percentile where
there is traffic, and a change is seen at once."""

CHANNEL_S = 60
"""The same of a channel, which has a part of the calls."""

HISTORY_POINTS = 120
"""Seconds kept, so that a chart is not empty when somebody comes: two minutes."""

CHANNELS_MAX = 100
"""Channels that are told of each second, at 400 bytes each: those that want a look."""


class LiveBoard:
    """The picture.

    Args:
        now: monotonic seconds: nothing was heard before.
    """

    def __init__(self, now: float) -> None:
        self._site = Window(SITE_S, now)
        self._began = now
        self._windows: dict[int, Window] = {}
        self._processes = Processes()
        self._points: deque[LivePoint] = deque(maxlen=HISTORY_POINTS)

    def receive_beat(self, beat: Beat, now: float, wall_ms: int) -> None:
        """Take any process's beat."""
        self._processes.receive(beat, now, wall_ms)

    def receive_outcomes(self, batch: OutcomeBatch, now: float) -> None:
        """Take what a dispatcher tells of its upstream calls."""
        for outcome in batch.outcomes:
            self._site.receive(outcome, now)
            window = self._windows.get(outcome.channel)
            if window is None:
                # As long as the board itself: a channel that was silent had no calls, and that counts.
                window = self._windows[outcome.channel] = Window(CHANNEL_S, max(self._began, now - CHANNEL_S))
            window.receive(outcome, now)

    def forgive(self, now: float) -> None:
        """Our own connection was away; see `Processes.forgive`."""
        self._processes.forgive(now)

    def tick(self, now: float, at_ms: int, queued: int | None) -> None:
        """End a second. Called once in each.

        Args:
            now: monotonic seconds.
            at_ms: Unix time in milliseconds.
            queued: as in `LivePoint`.
        """
        self._processes.tick(now)
        for window in self._windows.values():
            window.turn(now)
        self._windows = {channel: window for channel, window in self._windows.items() if not window.empty}
        totals, traffic = self._processes.totals(now), self._site.traffic(now)
        self._points.append(
            LivePoint(
                at_ms=at_ms,
                requests_per_s=totals.requests_per_s,
                errors_per_s=totals.errors_per_s,
                in_flight=totals.in_flight,
                streams=totals.streams,
                waiting=totals.waiting,
                attempts_per_s=totals.attempts_per_s,
                tokens_per_s=traffic.tokens_per_s,
                first_token_p50_ms=traffic.first_token_p50_ms,
                first_token_p95_ms=traffic.first_token_p95_ms,
                unstored=totals.unstored,
                queued=queued,
            )
        )

    def history(self) -> LiveHistory:
        """Return the last seconds."""
        return LiveHistory(tuple(self._points))

    def picture(
        self,
        now: float,
        channels: Mapping[int, ChannelSnapshot],
        weights: Mapping[int, ChannelWeight],
        refused: Mapping[int, int] | None,
    ) -> LiveNow | None:
        """Return the picture as of the last tick; None before the first.

        Args:
            now: monotonic seconds.
            channels: all of them, by id.
            weights: what health has published, by channel.
            refused: how many credentials are refused, by channel; None if that is not known.
        """
        if not self._points:
            return None
        shown = [self._channel(channel, weights.get(channel.id), refused, now) for channel in channels.values()]
        shown.sort(key=_urgency)
        return LiveNow(
            point=self._points[-1],
            channels=tuple(shown[:CHANNELS_MAX]),
            channels_more=max(len(shown) - CHANNELS_MAX, 0),
            processes=self._processes.list(now),
        )

    def _channel(
        self, channel: ChannelSnapshot, weight: ChannelWeight | None, refused: Mapping[int, int] | None, now: float
    ) -> LiveChannel:
        window = self._windows.get(channel.id)
        return LiveChannel(
            id=channel.id,
            name=channel.name,
            dialect=channel.dialect,
            enabled=channel.enabled,
            drained=channel.drained,
            state=ChannelState.SERVING if weight is None else weight.state,
            weight=1.0 if weight is None else round(weight.weight, 3),
            reason="" if weight is None else weight.reason,
            refused_models=0 if weight is None else len(weight.refused),
            traffic=LiveTraffic() if window is None else window.traffic(now),
            credentials=len(channel.credentials),
            credentials_refused=None if refused is None else refused.get(channel.id, 0),
        )


def _urgency(channel: LiveChannel) -> tuple[bool, bool, float, str]:
    """Order: what is on and does not simply serve, then by calls; what is off comes last."""
    calm = channel.state is ChannelState.SERVING and not (channel.refused_models or channel.credentials_refused)
    return not channel.enabled, calm, -channel.traffic.attempts_per_s, channel.name
