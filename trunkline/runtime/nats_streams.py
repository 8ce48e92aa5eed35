"""The streams and buckets as they are made: each by the one role that owns it (`bus.permissions.STREAMS`).

The others wait until theirs are there. Called by `runtime.nats_bus`.
"""

from collections.abc import Collection
from typing import Any

import structlog
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, KeyValueConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from trunkline.bus import subjects

log = structlog.get_logger()

USAGE_DUPLICATE_WINDOW_S = 600.0
HEALTH_AGE_S = 7 * 24 * 3600.0
"""A console may be away over a long weekend and still make the whole history of it; and a health process that starts
finds who was refused last, unless it was that long ago."""

HEALTH_BYTES_MAX = 1024 * 1024 * 1024
"""A tenth of what our broker has (deploy/nats): history must not take the room of usage. The week of a fleet that sends
100 samples an instant, of 160 bytes each; nine hours at the most that health sends, 2,000."""

STREAM_BYTES_MIN = 16 * 1024 * 1024
"""A stream's limit is halved down to this where its broker has less room to reserve: minutes of the largest fleet."""

_NO_ROOM = frozenset({10047, 10005})
"""JetStream's codes for a stream whose ``max_bytes`` are more than it can reserve: of one broker, and of a cluster."""

ALL_STREAMS = (
    subjects.USAGE_STREAM,
    subjects.CHECKPOINT_STREAM,
    subjects.HEALTH_STREAM,
    *(subjects.kv_stream(bucket) for bucket in subjects.KV_BUCKETS),
)


def _configurations() -> dict[str, StreamConfig]:
    """Return those of the streams; what stands behind buckets is left to nats-py."""
    usage = StreamConfig(
        name=subjects.USAGE_STREAM,
        subjects=[subjects.USAGE_SUBJECTS],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        duplicate_window=USAGE_DUPLICATE_WINDOW_S,
    )
    checkpoints = StreamConfig(
        name=subjects.CHECKPOINT_STREAM,
        subjects=[subjects.CHECKPOINT_SUBJECTS],
        storage=StorageType.FILE,
        max_msgs_per_subject=1,
    )
    health = StreamConfig(
        name=subjects.HEALTH_STREAM,
        subjects=[subjects.HEALTH_SUBJECTS],
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=HEALTH_AGE_S,
        max_bytes=HEALTH_BYTES_MAX,
    )
    return {str(each.name): each for each in (usage, checkpoints, health)}


async def ensure_streams(jetstream: JetStreamContext, names: Collection[str], replicas: int) -> None:
    """Make those of these streams that are missing, on so many nodes, and set the limits of the others.

    Raises:
        NATSError, TimeoutError: JetStream does not do it now.
    """
    configurations = _configurations()
    for name in names:
        try:
            found = (await jetstream.stream_info(name)).config
        except NotFoundError:
            bucket = subjects.kv_bucket(name)
            if bucket is None:
                await _add(jetstream, configurations[name].evolve(num_replicas=replicas))
            else:
                await jetstream.create_key_value(
                    KeyValueConfig(bucket=bucket, history=1, storage=StorageType.FILE, replicas=replicas)
                )
        else:
            if name in configurations:
                await _limit(jetstream, found, configurations[name])


async def _limit(jetstream: JetStreamContext, found: Any, wanted: StreamConfig) -> None:
    if wanted.max_bytes is None or (found.max_age, found.max_bytes) == (wanted.max_age, wanted.max_bytes):
        return
    try:
        # The rest of it, such as its replicas, is as its broker's operator wants it.
        await jetstream.update_stream(found, max_age=wanted.max_age, max_bytes=wanted.max_bytes)
    except APIError as error:
        # It works as it is; a broker without so much room is no reason not to start.
        log.warning("stream_limits_not_set", stream=wanted.name, error=error.description)


async def _add(jetstream: JetStreamContext, config: StreamConfig) -> None:
    try:
        await jetstream.add_stream(config)
    except APIError as error:
        if error.err_code not in _NO_ROOM or not config.max_bytes or config.max_bytes // 2 < STREAM_BYTES_MIN:
            raise
        await _add(jetstream, config.evolve(max_bytes=config.max_bytes // 2))
