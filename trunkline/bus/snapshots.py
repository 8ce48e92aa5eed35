"""Configuration as edges, dispatchers and health hold it in memory: the values of the KV buckets.

The console projects Postgres to these structs (encoded as JSON, so that an operator can read a bucket); the
others watch them. Each struct is whole: a reader needs no second one to act on it, save for the look-ups by id.
"""

from enum import StrEnum

import msgspec

from trunkline.core import limits
from trunkline.protocol.vendor import DEFAULTS, VendorOptions


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


class SealedCredential(msgspec.Struct, frozen=True):
    """One upstream secret, encrypted (`policy.vault`).

    Attributes:
        id: of the credential.
        master: version of the master key that sealed it.
        nonce: 12 bytes.
        ciphertext: with the authentication tag.
    """

    id: int
    master: int
    nonce: bytes
    ciphertext: bytes


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
    """What is changed in a request before it goes to a channel: drop, then set, then clamp."""

    drop: tuple[str, ...] = ()
    set: dict[str, msgspec.Raw] = {}
    clamp: dict[str, Clamp] = {}


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
    """

    name: str
    groups: tuple[str, ...]
    lane: str = "default"
    created: int = 0
    owned_by: str = "trunkline"
    prices: dict[str, int] = {}
    free: bool = False
    multipliers_ppm: dict[str, int] = {}


class ChannelState(StrEnum):
    """What health makes of a channel."""

    SERVING = "serving"
    EJECTED = "ejected"
    PROBING = "probing"


class ChannelWeight(msgspec.Struct, frozen=True):
    """Bucket ``weights``; the entry's name is the channel's id in decimal.

    Attributes:
        channel: its id.
        state: see `ChannelState`.
        weight: 0 to 1, multiplied into the channel's own weight.
        version: grows with each publication, so that a late one is not taken for news.
        reason: why, for people; static words, no upstream text.
    """

    channel: int
    state: ChannelState
    weight: float
    version: int
    reason: str = ""


encode = msgspec.json.Encoder().encode
decode_key_policy = msgspec.json.Decoder(KeyPolicy).decode
decode_channel = msgspec.json.Decoder(ChannelSnapshot).decode
decode_model = msgspec.json.Decoder(ModelSnapshot).decode
decode_weight = msgspec.json.Decoder(ChannelWeight).decode
