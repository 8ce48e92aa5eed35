"""What home's stream of usage was told in the last day, mirrored into another region. Called by `bucket_mirrors`.

Usage leaves home's stream when it is settled, and its mirror keeps it. So when home is gone for good, with its database
and its stream, the mirror has what the backup of the database lacks: it is sent to the home that was restored, whose
ledger takes each attempt once.
"""

import asyncio

from nats.aio.msg import Msg
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    ExternalStream,
    StorageType,
    StreamConfig,
    StreamSource,
)
from nats.js.client import JetStreamContext

from trunkline.bus import subjects

USAGE_AGE_S = 24 * 3600.0
"""Until then a home that is gone for good is restored; its database lacks minutes at the most."""

USAGE_BYTES_MAX = 1024 * 1024 * 1024
"""The newest are kept: an hour of 1,000 requests a second. As much as history may take at home."""

SENT_AT_ONCE = 256
"""Messages that are on their way home: of a round trip of 80 ms, 3,000 a second."""

READ_TIMEOUT_S = 5.0
KEPT_AFTER_S = 60.0
"""For the broker to forget how far we were, should we end in the middle."""


def usage_configuration(home: str, replicas: int) -> StreamConfig:
    """Return that of the mirror; see `bucket_mirrors.configuration`."""
    return StreamConfig(
        name=subjects.USAGE_STREAM,
        mirror=StreamSource(name=subjects.USAGE_STREAM, external=ExternalStream(api=f"$JS.{home}.API")),
        storage=StorageType.FILE,
        num_replicas=replicas,
        discard=DiscardPolicy.OLD,
        max_age=USAGE_AGE_S,
        max_bytes=USAGE_BYTES_MAX,
    )


async def send_home(jetstream: JetStreamContext) -> None:
    """Send all that the mirror holds to the stream at home.

    Each message has the name that it had, so whatever was sent before is harmless.

    Raises:
        NATSError, TimeoutError: not all of it is stored there.
    """
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, inactive_threshold=KEPT_AFTER_S)
    reading = await jetstream.pull_subscribe(subjects.USAGE_SUBJECTS, stream=subjects.USAGE_STREAM, config=config)
    while left := await _left(reading):
        batch = await reading.fetch(min(SENT_AT_ONCE, left), timeout=READ_TIMEOUT_S)
        await asyncio.gather(*(_send(jetstream, message) for message in batch))
    await reading.unsubscribe()


async def _left(reading: JetStreamContext.PullSubscription) -> int:
    """Return how many messages were not sent yet; one that got lost on its way to us is among them."""
    state = await reading.consumer_info()
    return (state.num_pending or 0) + (state.num_ack_pending or 0)


async def _send(jetstream: JetStreamContext, message: Msg) -> None:
    await jetstream.publish(message.subject, message.data, headers=message.headers)
    await message.ack_sync()
