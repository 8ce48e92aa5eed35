"""Configuration as edges, dispatchers and health hold it in memory: the values of the KV buckets.

The console projects Postgres to these structs (encoded as JSON, so that an operator can read a bucket); the
others watch them. Each struct is whole: a reader needs no second one to act on it, save for the look-ups by id.
"""

from enum import StrEnum

import msgspec

from trunkline.core import limits
from trunkline.protocol.vendor import DEFAULTS, VendorOptions


class Strategy(StrEnum):
    """How the channels that could serve a job are put in order (`policy.strategies`)."""

    PRIORITY = "priority"
    """By their priority, and by weight among equals."""
    COST = "cost"
    """The cheapest for the operator first."""
    LATENCY = "latency"
    """Those that begin to answer soonest."""
    THROUGHPUT = "throughput"
    """Those that write fastest."""
    LEAST_BUSY = "least-busy"
    """Those with the fewest jobs for their weight."""


class KeyPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bucket ``keys``; the entry's name is the keyed hash of the secret (`policy.keys.key_hash`).

    Attributes:
        key, key_name: the key.
        account, account_name: who pays.
        groups: groups it may use, in order of preference.
        models: patterns of public model names; ``*`` matches any run of characters.
        expires_ms: Unix time in milliseconds after which it is refused.
        allow_ips: CIDR ranges; empty allows all.
        blocked: refused although it exists.
        user: whose it is, 0 for nobody's.
        endpoints: names of the endpoints that it may call (`services.edge.routes.Match.label`); empty allows all.
        strategy: for its jobs; None leaves it to the model.
        priority: of its account's tier: where the gateway is full, jobs of a higher one go first.
    """

    key: int
    key_name: str
    account: int
    account_name: str
    groups: tuple[str, ...] = ("default",)
    models: tuple[str, ...] = ("*",)
    expires_ms: int | None = None
    allow_ips: tuple[str, ...] = ()
    blocked: bool = False
    user: int = 0
    endpoints: tuple[str, ...] = ()
    strategy: Strategy | None = None
    priority: int = 0


class CredentialLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the gateway itself keeps a credential to, over all dispatchers; None is no limit.

    Attributes:
        jobs: attempts at a time.
        rpm: attempts in a minute.
        tpm: tokens in a minute, input and output.
    """

    jobs: int | None = None
    rpm: int | None = None
    tpm: int | None = None


class SealedCredential(msgspec.Struct, frozen=True, omit_defaults=True):
    """One upstream secret, encrypted (`policy.vault`).

    Attributes:
        id: of the credential.
        master: version of the master key that sealed it.
        nonce: 12 bytes.
        ciphertext: with the authentication tag.
        weight: its share where the channel shares by weight.
        limits: its own; what is None there is the channel's.
    """

    id: int
    master: int
    nonce: bytes
    ciphertext: bytes
    weight: int = 1
    limits: CredentialLimits = CredentialLimits()


class CredentialOrder(StrEnum):
    """Which credential of a channel an attempt uses that belongs to no conversation."""

    TURNS = "turns"
    """One after the other."""
    LEAST_USED = "least-used"
    """The one with the fewest attempts under way."""
    WEIGHTED = "weighted"
    """By their weights."""


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds an attempt on a channel may take for each of its parts.

    Attributes:
        connect_s: to connect.
        first_token_s: to the first output of a stream. A plain answer shows nothing before it is whole.
        idle_s: between two chunks of a stream.
        total_s: for all of it.
    """

    connect_s: float = limits.CONNECT_TIMEOUT_S
    first_token_s: float = limits.FIRST_TOKEN_TIMEOUT_S
    idle_s: float = limits.IDLE_TIMEOUT_S
    total_s: float = limits.TOTAL_TIMEOUT_S


class Clamp(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bounds of a numeric request parameter."""

    min: float | None = None
    max: float | None = None


class ParameterRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is changed in a request before it goes to a channel: drop, set, default, clamp, rename, in this order.

    Attributes:
        drop: fields that are removed.
        set: fields that are given a value.
        default: fields that are given a value where the request has none.
        clamp: bounds of numeric fields that are there.
        rename: fields by the names that the others know them by, to the provider's names.
    """

    drop: tuple[str, ...] = ()
    set: dict[str, msgspec.Raw] = {}
    default: dict[str, msgspec.Raw] = {}
    clamp: dict[str, Clamp] = {}
    rename: dict[str, str] = {}


class ChannelOverride(msgspec.Struct, frozen=True, omit_defaults=True):
    """What differs for some of a channel's models.

    Attributes:
        models: patterns of public model names; of several overrides that match, all apply in their order.
        timeouts: in place of the channel's; None leaves them.
        params: after the channel's.
    """

    models: tuple[str, ...]
    timeouts: Timeouts | None = None
    params: ParameterRules = ParameterRules()


class HeaderRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is changed in the header of a request before it goes to a channel; names in lower case.

    Attributes:
        drop: lines that are left out, of those that the dialect would send.
        set: lines that are added, or take the place of others.
    """

    drop: tuple[str, ...] = ()
    set: dict[str, str] = {}


class ProbeKind(StrEnum):
    """What health asks a channel to see whether it works."""

    MODELS = "models"
    """Its list of models; costs nothing."""
    COMPLETION = "completion"
    """One token of an answer."""
    EMBEDDING = "embedding"
    """The embedding of one word."""
    TCP = "tcp"
    """Only a connection."""


class Probe(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a channel is probed.

    Attributes:
        kind: see there.
        model: public name of the model that is asked; empty: the first of the channel's by name.
        interval_s: between two probes; None: as the setting says.
        paid_per_day: most probes in 24 hours that the provider charges for; past it, only connections are tried.
    """

    kind: ProbeKind = ProbeKind.MODELS
    model: str = ""
    interval_s: float | None = None
    paid_per_day: int = limits.PAID_PROBES_PER_DAY


class ChannelSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bucket ``channels``; the entry's name is the channel's id in decimal.

    Attributes:
        id, name: the channel.
        dialect: one of `protocol.names.UPSTREAMS`.
        base_url: with its version segment, without a trailing slash.
        credentials: at least one unless the upstream wants none.
        models: public model name to the upstream's.
        groups: groups that may use it.
        priority: higher ones are tried first.
        weight: share among channels of one priority.
        enabled: off, it takes no job and is not probed.
        timeouts, params: see there.
        stream_usage: whether it understands ``stream_options.include_usage``.
        options: what its provider needs beside its dialect.
        drained: takes no new job, but what it has goes on, and it is probed.
        credential_order: see there.
        limits: of each of its credentials; of the channel, where its upstream wants none.
        overrides: what differs for some of its models.
        headers: see there.
        status_map: a status of the upstream to the one that it is read as.
        probe: see there.
        costs: what a million tokens cost the operator, in nano-USD, by public model name, for the strategy ``cost``:
            three parts input, one part output. A model that is missing has no known cost.
    """

    id: int
    name: str
    dialect: str
    base_url: str
    credentials: tuple[SealedCredential, ...]
    models: dict[str, str]
    groups: tuple[str, ...] = ("default",)
    priority: int = 0
    weight: int = 100
    enabled: bool = True
    timeouts: Timeouts = Timeouts()
    params: ParameterRules = ParameterRules()
    stream_usage: bool = True
    options: VendorOptions = DEFAULTS
    drained: bool = False
    credential_order: CredentialOrder = CredentialOrder.TURNS
    limits: CredentialLimits = CredentialLimits()
    overrides: tuple[ChannelOverride, ...] = ()
    headers: HeaderRules = HeaderRules()
    status_map: dict[int, int] = {}
    probe: Probe = Probe()
    costs: dict[str, int] = {}


class ModelRouting(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a model's jobs are routed beyond its own channels.

    Attributes:
        strategy: None leaves it to the group.
        fallbacks: models that take over when none of its channels can answer, in their order.
        context_fallbacks: models that take over when a request is too long for it.
        filter_fallbacks: models that take over when a provider's filter refuses a request.
        hedge: whether a second attempt is made where the first is late with its first token.
        continues: whether the rest of an answer that breaks off is fetched from another channel (ADR 12).
    """

    strategy: Strategy | None = None
    fallbacks: tuple[str, ...] = ()
    context_fallbacks: tuple[str, ...] = ()
    filter_fallbacks: tuple[str, ...] = ()
    hedge: bool = False
    continues: bool = False


class ModelSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bucket ``models``; the entry's name is `subjects.kv_token` of the model's name. What edges need of a model.

    Attributes:
        name: public model name.
        groups: groups through which an enabled channel serves it.
        lane: the dispatchers that take its jobs.
        created: Unix time in seconds, for the models list.
        owned_by: for the models list.
        prices: those in force, in nano-USD per million units, by the kinds that `policy.pricing` knows.
        free: costs the client nothing. A model that is not free and has no prices cannot be used.
        multipliers_ppm: of those groups whose multiplier is not one, in parts per million.
        routing: see there.
        strategies: of those groups that have one.
    """

    name: str
    groups: tuple[str, ...]
    lane: str = "default"
    created: int = 0
    owned_by: str = "trunkline"
    prices: dict[str, int] = {}
    free: bool = False
    multipliers_ppm: dict[str, int] = {}
    routing: ModelRouting = ModelRouting()
    strategies: dict[str, Strategy] = {}


class ChannelState(StrEnum):
    """What health makes of a channel."""

    SERVING = "serving"
    EJECTED = "ejected"
    PROBING = "probing"


class ModelFigures(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a channel has served a model of late, over all dispatchers; 0 where nothing is known.

    Attributes:
        first_token_ms: to the first output of a stream.
        tokens_per_s: of output, from the first on.
    """

    first_token_ms: int = 0
    tokens_per_s: int = 0


class ChannelWeight(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bucket ``weights``; the entry's name is the channel's id in decimal.

    Attributes:
        channel: its id.
        state: see `ChannelState`.
        weight: 0 to 1, multiplied into the channel's own weight.
        version: grows with each publication, so that a late one is not taken for news.
        reason: why, for people; static words, no upstream text.
        refused: public names of models that its provider lists and does not let the gateway use.
        figures: by public model name.
    """

    channel: int
    state: ChannelState
    weight: float
    version: int
    reason: str = ""
    refused: tuple[str, ...] = ()
    figures: dict[str, ModelFigures] = {}


class ModelAccess(msgspec.Struct, frozen=True):
    """Bucket ``access``; the entry's name is `subjects.kv_token` of the model's name. Written by health while it lasts.

    Attributes:
        name: public model name.
        closed: groups through which no channel is let use the model, although some are configured for it.
    """

    name: str
    closed: tuple[str, ...]


encode = msgspec.json.Encoder().encode
decode_key_policy = msgspec.json.Decoder(KeyPolicy).decode
decode_channel = msgspec.json.Decoder(ChannelSnapshot).decode
decode_model = msgspec.json.Decoder(ModelSnapshot).decode
decode_weight = msgspec.json.Decoder(ChannelWeight).decode
decode_access = msgspec.json.Decoder(ModelAccess).decode
