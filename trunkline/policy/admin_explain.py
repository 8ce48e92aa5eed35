"""What the admin API says of routing: who would serve a job now and why, and what became of one."""

import datetime as dt
from enum import StrEnum

import msgspec

from trunkline.bus.messages import FallbackOn
from trunkline.bus.snapshots import ChannelState, Strategy
from trunkline.protocol.fidelity import Feature


class RouteQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A job that might come.

    Attributes:
        model: public name.
        account, key: names of the key that it would come with; both or neither.
        groups: in place of a key: those that it could use, in the order in which they are preferred.
        dialect: that its client would speak; if it is left out, nothing is said of translation.
        needs: what the request would use that not every dialect has.
        stream: whether the answer would be one.
        strategy: that the client would ask for.
    """

    model: str
    account: str | None = None
    key: str | None = None
    groups: tuple[str, ...] = ("default",)
    dialect: str | None = None
    needs: tuple[Feature, ...] = ()
    stream: bool = True
    strategy: Strategy | None = None


class StrategySource(StrEnum):
    """Who has decided on the strategy; the first of them that says anything does."""

    REQUEST = "request"
    KEY = "key"
    MODEL = "model"
    GROUP = "group"
    DEFAULT = "default"


class Refused(StrEnum):
    """Why no job gets as far as a dispatcher."""

    KEY_BLOCKED = "key_blocked"
    KEY_EXPIRED = "key_expired"
    NO_MODEL = "no_model"
    NOT_ALLOWED = "not_allowed"
    NO_GROUP = "no_group"
    UNPRICED = "unpriced"


class LeftOut(StrEnum):
    """Why a channel that has the model is not asked."""

    OFF = "off"
    DRAINED = "drained"
    GROUP = "group"
    UNREADABLE = "unreadable"
    EJECTED = "ejected"
    MODEL_REFUSED = "model_refused"
    CREDENTIALS_REFUSED = "credentials_refused"
    NEED = "need"


class NotKnown(StrEnum):
    """What a dispatcher knows and the console does not; it may change the order."""

    OWN_JUDGEMENT = "own_judgement"
    """Each dispatcher leaves a channel out that fails for it, for a while."""
    COOLING = "cooling"
    """Credentials that a provider limits rest for as long as it asks."""
    UNDER_WAY = "under_way"
    """What is under way on each channel: it makes one look slower, and is all that ``least-busy`` compares."""
    CONVERSATION = "conversation"
    """A conversation stays where it was."""
    REFUSED_CREDENTIALS = "refused_credentials"
    """Which credentials are refused stands in Postgres, which does not answer."""


class RouteFigures(msgspec.Struct, frozen=True):
    """What a strategy goes by.

    Attributes:
        share: part of the jobs that ask this channel first within its tier, where that is drawn; else null.
        score: what is compared, lower is better: seconds to an answer (``latency``), for a token (``throughput``), or
            calls by weight (``least-busy``); else null.
        first_token_ms, tokens_per_s: as health has seen them of late; null if not known.
        cost_nano: what a million tokens cost the operator, three parts input and one output; null if not known.
    """

    share: float | None
    score: float | None
    first_token_ms: int | None
    tokens_per_s: int | None
    cost_nano: int | None


class RouteCandidate(msgspec.Struct, frozen=True):
    """A channel that would be asked.

    Attributes:
        tier: number of those that are alike to the strategy; the first is asked first.
        turn: part of the jobs that ask this tier in its turn: fewer, where all of it is recovering. The others ask it
            last.
        channel: name.
        dialect: the channel's.
        group: through which it is reached.
        upstream_model: the provider's name for the model.
        priority, weight: as configured.
        state, health: what health says of it, and the factor that it multiplies into the weight.
        credentials, credentials_refused: how many it has, and how many of them its provider refuses.
        translated: whether the request would have to be translated; null if no dialect was asked about.
        lost: what of the needs would be changed or left out on the way.
        figures: see there.
    """

    tier: int
    turn: float
    channel: str
    dialect: str
    group: str
    upstream_model: str
    priority: int
    weight: int
    state: ChannelState
    health: float
    credentials: int
    credentials_refused: int
    translated: bool | None
    lost: tuple[Feature, ...]
    figures: RouteFigures


class RouteLeftOut(msgspec.Struct, frozen=True):
    """A channel that has the model and would not be asked.

    Attributes:
        channel: name.
        why: see there.
        message: the same in a sentence, with what to do.
        names: what the sentence names: the channel's groups (``group``), health's reason (``ejected``), what cannot be
            carried (``need``).
    """

    channel: str
    why: LeftOut
    message: str
    names: tuple[str, ...] = ()


class RouteFallback(msgspec.Struct, frozen=True):
    """A model that would take over.

    Attributes:
        model: public name.
        on: when.
        reached: whether the key may use it, through a group in which a channel serves it.
    """

    model: str
    on: tuple[FallbackOn, ...]
    reached: bool


class RoutePlan(msgspec.Struct, frozen=True):
    """Who would serve a job, at this moment.

    Attributes:
        at: when this was worked out.
        model: public name.
        groups: through which the model is reached, in the order in which they are preferred.
        strategy, strategy_from: how channels are put in order, and who says so.
        refused, message: why the job would get no further than its edge, or find nobody; null and empty if it would.
        candidates: in the order in which they would be asked.
        left_out: see there.
        fallbacks: those of the model's operator; what a client names comes before them.
        hedge, continues: as in `bus.snapshots.ModelRouting`.
        not_known: see there.
    """

    at: dt.datetime
    model: str
    groups: tuple[str, ...]
    strategy: Strategy
    strategy_from: StrategySource
    refused: Refused | None
    message: str
    candidates: tuple[RouteCandidate, ...]
    left_out: tuple[RouteLeftOut, ...]
    fallbacks: tuple[RouteFallback, ...]
    hedge: bool
    continues: bool
    not_known: tuple[NotKnown, ...]


class JobAttempt(msgspec.Struct, frozen=True):
    """An upstream call that was made for a job.

    Attributes:
        attempt: its number within its offer.
        offer: number of the offer of the job to a dispatcher that took it, beside those that were not taken.
        channel: its name, or its number where it is gone.
        credential: start of its keyed hash; null where it is gone, or the provider wants none.
        model, upstream_model, group: with which it was made.
        outcome: null for a whole answer, else how it ended.
        status: of HTTP.
        started_at: when it began.
        first_token_ms: from there to the first output; null if there was none.
        duration_ms: from there to the end.
        charged: whether the client pays for it.
        continues: it went on with the answer of the one before.
    """

    attempt: int
    offer: int
    channel: str
    credential: str | None
    model: str
    upstream_model: str
    group: str
    outcome: str | None
    status: int
    started_at: dt.datetime
    first_token_ms: int | None
    duration_ms: int
    charged: bool
    continues: bool


class NotKept(StrEnum):
    """What of a job was not written down."""

    STRATEGY = "strategy"
    """The strategy that it had then."""
    PLAN = "plan"
    """Who else could have been asked, and how they stood."""
    REQUEST = "request"
    """Its client's dialect, its needs and the fallbacks that it named."""


class JobThen(msgspec.Struct, frozen=True):
    """What is known of a job from when it ran: its attempts, as they were settled.

    Attributes:
        account, key: names, or numbers where they are gone.
        asked: the model that the client named.
        served: the model that answered; null if none did.
        stream: whether the answer was to be one.
        attempts: in their order.
        not_kept: see there.
    """

    account: str
    key: str
    asked: str
    served: str | None
    stream: bool
    attempts: tuple[JobAttempt, ...]
    not_kept: tuple[NotKept, ...]


class JobExplained(msgspec.Struct, frozen=True):
    """A job.

    Attributes:
        request: its id.
        then: what was written down when it ran.
        now: what its plan would be at this moment: channels, weights and prices may be others than they were.
    """

    request: str
    then: JobThen
    now: RoutePlan
