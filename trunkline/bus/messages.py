"""What services say to each other, as structs. Encoded as MessagePack arrays: fields are only ever appended.

An unknown trailing field is ignored by an older reader and a missing one takes its default in a newer one, so
that two versions can stand side by side during a rolling upgrade.
"""

from enum import StrEnum

import msgspec

from trunkline.bus.snapshots import Strategy
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.usage import Units, UsageSource


class Pricing(msgspec.Struct, frozen=True, array_like=True):
    """What a model costs a client at the moment; see `policy.pricing.ModelRates`.

    Attributes:
        prices, multipliers_ppm: as in `bus.snapshots.ModelSnapshot`.
        discount_ppm: of the account.
    """

    prices: dict[str, int]
    multipliers_ppm: dict[str, int]
    discount_ppm: int = 0


class FallbackOn(StrEnum):
    """When a model takes over."""

    FAILURE = "failure"
    """Nobody could answer."""
    CONTEXT = "context"
    """The request is too long for the model before."""
    FILTER = "filter"
    """A provider's filter refused the request."""


class Fallback(msgspec.Struct, frozen=True, array_like=True):
    """A model that may take over a job; the edge has seen to it that the key may use it, and can pay.

    Attributes:
        model: public name.
        groups: through which the key reaches it, in the order in which they are preferred.
        on: when; one for ``failure`` that the client has asked for takes over in the case of ``context``, too.
        pricing: as in `Envelope`.
    """

    model: str
    groups: tuple[str, ...]
    on: tuple[FallbackOn, ...] = (FallbackOn.FAILURE,)
    pricing: Pricing | None = None


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """First part of an OPEN frame: all that a dispatcher knows of a job beside its body.

    Attributes:
        edge: process id of the edge.
        reply: subject for the frames towards the edge.
        offered_ms: the edge's monotonic clock at this offer, in milliseconds; see `bus.job_table.DelayGauge`.
        deadline_s: what is left of the job's overall deadline.
        dialect: the client's dialect, such as ``openai-chat``, or the endpoint beside conversations.
        model: public model name.
        stream: whether the client asked for a stream.
        wants_usage: whether the client is to get the usage chunk of a chat stream.
        account: who pays.
        key: the API key used.
        groups: the groups the key may use, in the order in which they are preferred.
        body_bytes: length of the whole request body.
        credit: bytes of DATA the dispatcher may send before the first CREDIT.
        max_output: the client's own limit on output tokens, 0 for none.
        traceparent: W3C trace context that the client sent, for the provider; empty if there is none.
        headers: those of the client's that its dialect lets go along, names in lower case.
        array: a stream is wanted as one JSON array (Gemini).
        user: whose key it is, 0 for nobody's.
        lease: number of the lease from which the edge pays for the job (`bus.allowance`), 0 for none.
        affinity: number of the conversation (`policy.affinity`), 0 for none.
        pricing: what the answer's cost is reckoned with, for a client that wants it in its usage report; None: no cost.
        strategy: how its channels are put in order.
        fallbacks: models that may take over, in their order.
        hedge: a second attempt may be made beside one that is late with its first token.
        asked: the model that the client named, where a budget has put another in its place; else empty.
        waiting: jobs that wait at the edge for room where this one is offered, behind it.
        continues: an answer that breaks off may be gone on with by another channel.
        frames: the newest version of frames that the edge reads; see docs/bus-protocol.md.
        trace: the `traceparent` of the edge's own span; empty for a job that is not traced.
        patience_ms: for so long after ``offered_ms`` the edge waits for the offer to be accepted.
    """

    edge: str
    reply: str
    offered_ms: int
    deadline_s: float
    dialect: str
    model: str
    stream: bool
    wants_usage: bool
    account: int
    key: int
    groups: tuple[str, ...]
    body_bytes: int
    credit: int
    max_output: int = 0
    traceparent: str = ""
    headers: dict[str, str] = {}
    array: bool = False
    user: int = 0
    lease: int = 0
    affinity: int = 0
    pricing: Pricing | None = None
    strategy: Strategy = Strategy.PRIORITY
    fallbacks: tuple[Fallback, ...] = ()
    hedge: bool = False
    asked: str = ""
    waiting: int = 0
    continues: bool = False
    frames: int = 1
    trace: str = ""
    patience_ms: int = 1000


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """Payload of ACCEPTED.

    Attributes:
        dispatcher: process id, for CREDIT, CANCEL and BODY.
        body_credit: bytes of the request body, in all, that may be sent now.
    """

    dispatcher: str
    body_credit: int


class UsageEvent(msgspec.Struct, frozen=True, array_like=True):
    """What one attempt used: the unit of metering. Identified by ``job`` and ``attempt``.

    Attributes:
        job: the job id.
        attempt: number of the attempt within the job, over all offers.
        account, key: who pays.
        model: public model name.
        upstream_model: the provider's name for it.
        group: the group through which the key reached the channel; its multiplier applies.
        channel, credential: who was called.
        units: what was used, in disjoint buckets.
        source: whether the provider reported it or the gateway counted it.
        charged: whether the client pays. A failed attempt, and one the edge gave up, costs us and not the client.
        outcome: empty for a complete answer, else the error that ended the attempt.
        status: HTTP status sent to the client, or the upstream's for an attempt that was not relayed.
        stream: whether it was a stream.
        started_ms: Unix time of the attempt's start, in milliseconds.
        first_token_ms: from start to first output, 0 if there was none.
        duration_ms: from start to end.
        user: whose key it was, 0 for nobody's.
        lease: number of the lease from which the edge pays, 0 for none.
        variant: what kinds of images these are, where their price depends on it: ``1024x1024/high``; empty if unknown.
        asked: the model that the client named, if it is not ``model``.
        continues: it went on with the answer of an earlier attempt of the job, which is charged for both.
        joined_output: tokens of output of attempts that went on with this one, which the client pays with it.
        trace: the `traceparent` of the attempt's span; empty for a job that is not traced.
    """

    job: bytes
    attempt: int
    account: int
    key: int
    model: str
    upstream_model: str
    group: str
    channel: int
    credential: int
    units: Units
    source: UsageSource
    charged: bool
    outcome: str
    status: int
    stream: bool
    started_ms: int
    first_token_ms: int
    duration_ms: int
    user: int = 0
    lease: int = 0
    variant: str = ""
    asked: str = ""
    continues: bool = False
    joined_output: int = 0
    trace: str = ""

    @property
    def billed(self) -> Units:
        """What the client pays, if it is charged."""
        if not self.joined_output:
            return self.units
        return msgspec.structs.replace(self.units, output=self.units.output + self.joined_output)


class Head(msgspec.Struct, frozen=True, array_like=True):
    """First part of a HEAD frame; the answer's first bytes may follow it.

    Attributes:
        status: HTTP status for the client.
        content_type: of the answer's body.
        attempt: number of the attempt that answers.
        attempts: how many attempts were made for the job in this offer.
        channel: name of the channel that answers.
        dispatcher: process id, for an edge that has had no ACCEPTED: a fast answer comes without.
        upstream_id: the provider's own request id, empty if it gave none.
        fidelity: what a translation lost, for a response header; empty for nothing.
        usage: of a whole answer that does not fit one frame, so that its cost can stand in the response's head; END
            settles it.
        model: the model that answers, where it is not the one of the envelope; else empty.
    """

    status: int
    content_type: str
    attempt: int
    attempts: int
    channel: str
    dispatcher: str
    upstream_id: str = ""
    fidelity: str = ""
    usage: UsageEvent | None = None
    model: str = ""


class VoidJob(msgspec.Struct, frozen=True, array_like=True):
    """An edge says that a job's client got an error and nothing else, so that the client pays nothing for it.

    Attributes:
        job: the job id.
        account: who would pay.
        lease: as in `UsageEvent`.
    """

    job: bytes
    account: int
    lease: int = 0


class UsageBatch(msgspec.Struct, frozen=True, array_like=True):
    """One message of the USAGE stream.

    Attributes:
        events: what attempts used.
        void: jobs that came to nothing although an offer of them may have been answered.
    """

    events: tuple[UsageEvent, ...]
    void: tuple[VoidJob, ...] = ()


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """What a dispatcher's streams have used so far; a part of them, if they are many.

    Attributes:
        dispatcher: process id.
        at_ms: Unix time at the dispatcher, in milliseconds.
        events: as they are to be settled if nothing more is heard of them.
    """

    dispatcher: str
    at_ms: int
    events: tuple[UsageEvent, ...]


class End(msgspec.Struct, frozen=True, array_like=True):
    """First part of an END frame; the answer's last bytes may follow it.

    Attributes:
        usage: of the attempt that answered; the edge keeps it until the dispatcher's beat says it is stored.
        usage_no: the dispatcher's running number of that event, compared with `Beat.stored`.
    """

    usage: UsageEvent
    usage_no: int


class Fail(msgspec.Struct, frozen=True, array_like=True):
    """Payload of FAIL.

    Attributes:
        fault: what to tell the client.
        elsewhere: the job was not begun (full, draining, too late): another dispatcher may have it.
        attempts: how many upstream calls were made.
        usage: of an attempt that produced output before it failed, or before its client left.
        usage_no: as in `End`.
        dispatcher: process id.
        unknown: the job has ended here, and what it used was told in a frame that was lost.
    """

    fault: Fault
    elsewhere: bool = False
    attempts: int = 0
    usage: UsageEvent | None = None
    usage_no: int = 0
    dispatcher: str = ""
    unknown: bool = False


class Withdrawal(msgspec.Struct, frozen=True, array_like=True):
    """Offers of a job up to and including ``offer`` are void: drop it, or close it if it runs.

    Attributes:
        job, offer: which.
        void: as in a CANCEL frame; see `bus.frames.encode_void`.
    """

    job: bytes
    offer: int
    void: bool = False


class Room(msgspec.Struct, frozen=True, array_like=True):
    """A dispatcher has room for jobs that wait at an edge; see `bus.edge_turns`.

    Attributes:
        dispatcher: to which they may be offered.
        jobs: how many.
        lanes: of which.
    """

    dispatcher: str
    jobs: int
    lanes: tuple[str, ...]


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """A process says that it lives.

    Attributes:
        role: ``edge``, ``dispatcher``, ``metering``, ``health`` or ``console``.
        process: its id.
        sent_ms: Unix time at the sender, in milliseconds.
        in_flight: jobs it holds.
        room: jobs it could take now (dispatchers).
        draining: it takes no new ones.
        stored: every usage event of this process up to this number is in JetStream (dispatchers).
        lanes: the lanes it serves (dispatchers), or in which jobs wait for room (edges).
        clock_ms: the sender's monotonic clock, in milliseconds; only differences mean something.
        finished: requests that have come to an end since the process started (edges).
        failures: those of them that failed, by error type; what never happened is left out (edges).
        streams: answers that are being streamed (edges).
        waiting: jobs that wait for room at a dispatcher (edges).
        unstored: usage events that are not yet in JetStream, those on disk included (dispatchers). With ``stored`` it
            makes the number of upstream calls since the process started.
        frames: the newest version of frames that it reads; see docs/bus-protocol.md.
        release: of the program, such as ``1.4.0``; empty from one that did not tell yet.
        masters: versions of the master keys that it holds (dispatchers, health, consoles).
        region: where it runs; empty where there is only one.
    """

    role: str
    process: str
    sent_ms: int
    in_flight: int = 0
    room: int = 0
    draining: bool = False
    stored: int = 0
    lanes: tuple[str, ...] = ()
    clock_ms: int = 0
    finished: int = 0
    failures: dict[str, int] = {}
    streams: int = 0
    waiting: int = 0
    unstored: int = 0
    frames: int = 1
    release: str = ""
    masters: tuple[int, ...] = ()
    region: str = ""


class AttemptOutcome(msgspec.Struct, frozen=True, array_like=True):
    """What happened to one attempt, for health.

    Attributes:
        channel, credential: who was called.
        model: public model name.
        error: None for success, else the error type.
        status: the upstream's HTTP status, 0 if there was none.
        first_token_ms: 0 if there was no output.
        output_tokens: 0 if unknown.
        duration_ms: from start to end.
        denied: the provider does not let the gateway use the model; says nothing of the channel's other models.
        stream: whether it was a stream; a plain answer's first output is its end.
    """

    channel: int
    credential: int
    model: str
    error: ErrorType | None
    status: int
    first_token_ms: int
    output_tokens: int
    duration_ms: int
    denied: bool = False
    stream: bool = False


class OutcomeBatch(msgspec.Struct, frozen=True, array_like=True):
    """One message on `subjects.OUTCOME`."""

    dispatcher: str
    outcomes: tuple[AttemptOutcome, ...]


class AllowanceDraw(msgspec.Struct, frozen=True, array_like=True):
    """An edge asks metering what these accounts may spend."""

    edge: str
    accounts: tuple[int, ...]


class AllowanceGrant(msgspec.Struct, frozen=True, array_like=True):
    """What an account may spend at one edge.

    Attributes:
        account: who.
        spendable_nano: in nano-USD; zero or less: no credit.
        lease_ms: how long the edge may rely on it.
    """

    account: int
    spendable_nano: int
    lease_ms: int


class AllowanceGrants(msgspec.Struct, frozen=True, array_like=True):
    """Metering's answer to an `AllowanceDraw`; accounts it does not know are left out."""

    grants: tuple[AllowanceGrant, ...]


class HealthSample(msgspec.Struct, frozen=True, array_like=True):
    """One line of a channel's history on the stream HEALTH.

    Attributes:
        channel, model: what was looked at; an empty model means the channel as a whole.
        at_ms: Unix time of the end of the interval, in milliseconds.
        state: ``serving``, ``ejected`` or ``probing``.
        weight: 0 to 1.
        successes, failures: attempts and probes in the interval.
        first_token_ms: mean over the interval's streams that succeeded, 0 if there were none.
        first_tokens: how many streams that mean is of.
    """

    channel: int
    model: str
    at_ms: int
    state: str
    weight: float
    successes: int
    failures: int
    first_token_ms: int
    first_tokens: int = 0


class CredentialEvent(msgspec.Struct, frozen=True, array_like=True):
    """A credential was refused by its provider, or serves again. On the stream HEALTH, written by health.

    Attributes:
        channel, credential: which.
        at_ms: Unix time in milliseconds.
        refused: False when it serves again.
        status: of the provider's refusal.
    """

    channel: int
    credential: int
    at_ms: int
    refused: bool
    status: int = 0


_encoder = msgspec.msgpack.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """Return any of the structs of this module as bytes."""
    return _encoder.encode(message)


decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
decode_accepted = msgspec.msgpack.Decoder(Accepted).decode
decode_head = msgspec.msgpack.Decoder(Head).decode
decode_end = msgspec.msgpack.Decoder(End).decode
decode_fail = msgspec.msgpack.Decoder(Fail).decode
decode_withdrawal = msgspec.msgpack.Decoder(Withdrawal).decode
decode_room = msgspec.msgpack.Decoder(Room).decode
decode_beat = msgspec.msgpack.Decoder(Beat).decode
decode_checkpoint = msgspec.msgpack.Decoder(Checkpoint).decode
decode_usage_batch = msgspec.msgpack.Decoder(UsageBatch).decode
decode_outcome_batch = msgspec.msgpack.Decoder(OutcomeBatch).decode
decode_allowance_draw = msgspec.msgpack.Decoder(AllowanceDraw).decode
decode_allowance_grants = msgspec.msgpack.Decoder(AllowanceGrants).decode
decode_credential_event = msgspec.msgpack.Decoder(CredentialEvent).decode
decode_health_sample = msgspec.msgpack.Decoder(HealthSample).decode
