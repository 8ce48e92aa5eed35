"""The stream CHECKPOINTS of the simulated gateway: what each dispatcher has said last, for when it is dead."""

from collections.abc import Collection

from trunkline.bus import messages, subjects
from trunkline.bus.messages import UsageEvent
from trunkline.bus.port import Message
from trunkline.runtime.memory_bus import BROKER, MemoryBroker


class CheckpointStream:
    """See the module."""

    def __init__(self) -> None:
        self._last: dict[str, bytes] = {}

    async def start(self, broker: MemoryBroker) -> None:
        await broker.connect(BROKER).subscribe(subjects.CHECKPOINT_SUBJECTS, self._take)

    def _take(self, message: Message) -> None:
        self._last[message.subject] = message.data

    def events(self, dispatchers: Collection[str]) -> list[UsageEvent]:
        """Return what these dispatchers have said last."""
        return [
            event
            for subject, payload in self._last.items()
            if subjects.checkpointed(subject) in dispatchers
            for event in messages.decode_checkpoint(payload).events
        ]
