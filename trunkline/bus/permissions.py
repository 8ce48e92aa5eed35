"""Who may say and hear what on NATS: each service is a user, and this is the table of what its role needs.

The broker's configuration is made of it (`bus.permissions_text`), for development, containers and Kubernetes alike.
What separates the roles: only dispatcher, health and console read the bucket that holds credentials; an edge, which
faces the world, can write no snapshot, read no other service's answers, and speak for no other role.

What roles cannot separate is one process of a role from another: all edges are one user, so an edge can hear the frames
of every edge's jobs, and beat in another one's name. Nor does NATS look at the reply subject of a request: whoever may
ask JetStream for anything can have the broker's answer, which is JSON, stored in any bucket. Readers of snapshots leave
out what they cannot decode.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from trunkline.bus import subjects

ROLES = ("edge", "dispatcher", "metering", "health", "console")

OPERATOR = "operator"
"""The user of people and tools. It may do everything, and no service has its password."""

_API = "$JS.API"
_ANY = "*"


@dataclasses.dataclass(frozen=True)
class Permissions:
    """What one role may do.

    Attributes:
        publish: subjects, with wildcards.
        subscribe: the same; one with a queue group behind it, after a space, may be heard in that group only.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


STREAMS: Mapping[str, tuple[str, ...]] = {
    "edge": (),
    "dispatcher": (),
    "metering": (subjects.USAGE_STREAM, subjects.CHECKPOINT_STREAM),
    "health": (subjects.HEALTH_STREAM,),
    "console": tuple(subjects.kv_stream(bucket) for bucket in subjects.KV_BUCKETS),
}
"""The streams that a role makes, and nobody else: who could make or change any stream could have it copy another."""

AWAITED: Mapping[str, tuple[str, ...]] = {
    "edge": (subjects.KV_MODELS, subjects.KV_ACCESS),
    "dispatcher": (subjects.KV_CHANNELS, subjects.KV_WEIGHTS),
    "metering": (),
    "health": (subjects.KV_CHANNELS, subjects.KV_WEIGHTS, subjects.KV_ACCESS),
    "console": (),
}
"""The buckets that a role reads as a whole, and waits for when it starts before their maker."""


def watched_stream(role: str) -> str:
    """Return a stream that a role may ask for, by which it sees whether JetStream answers."""
    return (*STREAMS[role], *map(subjects.kv_stream, AWAITED[role]))[0]


def _made(role: str) -> Iterable[str]:
    """What a role needs to make its streams."""
    for stream in STREAMS[role]:
        yield f"{_API}.STREAM.INFO.{stream}"
        yield f"{_API}.STREAM.CREATE.{stream}"


def _listed(*buckets: str) -> Iterable[str]:
    """What it takes to list the names of entries."""
    return (f"{_API}.STREAM.INFO.{subjects.kv_stream(bucket)}" for bucket in buckets)


def _read(*buckets: str) -> Iterable[str]:
    """What it takes to read entries."""
    return (f"{_API}.STREAM.MSG.GET.{subjects.kv_stream(bucket)}" for bucket in buckets)


def _written(*buckets: str) -> Iterable[str]:
    return (subjects.kv_entry(bucket, _ANY) for bucket in buckets)


def _heard(*buckets: str) -> Iterable[str]:
    """What changes of buckets are heard on."""
    return (subjects.kv_entry(bucket, ">") for bucket in buckets)


def _consumed(stream: str, consumer: str, pattern: str) -> Iterable[str]:
    """What it takes to pull from a stream by a consumer with that name, made with that filter."""
    yield f"{_API}.CONSUMER.INFO.{stream}.{consumer}"
    yield f"{_API}.CONSUMER.CREATE.{stream}.{consumer}.{pattern}"
    yield f"{_API}.CONSUMER.MSG.NEXT.{stream}.{consumer}"


def _walked(bucket: str) -> Iterable[str]:
    """What nats-py needs to list the keys of a bucket without those that are deleted: an ordered consumer."""
    stream = subjects.kv_stream(bucket)
    yield f"{_API}.CONSUMER.CREATE.{stream}"
    yield f"{_API}.CONSUMER.INFO.{stream}.{_ANY}"
    yield f"$JS.FC.{stream}.>"


def _queued(subject: str, queue: str) -> str:
    return f"{subject} {queue}"


def _edge() -> Permissions:
    return Permissions(
        publish=(
            subjects.job(_ANY),
            subjects.dispatcher_inbox(_ANY),
            subjects.WITHDRAW,
            subjects.ALLOW,
            subjects.ASK,
            *_listed(*AWAITED["edge"]),
            *_read(subjects.KV_KEYS, *AWAITED["edge"]),
        ),
        subscribe=(
            subjects.edge_inbox(_ANY),
            subjects.room(_ANY),
            subjects.recall(_ANY),
            subjects.alive_of("dispatcher"),
            *_heard(subjects.KV_KEYS, *AWAITED["edge"]),
        ),
    )


def _dispatcher() -> Permissions:
    return Permissions(
        publish=(
            # Answers are frames on the edge's own subject, many to one offer: nothing for ``allow_responses``.
            subjects.edge_inbox(_ANY),
            subjects.room(_ANY),
            subjects.OUTCOME,
            subjects.CHECKPOINT_SUBJECTS,
            *_listed(*AWAITED["dispatcher"]),
            *_read(*AWAITED["dispatcher"]),
        ),
        subscribe=(
            _queued(subjects.job(_ANY), subjects.JOB_QUEUE),
            subjects.dispatcher_inbox(_ANY),
            subjects.WITHDRAW,
            subjects.alive_of("edge"),
            subjects.alive_of("dispatcher"),
            *_heard(*AWAITED["dispatcher"]),
        ),
    )


def _metering() -> Permissions:
    usage, checkpoints = subjects.USAGE_STREAM, subjects.CHECKPOINT_STREAM
    return Permissions(
        publish=(
            subjects.recall(_ANY),
            # Not ``allow_responses``: it would let metering write wherever an edge says that it wants its answer.
            f"{subjects.inbox('edge')}.>",
            *_made("metering"),
            *_consumed(usage, subjects.USAGE_CONSUMER, subjects.USAGE_SUBJECTS),
            f"$JS.ACK.{usage}.{subjects.USAGE_CONSUMER}.>",
            f"{_API}.STREAM.MSG.GET.{checkpoints}",
            f"{_API}.STREAM.PURGE.{checkpoints}",
        ),
        subscribe=(
            _queued(subjects.ALLOW, subjects.ALLOW_QUEUE),
            _queued(subjects.ASK, subjects.ALLOW_QUEUE),
            subjects.alive_of("edge"),
            subjects.alive_of("dispatcher"),
        ),
    )


def _health() -> Permissions:
    stream = subjects.HEALTH_STREAM
    return Permissions(
        publish=(
            subjects.HEALTH_SUBJECTS,
            *_made("health"),
            f"{_API}.STREAM.UPDATE.{stream}",
            f"{_API}.STREAM.MSG.GET.{stream}",
            *_listed(*AWAITED["health"]),
            *_read(*AWAITED["health"]),
            *_written(subjects.KV_WEIGHTS, subjects.KV_ACCESS),
        ),
        subscribe=(subjects.OUTCOME, subjects.alive_of("health"), *_heard(subjects.KV_CHANNELS)),
    )


def _console() -> Permissions:
    own = (subjects.KV_KEYS, subjects.KV_CHANNELS, subjects.KV_MODELS, subjects.KV_SETTINGS)
    return Permissions(
        publish=(
            *_made("console"),
            *_written(*own),
            *(each for bucket in own for each in _walked(bucket)),
            *_read(subjects.KV_CHANNELS, subjects.KV_MODELS, subjects.KV_WEIGHTS, subjects.KV_ACCESS),
            f"{_API}.STREAM.INFO.{subjects.HEALTH_STREAM}",
            *_consumed(subjects.HEALTH_STREAM, _ANY, subjects.HEALTH_SUBJECTS),
            f"{_API}.STREAM.INFO.{subjects.USAGE_STREAM}",
            f"{_API}.CONSUMER.INFO.{subjects.USAGE_STREAM}.{subjects.USAGE_CONSUMER}",
        ),
        subscribe=(
            subjects.OUTCOME,
            subjects.alive_of(_ANY),
            *_heard(subjects.KV_CHANNELS, subjects.KV_WEIGHTS),
        ),
    )


def _whole(role: str, own: Permissions) -> Permissions:
    """Add what every service needs, and usage for those that publish it."""
    beats = subjects.alive(role, _ANY)
    usage = (subjects.usage(role, _ANY),) if role in {"edge", "dispatcher"} else ()
    return Permissions((beats, *usage, *own.publish), (f"{subjects.inbox(role)}.>", *own.subscribe))


PERMISSIONS: Mapping[str, Permissions] = {
    "edge": _whole("edge", _edge()),
    "dispatcher": _whole("dispatcher", _dispatcher()),
    "metering": _whole("metering", _metering()),
    "health": _whole("health", _health()),
    "console": _whole("console", _console()),
}
"""By role. `OPERATOR` is not in it: it is bound by none."""


def password_variable(user: str) -> str:
    """Name of the environment variable of the NATS server that holds a user's password."""
    return f"NATS_{user.upper()}_PASSWORD"
