"""Which messages of health are stored together, and that none is missed on the way."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.console.health_stream import Entry, HealthStream
from services.console.historian import complete
from tests.support.health_world import sample
from trunkline.bus import messages
from trunkline.bus.messages import CredentialEvent, HealthSample
from trunkline.bus.port import BusError

EVENT = CredentialEvent(1, 2, 99_000, refused=True)


def entries(*bodies: HealthSample | CredentialEvent | int | None) -> list[Entry]:
    """Return entries; a number stands for a sample of that instant."""
    made = [sample(1, "s", body) if isinstance(body, int) else body for body in bodies]
    return [Entry(number, body) for number, body in enumerate(made, 1)]


@pytest.mark.parametrize(
    ("waiting", "count"),
    [
        (entries(), 0),
        (entries(10_000, 10_000), 0),
        (entries(10_000, 10_000, 20_000), 2),
        (entries(10_000, 20_000, 30_000, 30_000), 2),
        (entries(10_000, EVENT, None, 20_000, EVENT), 3),
        (entries(10_000, 20_000, 10_000), 1),
        (entries(20_000, 10_000), 0),
        (entries(EVENT, None), 2),
    ],
)
def test_an_instant_is_stored_when_the_next_one_has_begun(waiting: list[Entry], count: int) -> None:
    assert complete(waiting) == count


class Subscription:
    """Delivers messages with given numbers: of the consumer, and of the stream."""

    def __init__(self, numbers: list[tuple[int, int]]) -> None:
        self._numbers = numbers

    async def fetch(self, _batch: int, timeout: float) -> list[Any]:  # noqa: ASYNC109 - as nats-py has it
        data = messages.encode(sample(1, "s", 10_000))
        return [
            SimpleNamespace(
                subject="tl.health.1",
                data=data,
                metadata=SimpleNamespace(sequence=SimpleNamespace(consumer=consumer, stream=stream)),
            )
            for consumer, stream in self._numbers
        ]


async def test_a_message_that_is_lost_on_its_way_is_noticed() -> None:
    stream = HealthStream(None)  # type: ignore[arg-type]  # it is not opened
    with pytest.raises(BusError):
        await stream.fetch()
    stream._subscription = Subscription([(1, 7), (2, 9)])  # type: ignore[assignment]  # what it needs of one
    assert [entry.sequence for entry in await stream.fetch()] == [7, 9]
    stream._subscription = Subscription([(3, 10), (5, 12)])  # type: ignore[assignment]  # as above
    with pytest.raises(BusError):
        await stream.fetch()
