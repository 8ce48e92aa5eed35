"""Usage events and prices for tests of the ledger and of metering."""

import itertools

from trunkline.bus.messages import UsageEvent
from trunkline.core.ids import JobID, JobIDMint
from trunkline.core.usage import Units, UsageSource
from trunkline.store.database import Connection

MODEL = "small"
STARTED_MS = 1_790_000_000_000
INPUT_PRICE, OUTPUT_PRICE, COST_PRICE = 1_000_000, 2_000_000, 500_000
"""In nano-USD per million: 1 nano-USD per input token, 2 per output token; either costs us 0.5."""

_mint = JobIDMint(0x7E57)
_moments = itertools.count(STARTED_MS)


def new_job() -> JobID:
    """Return a job id that no other test uses."""
    return _mint.mint(next(_moments))


def usage_event(
    *,
    job: bytes | None = None,
    attempt: int = 1,
    account: int = 1,
    key: int = 1,
    model: str = MODEL,
    group: str = "default",
    channel: int = 1,
    units: Units | None = None,
    source: UsageSource = UsageSource.REPORTED,
    charged: bool = True,
    outcome: str = "",
    started_ms: int = STARTED_MS,
    variant: str = "",
    lease: int = 0,
    user: int = 0,
    asked: str = "",
    continues: bool = False,
    joined_output: int = 0,
) -> UsageEvent:
    """Return an event: by default a complete answer of 100 input and 50 output tokens, worth 200 nano-USD."""
    return UsageEvent(
        job=new_job() if job is None else job,
        attempt=attempt,
        account=account,
        key=key,
        model=model,
        upstream_model=f"{model}-upstream",
        group=group,
        channel=channel,
        credential=3,
        units=Units(input=100, output=50) if units is None else units,
        source=source,
        charged=charged,
        outcome=outcome,
        status=200,
        stream=True,
        started_ms=started_ms,
        first_token_ms=120,
        duration_ms=900,
        variant=variant,
        lease=lease,
        user=user,
        asked=asked,
        continues=continues,
        joined_output=joined_output,
    )


async def add_account(connection: Connection, name: str = "acme") -> int:
    """Add an account and return its id."""
    account: int = await connection.fetchval("insert into accounts (name) values ($1) returning id", name)
    return account


async def add_prices(connection: Connection, *, model: str = MODEL) -> int:
    """Add a channel, the prices of this module for a model, and their costs there; return the channel's id."""
    channel: int = await connection.fetchval(
        "insert into channels (name, dialect, base_url, models, groups, timeouts, params)"
        " values ('channel of ' || $1, 'openai', 'http://upstream', '{}', '{default}', '{}', '{}') returning id",
        model,
    )
    await add_price(connection, model=model, input_price=INPUT_PRICE)
    await connection.execute(
        "insert into channel_costs (channel_id, model, effective_from, prices)"
        " values ($1, $2, to_timestamp(0), jsonb_build_object('input', $3::bigint, 'output', $3::bigint))",
        channel,
        model,
        COST_PRICE,
    )
    return channel


async def add_price(connection: Connection, *, model: str, input_price: int) -> int:
    """Add a newer price version, in force since ever, and return its id."""
    version: int = await connection.fetchval(
        "insert into model_prices (model, effective_from, prices, source) values ($1, to_timestamp(0),"
        " jsonb_build_object('input', $2::bigint, 'output', $3::bigint), 'test') returning id",
        model,
        input_price,
        OUTPUT_PRICE,
    )
    return version
