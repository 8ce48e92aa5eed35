"""Usage events and void jobs as payloads: batches of at most `limits.USAGE_BATCH_MAX`. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from trunkline.bus import messages
from trunkline.bus.messages import UsageBatch, UsageEvent, VoidJob
from trunkline.core import limits

Entry = UsageEvent | VoidJob


def encoded(entries: Sequence[Entry]) -> bytes:
    """Return one batch as a payload."""
    return messages.encode(
        UsageBatch(
            tuple(entry for entry in entries if isinstance(entry, UsageEvent)),
            tuple(entry for entry in entries if isinstance(entry, VoidJob)),
        )
    )


def payloads(entries: Sequence[Entry]) -> Iterator[bytes]:
    """Yield as many batches as they need."""
    for start in range(0, len(entries), limits.USAGE_BATCH_MAX):
        yield encoded(entries[start : start + limits.USAGE_BATCH_MAX])


def count(payload: bytes) -> int:
    """Return how many entries are in a payload.

    Raises:
        ValueError: it is no batch that this version can read.
    """
    batch = messages.decode_usage_batch(payload)
    return len(batch.events) + len(batch.void)


def merged(small: Iterable[bytes]) -> list[bytes]:
    """Return payloads that say the same as smaller ones, in fewer; what this version cannot read stays as it is."""
    entries: list[Entry] = []
    unread = []
    for payload in small:
        try:
            batch = messages.decode_usage_batch(payload)
        except ValueError:
            unread.append(payload)
        else:
            entries += (*batch.events, *batch.void)
    return [*payloads(entries), *unread]
