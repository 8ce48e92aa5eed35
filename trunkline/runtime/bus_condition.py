"""What NATS tells of the system's condition, in words that say what to do. Called by `trunkline doctor`."""

import datetime as dt
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NATSError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from trunkline.bus import messages, subjects
from trunkline.bus.messages import Beat
from trunkline.core.clock import Clock
from trunkline.core.limits import BEAT_INTERVAL_S, BEATS_MISSED_MAX
from trunkline.policy.admin_api import Check
from trunkline.policy.diagnosis import Heard, fleet_checks, listed
from trunkline.runtime.nats_streams import ALL_STREAMS
from trunkline.runtime.stream_span import unconfirmed

LISTEN_S = BEAT_INTERVAL_S * (BEATS_MISSED_MAX + 0.2)
"""Whoever lives has been heard by then."""

SETTLEMENT_LATE_S = 15.0
"""Usage is settled in well under a second; a batch that a killed replica had in hand, after half a minute."""

REPLICA_LAG_MAX = 1000
"""Messages that a copy of a stream may be behind: more is not made good within a moment."""


async def read_condition(client: Client, clock: Clock) -> list[Check]:
    """Return how NATS is, and what is wrong with what it holds and with who speaks on it.

    Args:
        client: connected as a user that may do anything.
        clock: of this process.
    """
    jetstream = client.jetstream(timeout=BEAT_INTERVAL_S * BEATS_MISSED_MAX)
    checks = [Check("nats", True, "connected")]
    try:
        await jetstream.account_info()
    except (NATSError, TimeoutError):
        said = "It does not answer. Enable it at the broker (`jetstream` in its configuration), or look at its log."
        checks.append(Check("jetstream", False, said))
    else:
        checks += await _stream_checks(jetstream)
        checks += await _settlement_checks(jetstream, clock)
    return [*checks, *await _beat_checks(client, clock)]


async def _stream_checks(jetstream: JetStreamContext) -> list[Check]:
    missing, checks = [], []
    for name in ALL_STREAMS:
        try:
            info = await jetstream.stream_info(name)
        except NotFoundError:
            missing.append(name)
        except (NATSError, TimeoutError):
            checks.append(
                Check(name, False, "It does not answer: a majority of its replicas is not there. Start them.")
            )
        else:
            checks += _replica_checks(name, info.cluster)
    if missing:
        said = f"Missing: {listed(missing)}. Restart metering, health and console, which make them."
        checks.insert(0, Check("streams", False, said))
    return checks


def _replica_checks(name: str, cluster: Any) -> list[Check]:
    if cluster is None or not cluster.replicas:
        return []
    behind = [
        peer.name for peer in cluster.replicas if peer.offline or not peer.current or (peer.lag or 0) > REPLICA_LAG_MAX
    ]
    if not behind:
        return []
    return [Check(name, False, f"Its copies on {listed(map(str, behind))} are away or behind. Start these servers.")]


async def _settlement_checks(jetstream: JetStreamContext, clock: Clock) -> list[Check]:
    """The oldest message that metering has not confirmed says since when settlement stands still.

    Others are of no account: a mirror keeps them, and home's stream keeps them for a mirror that is away.
    """
    try:
        stream = await jetstream.stream_info(subjects.USAGE_STREAM)
        if stream.config.mirror is not None:
            return []
        waiting = await unconfirmed(jetstream, subjects.USAGE_STREAM, subjects.USAGE_CONSUMER)
        if not waiting.length:
            return []
        oldest = (await jetstream.get_msg(subjects.USAGE_STREAM, seq=waiting.first)).time
    except (NATSError, TimeoutError):
        return []  # said already, or settled meanwhile
    since = oldest if oldest is not None else dt.datetime.fromtimestamp(clock.wall_ms() / 1000, dt.UTC)
    if clock.wall_ms() / 1000 - since.timestamp() < SETTLEMENT_LATE_S:
        return []
    said = f"{waiting.length} messages of usage wait. Look at metering's log, and whether Postgres answers it."
    return [Check("settlement", False, said, since=since)]


async def _beat_checks(client: Client, clock: Clock) -> list[Check]:
    heard: dict[str, Heard] = {}
    first: dict[str, Beat] = {}

    async def hear(message: Msg) -> None:
        beat = messages.decode_beat(message.data)
        if beat.role != subjects.beating_role(message.subject):
            return  # whoever sends it may not speak for that role
        first.setdefault(beat.process, beat)
        heard[beat.process] = Heard(beat, beat.sent_ms - clock.wall_ms())

    subscription = await client.subscribe(subjects.alive_of("*"), cb=hear)
    await clock.sleep(LISTEN_S)
    await subscription.unsubscribe()
    checks = fleet_checks(list(heard.values()))
    stuck = [
        one.beat
        for one in heard.values()
        if one.beat.unstored and first[one.beat.process].unstored and one.beat.stored == first[one.beat.process].stored
    ]
    if stuck:
        names = listed(beat.process for beat in stuck)
        events = sum(beat.unstored for beat in stuck)
        said = f"{events} usage events wait at {names}: JetStream takes none. Look at its log and its disk."
        checks.append(Check("spool", False, said))
    return checks
