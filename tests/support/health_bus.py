"""What health publishes to, in memory, and a clock that a test moves."""

from collections.abc import Callable

from trunkline.bus import subjects
from trunkline.bus.port import BusError
from trunkline.core.clock import Timer


class StandingClock:
    """Time stands until the test moves it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds

    def wall_ms(self) -> int:
        return int(self.seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        raise NotImplementedError


class MemoryBus:
    """Two buckets and a stream in memory; out of order while ``down``.

    Attributes:
        entries: the bucket ``weights``.
        access: the bucket ``access``.
        stored: subject and payload by message id.
        puts: writes to a bucket.
    """

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.access: dict[str, bytes] = {}
        self.stored: dict[str, tuple[str, bytes]] = {}
        self.puts = 0
        self.down = False

    def _bucket(self, bucket: str) -> dict[str, bytes]:
        if self.down:
            raise BusError("away")
        return {subjects.KV_WEIGHTS: self.entries, subjects.KV_ACCESS: self.access}[bucket]

    async def kv_put(self, bucket: str, token: str, value: bytes) -> None:
        self._bucket(bucket)[token] = value
        self.puts += 1

    async def kv_delete(self, bucket: str, token: str) -> None:
        self._bucket(bucket).pop(token, None)

    async def kv_all(self, bucket: str) -> dict[str, bytes]:
        return dict(self._bucket(bucket))

    async def store(self, subject: str, payload: bytes, *, message_id: str, timeout_s: float) -> None:
        if self.down:
            raise BusError("away")
        self.stored.setdefault(message_id, (subject, payload))

    async def subjects_of(self, stream: str, pattern: str) -> list[str]:
        """Return the subjects of the credential events that are stored."""
        assert (stream, pattern) == (subjects.HEALTH_STREAM, subjects.CREDENTIAL_SUBJECTS)
        return sorted({subject for subject, _ in self.stored.values() if ".credential." in subject})

    async def last_message(self, stream: str, subject: str) -> bytes | None:
        """Return the last one on a subject."""
        return [payload for each, payload in self.stored.values() if each == subject][-1]
