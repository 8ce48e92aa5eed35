"""The buckets of the home region, mirrored into another one. Called by `trunkline mirror`.

Each region's NATS is a JetStream domain of its own, so a mirror has the name that the bucket has at home, and services
read it as they read the bucket there. Writes at home are not heard across the domains; a mirror says again what it has
stored, on the bucket's own subjects, so whoever hears of a change finds it here.
"""

from typing import NamedTuple

from nats.aio.client import Client
from nats.errors import Error as NATSError
from nats.js.api import ExternalStream, RePublish, StorageType, StreamConfig, StreamInfo, StreamSource
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from trunkline.bus import subjects

API_TIMEOUT_S = 10.0


class MirrorError(Exception):
    """A region cannot be made; says why and what to do."""


class Mirror(NamedTuple):
    """A bucket in this region.

    Attributes:
        bucket: its name.
        made: it was not here before, or was that of a bucket which home has no more.
        entries: how many it holds now.
        lag: messages that are still to come.
    """

    bucket: str
    made: bool
    entries: int
    lag: int


def configuration(bucket: str, home: str, replicas: int) -> StreamConfig:
    """Return that of a mirror.

    Args:
        bucket: name of it.
        home: JetStream domain of the home region.
        replicas: nodes of this region that hold it.
    """
    name, entries = subjects.kv_stream(bucket), subjects.kv_entry(bucket, ">")
    return StreamConfig(
        name=name,
        mirror=StreamSource(name=name, external=ExternalStream(api=f"$JS.{home}.API")),
        storage=StorageType.FILE,
        num_replicas=replicas,
        max_msgs_per_subject=1,
        republish=RePublish(src=entries, dest=entries),
    )


async def mirror_buckets(client: Client, home: str, replicas: int) -> list[Mirror]:
    """Make the mirrors that are missing, and those anew whose bucket was.

    Args:
        client: connected to the region's NATS, as a user who may do anything.
        home: JetStream domain of the home region.
        replicas: nodes of this region that hold each.

    Raises:
        MirrorError: see there.
    """
    jetstream = client.jetstream(timeout=API_TIMEOUT_S)
    at_home = client.jetstream(timeout=API_TIMEOUT_S, domain=home)
    try:
        domain = (await jetstream.account_info()).domain
        if not domain:
            raise MirrorError("this NATS has no JetStream domain: give each region's NATS one of its own")
        if domain == home:
            raise MirrorError(f"this NATS is that of {home}: connect to the one of the other region")
        return [
            await _mirror(jetstream, at_home, configuration(bucket, home, replicas), bucket)
            for bucket in subjects.KV_BUCKETS
        ]
    except (NATSError, TimeoutError) as error:
        reason = error.description if isinstance(error, APIError) else type(error).__name__
        raise MirrorError(f"JetStream does not do it: {reason}") from error


async def _mirror(jetstream: JetStreamContext, at_home: JetStreamContext, wanted: StreamConfig, bucket: str) -> Mirror:
    name = str(wanted.name)
    try:
        found = await jetstream.stream_info(name)
    except NotFoundError:
        return await _made(jetstream, wanted, bucket)
    if found.config.mirror is None:
        raise MirrorError(
            f"bucket {bucket} is here, and no mirror: services that belong to home have run in this region; delete "
            f"the stream {name} here if nothing else needs it"
        )
    if await _is_of_another(at_home, found):
        await jetstream.delete_stream(name)
        return await _made(jetstream, wanted, bucket)
    return Mirror(bucket, False, found.state.messages, _lag(found.mirror))


async def _made(jetstream: JetStreamContext, wanted: StreamConfig, bucket: str) -> Mirror:
    made = await jetstream.add_stream(wanted)
    return Mirror(bucket, True, made.state.messages, _lag(made.mirror))


async def _is_of_another(at_home: JetStreamContext, mirror: StreamInfo) -> bool:
    """Return whether home has made its bucket after the mirror, as after a restore.

    Such a bucket counts its entries from one again. The mirror asks for what comes after the last that it has, so it
    keeps the old ones and says that nothing is to come.
    """
    try:
        origin = await at_home.stream_info(str(mirror.config.name))
    except (NATSError, TimeoutError):
        return False  # home is away, or has none yet: what is here goes on serving
    return origin.created is not None and mirror.created is not None and origin.created > mirror.created


def _lag(mirror: object) -> int:
    return int(getattr(mirror, "lag", 0) or 0)
