"""What health says of channels, from the bucket ``weights``: models that providers refuse, and how fast others are."""

from collections.abc import Mapping

from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import ModelFigures
from trunkline.core.clock import Clock
from trunkline.runtime.kv_view import KVView
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

FIGURES_KEPT_S = 86_400.0
"""Figures are told only of models that were used a minute ago. To people a day-old one says more than none."""


class ChannelNews:
    """Remembers the last news of each channel.

    Args:
        bus, clock, tasks: of the process.

    Attributes:
        refused: by channel, the models that its provider does not let the gateway use.
    """

    def __init__(self, bus: NATSBus, *, clock: Clock, tasks: TaskSet) -> None:
        self._clock = clock
        self._view = KVView(bus, subjects.KV_WEIGHTS, self._changed, clock=clock, tasks=tasks)
        self._figures: dict[int, dict[str, tuple[float, ModelFigures]]] = {}
        self.refused: dict[int, tuple[str, ...]] = {}

    async def start(self) -> None:
        """Return once the bucket has been read. Waits for NATS if it must."""
        await self._view.start()

    def _changed(self, token: str, value: bytes | None) -> None:
        channel = int(token)
        if value is None:
            self.refused.pop(channel, None)
            self._figures.pop(channel, None)
            return
        weight = snapshots.decode_weight(value)
        self.refused[channel] = weight.refused
        now = self._clock.now()
        kept = self._figures.setdefault(channel, {})
        kept.update((model, (now, figures)) for model, figures in weight.figures.items())
        for model in [model for model, (heard, _) in kept.items() if now - heard > FIGURES_KEPT_S]:
            del kept[model]

    def figures(self) -> Mapping[tuple[int, str], ModelFigures]:
        """Return the last figures of each channel and model."""
        return {
            (channel, model): figures for channel, kept in self._figures.items() for model, (_, figures) in kept.items()
        }
