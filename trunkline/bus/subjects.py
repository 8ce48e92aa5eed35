"""Names on the bus. Ids used as subject tokens hold no dot, space or wildcard (`core.ids.process_id`)."""

import base64

JOB_QUEUE = "dispatchers"
"""Queue group of dispatchers on a lane: one of them gets each job."""

ALLOW = "tl.allow"
ALLOW_QUEUE = "metering"
RECALLS = "tl.recall"
ASK = "tl.ask"
"""Edge to metering (queue group `ALLOW_QUEUE`): questions of clients about their own; see `bus.inquiry`."""
OUTCOME = "tl.outcome"
WITHDRAW = "tl.withdraw"
"""Edge to all dispatchers: an offer that nobody answered is void; see `bus.messages.Withdrawal`."""

USAGE_STREAM = "USAGE"
USAGE_SUBJECTS = "tl.usage.>"
USAGE_CONSUMER = "metering"
"""The durable consumer of that stream, shared by all replicas of metering."""

CHECKPOINT_STREAM = "CHECKPOINTS"
CHECKPOINT_SUBJECTS = "tl.checkpoint.>"
"""The last message on each subject is kept."""

HEALTH_STREAM = "HEALTH"
HEALTH_SUBJECTS = "tl.health.>"
CREDENTIAL_SUBJECTS = "tl.health.*.credential.*"
"""Those of `credential`, within the stream."""

KV_KEYS = "keys"
KV_CHANNELS = "channels"
KV_MODELS = "models"
KV_SETTINGS = "settings"
KV_WEIGHTS = "weights"
KV_ACCESS = "access"
KV_BUCKETS = (KV_KEYS, KV_CHANNELS, KV_MODELS, KV_SETTINGS, KV_WEIGHTS, KV_ACCESS)

_KV_STREAM_PREFIX = "KV_"

DEFAULT_LANE = "default"


def job(lane: str) -> str:
    """Where edges open jobs for a lane."""
    return f"tl.job.{lane}"


def edge_inbox(edge_id: str) -> str:
    """What an edge subscribes to: the frames of all its jobs."""
    return f"tl.edge.{edge_id}.*"


def edge_job(edge_id: str, job_no: int) -> str:
    """Where the frames of one job go."""
    return f"tl.edge.{edge_id}.{job_no:x}"


def dispatcher_inbox(dispatcher_id: str) -> str:
    """Where a dispatcher gets CREDIT, CANCEL, BODY and the offers made to it by name."""
    return f"tl.disp.{dispatcher_id}"


def room(edge_id: str) -> str:
    """Where dispatchers tell an edge that there is room for jobs that wait there; see `bus.messages.Room`."""
    return f"tl.room.{edge_id}"


def recall(edge_id: str) -> str:
    """Where metering asks an edge to return what it does not use; see `bus.allowance.Recall`."""
    return f"{RECALLS}.{edge_id}"


def alive(role: str, process_id: str) -> str:
    """Where a process says that it lives."""
    return f"tl.alive.{role}.{process_id}"


def alive_of(role: str) -> str:
    """The beats of all processes of one role; ``*`` for every role."""
    return f"tl.alive.{role}.*"


def beating_role(subject: str) -> str:
    """Return the role whose processes alone may say that they live on a subject; a beat itself may say any."""
    return subject.split(".")[2]


def usage(role: str, process_id: str) -> str:
    """Where a process publishes usage batches; part of the stream `USAGE_STREAM`."""
    return f"tl.usage.{role}.{process_id}"


def checkpoint(dispatcher_id: str, part: int) -> str:
    """Where a dispatcher says what its streams have used so far; part of the stream `CHECKPOINT_STREAM`."""
    return f"tl.checkpoint.{dispatcher_id}.{part}"


def checkpointed(subject: str) -> str:
    """Return the dispatcher of such a subject."""
    return subject.split(".")[2]


def health(channel_id: int) -> str:
    """Where health publishes a channel's history; part of the stream `HEALTH_STREAM`."""
    return f"tl.health.{channel_id}"


def credential(channel_id: int, credential_id: int) -> str:
    """Where health says that a credential was refused or serves again; part of the stream `HEALTH_STREAM`."""
    return f"tl.health.{channel_id}.credential.{credential_id}"


def of_credential(subject: str) -> bool:
    """Return whether a message of the stream `HEALTH_STREAM` is about a credential; else it is a sample."""
    return ".credential." in subject


def kv_stream(bucket: str) -> str:
    """The stream behind a bucket."""
    return f"{_KV_STREAM_PREFIX}{bucket}"


def kv_bucket(stream: str) -> str | None:
    """Return the bucket that a stream is behind, None for a stream of its own."""
    return stream.removeprefix(_KV_STREAM_PREFIX) if stream.startswith(_KV_STREAM_PREFIX) else None


def kv_entry(bucket: str, token: str) -> str:
    """Where an entry of a bucket is written, and its change heard of."""
    return f"$KV.{bucket}.{token}"


def inbox(role: str) -> str:
    """What all inboxes of a role's processes begin with; answers to their requests go there, and to nobody else."""
    return f"_INBOX.{role}"


def kv_token(name: str) -> str:
    """Return a KV key for a name that may hold any character, such as a model name with a colon or slash."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def kv_name(token: str) -> str:
    """Return the name that `kv_token` encoded.

    Raises:
        ValueError: not such a token.
    """
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
