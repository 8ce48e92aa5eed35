"""What edges and metering say to each other about allowances (ADR 6), on `subjects.ALLOW` and `subjects.recall`.

Encoded as in `bus.messages`: MessagePack arrays whose fields are only ever appended.
"""

import enum

import msgspec

WALLET = "wallet"
"""Id of the meter of an account's money; every account has it."""


class MeterKind(enum.IntEnum):
    """What a meter counts, and how it is given back."""

    MONEY = 1
    """Nano-USD. Accounted for by totals; settlement makes the spending good."""
    REQUESTS = 2
    TOKENS = 3
    IMAGES = 4
    CONCURRENCY = 5
    """Jobs at a time: permits that are held and returned."""


class Period(enum.IntEnum):
    """Over which time a meter's limit holds."""

    NONE = 0
    """The wallet and jobs at a time."""
    MINUTE = 1
    """Any 60 seconds."""
    DAY = 2
    """A calendar day in the account's time zone."""
    MONTH = 3
    """A calendar month in the account's time zone."""


class Meter(msgspec.Struct, frozen=True, array_like=True):
    """One bound of an account.

    Attributes:
        id: unique within the account, the same as long as the meter means the same: ``wallet``, ``tier:rpm``,
            ``key:12:daily``.
        kind, period: see there.
        limit: in units of the kind; 0 for the wallet, whose bound is its balance.
        key, user: only jobs of this key or user; 0 for all.
        group: only jobs for which this is the first of their groups; empty for all.
        models: patterns of model names it counts; empty for all.
        cheaper: for a budget, the model that takes over when it is used up, by public name; empty: refuse.
    """

    id: str
    kind: MeterKind
    period: Period
    limit: int
    key: int = 0
    user: int = 0
    group: str = ""
    models: tuple[str, ...] = ()
    cheaper: dict[str, str] = {}


class Demand(msgspec.Struct, frozen=True, array_like=True):
    """What the waiting jobs of one key, model and group need together.

    Attributes:
        key, user, model: whose.
        group: the first through which the key reaches the model.
        jobs: how many.
        nano: their holds in nano-USD.
        nano_min: with how much one of them can begin.
        tokens: input and bound on output.
        tokens_min: as ``nano_min``.
        images: that they ask for.
    """

    key: int
    user: int
    model: str
    group: str
    jobs: int
    nano: int
    nano_min: int
    tokens: int
    tokens_min: int
    images: int


class SliceReport(msgspec.Struct, frozen=True, array_like=True):
    """What a lease has of one meter.

    Attributes:
        meter: its id.
        drawn: of money: all that the lease drew less all it returned, ever. Of concurrency: permits that it keeps.
            Else 0.
        idle: what it keeps and no job holds; counts towards what waiting jobs need.
        wish: what it would like to have in hand beyond the demands, in units of the meter.
        returned: units of a bucket that were not used, by the bucket's number, for minute and day meters. Negative:
            used beyond what was granted.
    """

    meter: str
    drawn: int = 0
    idle: int = 0
    wish: int = 0
    returned: dict[int, int] = {}


class LeaseDraw(msgspec.Struct, frozen=True, array_like=True):
    """One lease's report, and what it wants.

    Attributes:
        account: whose.
        lease: its number.
        number: of this draw within the lease, from 1; an answer to an older one is ignored.
        applied: of the last draw whose answer arrived; what was granted for one after it never reached the edge.
        keys: those whose meters it does not know yet, and those that have meters of their own.
        slices: all it holds of any meter.
        demands: of waiting jobs.
        closing: the edge has no more jobs of the account and returns everything.
    """

    account: int
    lease: int
    number: int
    applied: int
    keys: tuple[int, ...] = ()
    slices: tuple[SliceReport, ...] = ()
    demands: tuple[Demand, ...] = ()
    closing: bool = False


class AllowanceDraw(msgspec.Struct, frozen=True, array_like=True):
    """An edge's draws, one per account.

    Attributes:
        edge: process id of the edge.
        draws: see there.
    """

    edge: str
    draws: tuple[LeaseDraw, ...]


class SliceState(enum.IntEnum):
    """What metering says of a meter beyond the units that it grants."""

    FREE = 0
    """There is more."""
    SCARCE = 1
    """There is little: keep nothing idle, return what no job holds."""
    WAIT = 2
    """Demands were not met, but others hold idle units or jobs in flight: ask again shortly."""
    SPENT = 3
    """Demands were not met, and will not be before `SliceGrant.reset_ms`."""


class SliceGrant(msgspec.Struct, frozen=True, array_like=True):
    """Units of one meter.

    Attributes:
        meter: see there.
        drawn: of money and concurrency: the lease's new total. Else 0.
        granted: of the others: new units.
        bucket: to which these belong.
        remaining: what is left of the limit (or the wallet) for all edges, after this.
        reset_ms: until a minute or day meter is whole again or, if it is spent, until units are free; 0 if unknown.
        settled: of money: what of the lease's jobs is booked; the lease has spent at least that.
        state: see there.
    """

    meter: Meter
    drawn: int = 0
    granted: int = 0
    bucket: int = 0
    remaining: int = 0
    reset_ms: int = 0
    settled: int = 0
    state: SliceState = SliceState.FREE


class LeaseGrant(msgspec.Struct, frozen=True, array_like=True):
    """The answer to a `LeaseDraw`.

    Attributes:
        account, lease, number: of the draw.
        known: whether the account exists.
        lease_ms: how long the edge may rely on it before it reports again.
        keys: of the draw: their meters are all in ``slices``.
        slices: one per meter that applies to the account or to one of ``keys``; others are no more.
        discount_ppm: volume discount on prices at present, in parts per million.
        edges: how many edges hold leases of the account.
        terms: another number than before: limits may have changed, of keys that the draw did not name as well.
        over: metering knows the lease no more, since its edge was silent for too long: nothing can be had from it, and
            the next job needs a new one.
    """

    account: int
    lease: int
    number: int
    known: bool
    lease_ms: int
    keys: tuple[int, ...] = ()
    slices: tuple[SliceGrant, ...] = ()
    discount_ppm: int = 0
    edges: int = 1
    terms: int = 0
    over: bool = False


class AllowanceGrants(msgspec.Struct, frozen=True, array_like=True):
    """Metering's answer to an `AllowanceDraw`; accounts that it could not decide now are left out."""

    grants: tuple[LeaseGrant, ...]


class Recall(msgspec.Struct, frozen=True, array_like=True):
    """Metering asks an edge to report these accounts now and to return what no job needs."""

    accounts: tuple[int, ...]


decode_allowance_draw = msgspec.msgpack.Decoder(AllowanceDraw).decode
decode_allowance_grants = msgspec.msgpack.Decoder(AllowanceGrants).decode
decode_recall = msgspec.msgpack.Decoder(Recall).decode
