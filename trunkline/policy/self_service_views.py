"""What a client is shown of its own key, use and requests: the JSON of the edge's self-service, as structs.

Money is given twice: in USD as decimal text, without losing a digit, and as a whole number of nano-USD. `self_service`
fills them in.
"""

import datetime as dt

import msgspec


class LimitView(msgspec.Struct, frozen=True):
    """A limit.

    Attributes:
        of: what it counts.
        per: ``minute``, ``day``, or null for requests at a time.
        scope: whom it bounds: ``account``, ``user``, ``key`` or ``group``.
        models: patterns of those that it counts; empty for all.
        limit, used, remaining: in units of ``of``.
        resets_in_s: until all of it is there again; null where time alone gives nothing back.
    """

    of: str
    per: str | None
    scope: str
    models: tuple[str, ...]
    limit: int
    used: int
    remaining: int
    resets_in_s: float | None


class BudgetView(msgspec.Struct, frozen=True):
    """A budget; fields as in `LimitView`, money as in the module."""

    per: str | None
    scope: str
    models: tuple[str, ...]
    limit_usd: str
    limit_nano: int
    spent_usd: str
    spent_nano: int
    remaining_usd: str
    remaining_nano: int
    resets_in_s: float


class UsageView(msgspec.Struct, frozen=True):
    """Sums over answers that were charged; fields as in `bus.inquiry.UsageSums`."""

    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    charge_usd: str
    charge_nano: int


class KeyUsageView(msgspec.Struct, frozen=True):
    """What a key was used for, in periods of the account's time zone; null for too much use to be summed up in time."""

    today: UsageView | None
    this_week: UsageView | None
    this_month: UsageView | None


class KeyView(msgspec.Struct, frozen=True):
    """A key as its holder sees it.

    Attributes:
        name, account: of the key and of who pays.
        tier: null for none.
        groups, models, endpoints: what it may use; no ``endpoints`` are all of them.
        expires_at: null for never.
        time_zone: whose days and months these are.
        balance_usd, balance_nano: of the account.
        limits, budgets: all that bound the key; the tightest one decides.
        usage: of this key.
    """

    object: str
    name: str
    account: str
    tier: str | None
    groups: tuple[str, ...]
    models: tuple[str, ...]
    endpoints: tuple[str, ...]
    expires_at: dt.datetime | None
    time_zone: str
    balance_usd: str
    balance_nano: int
    limits: list[LimitView]
    budgets: list[BudgetView]
    usage: KeyUsageView


class UsageRowView(UsageView, frozen=True):
    """Sums, and what they are of: only what was asked for by ``by`` is there.

    Attributes:
        day, model, group: see there.
        key: name of the key; null where it was deleted.
        key_id: its number, which stays.
    """

    day: str | msgspec.UnsetType = msgspec.UNSET
    model: str | msgspec.UnsetType = msgspec.UNSET
    group: str | msgspec.UnsetType = msgspec.UNSET
    key: str | msgspec.UnsetType | None = msgspec.UNSET
    key_id: int | msgspec.UnsetType = msgspec.UNSET


class UsageListView(msgspec.Struct, frozen=True, rename={"first": "from", "last": "to"}):
    """Sums of a span of days.

    Attributes:
        scope: ``key`` or ``account``.
        first, last: ``from`` and ``to`` in JSON; both days are part of it.
        time_zone: whose days these are.
        by: what the rows are told apart by.
        data: the rows.
    """

    object: str
    scope: str
    first: str
    last: str
    time_zone: str
    by: tuple[str, ...]
    data: list[UsageRowView]


class AttemptView(msgspec.Struct, frozen=True):
    """One call of a provider.

    Attributes:
        model: public name.
        outcome: ``ok`` or the error that ended it.
        status: HTTP status.
        duration_ms: from start to end.
    """

    model: str
    outcome: str
    status: int
    duration_ms: int


class GenerationView(msgspec.Struct, frozen=True):
    """One request. Says nothing of who answered it but the group through which the key reached them.

    Attributes:
        id: the request's.
        model: whose answer it is, by public name.
        model_asked: which the client named; another one than ``model`` where a fallback or a cheaper one answered.
        group: see above.
        stream: whether it was one.
        outcome: ``ok`` or the error that ended it.
        status: HTTP status.
        cost_usd, cost_nano: what was charged.
        tokens: used, by kind; kinds that were not used are left out.
        tokens_counted: the provider reported none, and the gateway counted them.
        created_at: start of the first attempt.
        first_token_ms: from the start of the attempt that answered to its first output; null if there was none.
        total_ms: from the start of the first attempt to the end of the last.
        attempts: in their order.
    """

    object: str
    id: str
    model: str
    model_asked: str
    group: str
    stream: bool
    outcome: str
    status: int
    cost_usd: str
    cost_nano: int
    tokens: dict[str, int]
    tokens_counted: bool
    created_at: dt.datetime
    first_token_ms: int | None
    total_ms: int
    attempts: list[AttemptView]


class OpenRouterGeneration(msgspec.Struct, frozen=True):
    """The same in the words of OpenRouter's ``GET /generation``, for programs that were written for it."""

    id: str
    total_cost: float
    usage: float
    created_at: dt.datetime
    model: str
    streamed: bool
    cancelled: bool
    latency: int | None
    generation_time: int
    tokens_prompt: int
    tokens_completion: int
    native_tokens_prompt: int
    native_tokens_completion: int
    native_tokens_reasoning: int
    native_tokens_cached: int


class SubscriptionView(msgspec.Struct, frozen=True):
    """What programs that show a balance read of OpenAI's old ``dashboard/billing/subscription``.

    They take ``hard_limit_usd`` less the total of `BillingUsageView` for what is left, whichever days they ask for; so
    it is all that was ever charged and what is left together, as New API has it.
    """

    object: str
    has_payment_method: bool
    soft_limit_usd: float
    hard_limit_usd: float
    system_hard_limit_usd: float
    access_until: int


class BillingUsageView(msgspec.Struct, frozen=True):
    """What they read of ``dashboard/billing/usage``: cents."""

    object: str
    total_usage: float
