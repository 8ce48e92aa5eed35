"""What the simulated bus does to messages: latency always, and whatever else a scenario's weather brings."""

import asyncio
import dataclasses
import random
from collections.abc import Sequence

from trunkline.runtime.memory_bus import Delivery

LATENCY_S = (0.0002, 0.002)
DELAY_S_MAX = 3.0


@dataclasses.dataclass(frozen=True)
class Weather:
    """Probabilities per message.

    Attributes:
        drop, repeat: what they say; a copy comes later.
        delay: it takes up to `DELAY_S_MAX`, and others overtake it.
    """

    drop: float = 0.0
    repeat: float = 0.0
    delay: float = 0.0


@dataclasses.dataclass(frozen=True)
class Partition:
    """From ``begin_s`` to ``end_s`` these processes hear nobody else and are not heard."""

    processes: frozenset[str]
    begin_s: float
    end_s: float

    def cuts(self, delivery: Delivery, now: float) -> bool:
        apart = (delivery.sender in self.processes) != (delivery.receiver in self.processes)
        return apart and self.begin_s <= now < self.end_s


class Network:
    """The hook `MemoryBroker.faults`.

    Attributes:
        weather: may be changed while it runs.
        lost: messages that did not arrive.
    """

    def __init__(self, seed: int, weather: Weather, partitions: Sequence[Partition]) -> None:
        self._random = random.Random(seed)
        self._partitions = partitions
        self._last_at: dict[tuple[str, str], float] = {}
        self.weather = weather
        self.lost = 0

    def __call__(self, delivery: Delivery) -> Sequence[float]:
        now = asyncio.get_running_loop().time()
        draw = self._random.random
        if any(partition.cuts(delivery, now) for partition in self._partitions) or draw() < self.weather.drop:
            self.lost += 1
            return ()
        in_order = self._in_order(delivery, now)
        if draw() < self.weather.delay:
            return (in_order + draw() * DELAY_S_MAX,)
        if draw() < self.weather.repeat:
            return (in_order, in_order + draw() * DELAY_S_MAX)
        return (in_order,)

    def _in_order(self, delivery: Delivery, now: float) -> float:
        """Return the delay after which a message arrives behind all that were sent before on the same way."""
        way = (delivery.sender, delivery.receiver)
        arrives = max(now + self._random.uniform(*LATENCY_S), self._last_at.get(way, 0.0) + 1e-6)
        self._last_at[way] = arrives
        return arrives - now
