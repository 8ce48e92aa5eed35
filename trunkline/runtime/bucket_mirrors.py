"""The buckets of the home region, and its usage, mirrored into another one. Called by `trunkline mirror`.

Each region's NATS is a JetStream domain of its own, so a mirror has the name that the bucket has at home, and services
read it as they read the bucket there. Writes at home are not heard across the domains; a mirror says again what it has
stored, on the bucket's own subjects, so whoever hears of a change finds it here.
"""

from typing import NamedTuple

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NATSError
from nats.js.api import ExternalStream, RePublish, StorageType, StreamConfig, StreamInfo, StreamSource
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from trunkline.bus import subjects
from trunkline.runtime.usage_mirror import send_home, usage_configuration

API_TIMEOUT_S = 10.0

STALLED_AFTER_S = 10.0
"""A mirror hears of home each second. One that does not tries again ever more rarely, every two minutes in the end; a
leader that is chosen anew tries at once."""

_NO_CONSUMER = 10014
"""JetStream's code for a consumer that a stream has not; one for a stream that is not there is another."""

_NANOSECONDS_PER_SECOND = 1_000_000_000


class MirrorError(Exception):
    """A region cannot be made; says why and what to do."""


class _SteppedDown(msgspec.Struct):
    """JetStream's answer; an error has no ``success``."""

    success: bool = False


class Mirror(NamedTuple):
    """What is in this region of a bucket or stream.

    Attributes:
        name: of the bucket or stream.
        made: it was not here before, or was that of one which home has no more.
        woken: it had not heard of home for a while, and tries again now.
        entries: how many it holds now.
        lag: messages that are still to come.
    """

    name: str
    made: bool
    woken: bool
    entries: int
    lag: int


def configuration(bucket: str, home: str, replicas: int) -> StreamConfig:
    """Return that of a bucket's mirror.

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


async def mirror_home(client: Client, home: str, replicas: int) -> list[Mirror]:
    """Make the mirrors that are missing, and those anew whose bucket or stream was; wake those that have stalled.

    Usage of a stream that was is sent to the new one first. Usage that nobody would settle at home is left where it is.

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
        wanted = [configuration(bucket, home, replicas) for bucket in subjects.KV_BUCKETS]
        wanted.append(usage_configuration(home, replicas))
        return [await _mirror(client, jetstream, at_home, each) for each in wanted]
    except (NATSError, TimeoutError) as error:
        reason = error.description if isinstance(error, APIError) else type(error).__name__
        raise MirrorError(f"JetStream does not do it: {reason}") from error


async def _mirror(
    client: Client, jetstream: JetStreamContext, at_home: JetStreamContext, wanted: StreamConfig
) -> Mirror:
    name = str(wanted.name)
    found = await _find(jetstream, name)
    if found is not None and not await _is_of_another(at_home, found):
        woken = has_stalled(found) and await _wake(client, name)
        return Mirror(_shown(name), False, woken, found.state.messages, _lag(found.mirror))
    if name == subjects.USAGE_STREAM:
        await _check_settlement(at_home)
        if found is not None:
            await send_home(jetstream)
    if found is not None:
        await jetstream.delete_stream(name)
    made = await jetstream.add_stream(wanted)
    return Mirror(_shown(name), True, False, made.state.messages, _lag(made.mirror))


async def _find(jetstream: JetStreamContext, name: str) -> StreamInfo | None:
    """Return the mirror of a name, None if there is none.

    Raises:
        MirrorError: what has the name is no mirror.
    """
    try:
        found = await jetstream.stream_info(name)
    except NotFoundError:
        return None
    if found.config.mirror is None:
        raise MirrorError(
            f"{_shown(name)} is here, and no mirror: services that belong to home have run in this region; delete "
            f"the stream {name} here if nothing else needs it"
        )
    return found


async def _check_settlement(at_home: JetStreamContext) -> None:
    """See that home's usage waits for metering there.

    A mirror confirms what it has stored, a second later. In a stream that metering reads, too, a message stays until
    both have confirmed it; in one that nobody else reads the mirror's word is the last, and home loses the usage.
    """
    try:
        await at_home.consumer_info(subjects.USAGE_STREAM, subjects.USAGE_CONSUMER)
    except NotFoundError as error:
        if error.err_code == _NO_CONSUMER:
            raise MirrorError(
                f"nobody settles usage at home: metering has not run there since the stream {subjects.USAGE_STREAM} "
                f"was made; start it, and try again"
            ) from error
    except (NATSError, TimeoutError):
        pass  # home is away


def _shown(name: str) -> str:
    """Return what people call a stream."""
    return subjects.kv_bucket(name) or name


async def _is_of_another(at_home: JetStreamContext, mirror: StreamInfo) -> bool:
    """Return whether home has made its bucket or stream after the mirror, or has an older one, as after a restore.

    Such a one counts its messages from one again, or from where the backup ends. The mirror asks for what comes after
    the last that it has, so it keeps the old ones and says that nothing is to come. Buckets are not in a backup, so
    that one which is behind its mirror has a leader that was just chosen.
    """
    try:
        origin = await at_home.stream_info(str(mirror.config.name))
    except (NATSError, TimeoutError):
        return False  # home is away, or has none yet: what is here goes on serving
    later = origin.created is not None and mirror.created is not None and origin.created > mirror.created
    behind = origin.state.last_seq < mirror.state.last_seq
    return later or (behind and mirror.config.name == subjects.USAGE_STREAM)


def has_stalled(mirror: StreamInfo) -> bool:
    """Return whether a mirror has not heard of home for a while, or not at all since its leader was chosen."""
    if mirror.mirror is None or mirror.mirror.active is None:
        return False
    heard_s = mirror.mirror.active / _NANOSECONDS_PER_SECOND  # ago; negative: never
    return not 0 <= heard_s <= STALLED_AFTER_S


async def _wake(client: Client, name: str) -> bool:
    """Have another node lead a mirror; returns whether one does: there is none where one node alone holds it."""
    answer = await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{name}", timeout=API_TIMEOUT_S)
    return msgspec.json.decode(answer.data, type=_SteppedDown).success


def _lag(mirror: object) -> int:
    return int(getattr(mirror, "lag", 0) or 0)
