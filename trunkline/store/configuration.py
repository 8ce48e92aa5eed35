"""Configuration rows to structs and back. Called by the console, each time inside its transaction.

Writers hold `lock_configuration` for the length of their transaction: configuration changes are rare, and one at a
time they see each other's rows, need no retry, and reach the outbox in the order in which they commit.
"""

import datetime as dt
from collections.abc import Collection, Iterable

import asyncpg
import msgspec

from trunkline.bus.snapshots import CredentialLimits, ModelRouting, ParameterRules, Strategy, Timeouts
from trunkline.policy.alerts import AlertTerms
from trunkline.policy.changes import EntityID, entity_id, in_order
from trunkline.policy.configuration import Configuration, Names
from trunkline.policy.configuration_values import normal_rules
from trunkline.policy.entities import (
    FROM_OPERATOR,
    Account,
    Channel,
    Cost,
    Credential,
    DiscountSchedules,
    Entity,
    FreeTrial,
    Group,
    Key,
    Model,
    Prices,
    SiteAlerts,
    Tier,
    User,
)
from trunkline.policy.meters import Budgets, Limits
from trunkline.protocol.vendor import VendorOptions
from trunkline.store.database import Connection
from trunkline.store.discounts import read_steps
from trunkline.store.routing_column import routing_fields

LOCK = 0x74_6C_63_66
"""The advisory lock of writers: ``tlcf`` in ASCII."""

decode_map = msgspec.json.Decoder(dict[str, str]).decode
decode_timeouts = msgspec.json.Decoder(Timeouts).decode
decode_prices = msgspec.json.Decoder(Prices).decode
decode_limits = msgspec.json.Decoder(Limits).decode
decode_budgets = msgspec.json.Decoder(Budgets).decode
decode_alerts = msgspec.json.Decoder(AlertTerms).decode
_decode_trial = msgspec.json.Decoder(FreeTrial).decode
decode_credential_limits = msgspec.json.Decoder(CredentialLimits).decode
_decode_routing = msgspec.json.Decoder(ModelRouting).decode
_decode_credential = msgspec.json.Decoder(Credential).decode
_decode_params = msgspec.json.Decoder(ParameterRules).decode
_decode_options = msgspec.json.Decoder(VendorOptions).decode

CHANNEL_COLUMNS = (
    "c.id, c.name, c.dialect, c.base_url, c.models, c.groups, c.priority, c.weight, c.enabled, c.timeouts, c.params,"
    " c.stream_usage, c.options, c.drained, c.routing"
)

MODELS_WITH_PRICES = """
    select m.id, m.name, m.lane, m.owned_by, m.routing, m.created_at, coalesce(p.source = 'free', m.free) as free,
           p.prices, p.source, p.overrides
    from models m
    left join lateral (
        select prices, source, overrides from model_prices
        where model = m.name and effective_from <= statement_timestamp() order by effective_from desc, id desc limit 1
    ) p on true
"""
"""Models with the prices in force. By the time of the statement, as versions are written: a transaction that has waited
for another began before the other's version did."""


TRIAL_SETTING = "trial"
ALERTS_SETTING = "alerts"
"""Names of settings that the console alone reads: what new accounts may have; where the site's operators are told."""


class NotFoundError(Exception):
    """There is no such account, user, key, tier, group, channel, credential or model; says which."""


class ConflictError(Exception):
    """What is wanted contradicts what is there; says how."""


def json_text(value: object) -> str:
    """Return a value as asyncpg takes it for a jsonb column."""
    return msgspec.json.encode(value).decode()


def unix_ms(moment: dt.datetime | None) -> int | None:
    """Return a timestamp of the database as Unix time in milliseconds."""
    return None if moment is None else round(moment.timestamp() * 1000)


def moment(at_ms: int | None) -> dt.datetime | None:
    """Return Unix time in milliseconds as a timestamp for the database."""
    return None if at_ms is None else dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)


def strategy_of(text: str | None) -> Strategy | None:
    """Return a strategy by the name that a column has for it."""
    return None if text is None else Strategy(text)


async def lock_configuration(connection: Connection) -> None:
    """Wait until no other transaction changes the configuration, and keep others from it until ours ends."""
    await connection.execute("select pg_advisory_xact_lock($1)", LOCK)


async def read_names(connection: Connection, accounts: Collection[str] | None = None) -> Names:
    """Return the names that a configuration may refer to; of users those of ``accounts``, or all."""

    async def names(table: str) -> frozenset[str]:
        return frozenset(row["name"] for row in await connection.fetch(f"select name from {table}"))  # noqa: S608 - three constants

    users = await connection.fetch(
        "select a.name || '/' || u.name as name from users u join accounts a on a.id = u.account_id"
        " where $1::text[] is null or a.name = any($1)",
        accounts,
    )
    return Names(
        groups=await names("groups"),
        tiers=await names("tiers"),
        models=await names("models"),
        priced=frozenset(
            row["name"] for row in await connection.fetch(f"{MODELS_WITH_PRICES} where p.source = $1", FROM_OPERATOR)
        ),
        users=frozenset(row["name"] for row in users),
        trial=(await read_trial(connection)).amount_nano > 0,
    )


async def read_current(connection: Connection, configuration: Configuration) -> dict[EntityID, Entity]:
    """Return the rows of the names in a configuration, and of all models that its channels name."""
    channels = [entry.name for entry in configuration.channels]
    models = {entry.name for entry in configuration.models}
    models.update(model for entry in configuration.channels for model in entry.models)
    accounts = [entry.name for entry in configuration.accounts]
    keys = [(entry.name, key.name) for entry in configuration.accounts for key in entry.keys]
    found: list[Entity] = [
        *await read_groups(connection, [entry.name for entry in configuration.groups]),
        *await read_tiers(connection, [entry.name for entry in configuration.tiers]),
        *await read_accounts(connection, accounts),
        *await read_users(connection, accounts),
        *await read_keys(connection, keys),
        *await _models(connection, list(models)),
        *await read_channels(connection, channels),
        *await read_costs(connection, channels),
        DiscountSchedules(await read_steps(connection)),
        await read_trial(connection),
        SiteAlerts(await read_site_alerts(connection)),
    ]
    return {entity_id(entity): entity for entity in found}


async def read_groups(connection: Connection, names: list[str] | None = None) -> list[Group]:
    """Return groups by name, all without a list of names."""
    rows = await connection.fetch(
        "select name, multiplier_ppm, limits, strategy from groups"
        " where $1::text[] is null or name = any($1) order by name",
        names,
    )
    return [
        Group(row["name"], row["multiplier_ppm"], decode_limits(row["limits"]), strategy_of(row["strategy"]))
        for row in rows
    ]


async def read_tiers(connection: Connection, names: list[str] | None = None) -> list[Tier]:
    """Return tiers by name, all without a list of names."""
    rows = await connection.fetch(
        "select name, limits, priority from tiers where $1::text[] is null or name = any($1) order by name", names
    )
    return [Tier(row["name"], decode_limits(row["limits"]), row["priority"]) for row in rows]


async def read_accounts(connection: Connection, names: list[str] | None = None) -> list[Account]:
    """Return accounts by name, all without a list of names."""
    rows = await connection.fetch(
        "select name, tier, time_zone, groups, limits, budgets, alerts from accounts"
        " where $1::text[] is null or name = any($1) order by name",
        names,
    )
    return [
        Account(
            name=row["name"],
            tier=row["tier"],
            time_zone=row["time_zone"],
            groups=tuple(row["groups"]),
            limits=decode_limits(row["limits"]),
            budgets=decode_budgets(row["budgets"]),
            alerts=decode_alerts(row["alerts"]),
        )
        for row in rows
    ]


async def read_users(connection: Connection, accounts: list[str] | None = None) -> list[User]:
    """Return users of accounts by name, of all without a list of names."""
    rows = await connection.fetch(
        "select a.name as account, u.name, u.limits, u.budgets"
        " from users u join accounts a on a.id = u.account_id"
        " where $1::text[] is null or a.name = any($1) order by a.name, u.name",
        accounts,
    )
    return [
        User(row["account"], row["name"], decode_limits(row["limits"]), decode_budgets(row["budgets"])) for row in rows
    ]


async def read_keys(connection: Connection, names: list[tuple[str, str]]) -> list[Key]:
    """Return the keys of these accounts and names that are there."""
    rows = await connection.fetch(
        "select a.name as account, k.name, s.hash, s.prefix, k.groups, k.models, k.expires_at, k.allow_ips,"
        " u.name as user, k.endpoints, k.limits, k.budgets, k.strategy,"
        " array(select hash from key_secrets where key_id = k.id and expires_at is not null) as replaced"
        " from unnest($1::text[], $2::text[]) as wanted (account, key)"
        " join accounts a on a.name = wanted.account join keys k on k.account_id = a.id and k.name = wanted.key"
        " join key_secrets s on s.key_id = k.id and s.expires_at is null left join users u on u.id = k.user_id",
        [account for account, _ in names],
        [key for _, key in names],
    )
    return [
        Key(
            account=row["account"],
            name=row["name"],
            hash=row["hash"],
            prefix=row["prefix"],
            groups=tuple(row["groups"]),
            models=tuple(row["models"]),
            expires_ms=unix_ms(row["expires_at"]),
            allow_ips=tuple(row["allow_ips"]),
            user=row["user"],
            endpoints=tuple(row["endpoints"]),
            limits=decode_limits(row["limits"]),
            budgets=decode_budgets(row["budgets"]),
            replaced=tuple(row["replaced"]),
            strategy=strategy_of(row["strategy"]),
        )
        for row in rows
    ]


async def _models(connection: Connection, names: list[str]) -> Iterable[Model]:
    rows = await connection.fetch(f"{MODELS_WITH_PRICES} where m.name = any($1)", names)
    return [model_of(row) for row in rows]


def model_of(row: asyncpg.Record) -> Model:
    """Return the struct of a row of `MODELS_WITH_PRICES`."""
    return Model(
        name=row["name"],
        lane=row["lane"],
        owned_by=row["owned_by"],
        free=row["free"],
        prices=decode_prices(row["prices"]) if row["prices"] else {},
        price_source=row["source"] or "",
        overrides=decode_prices(row["overrides"]) if row["overrides"] else {},
        routing=_decode_routing(row["routing"]),
    )


async def read_models(connection: Connection) -> list[Model]:
    """Return all models with the prices in force."""
    return [model_of(row) for row in await connection.fetch(f"{MODELS_WITH_PRICES} order by m.name")]


async def find_model(connection: Connection, name: str) -> None:
    """Check that there is a model.

    Raises:
        NotFoundError: there is none of that name.
    """
    if not await connection.fetchval("select exists (select from models where name = $1)", name):
        raise NotFoundError(f"there is no model {name!r}")


async def read_channels(connection: Connection, names: list[str] | None = None) -> list[Channel]:
    """Return channels by name, all without a list of names."""
    rows = await connection.fetch(
        f"select {CHANNEL_COLUMNS}, array("  # noqa: S608 - constants
        "  select jsonb_build_object('fingerprint', fingerprint, 'weight', weight, 'limits', limits)"
        "  from credentials where channel_id = c.id) as credentials"
        " from channels c where $1::text[] is null or c.name = any($1) order by c.name",
        names,
    )
    return [channel_of(row, in_order(map(_decode_credential, row["credentials"]))) for row in rows]


def channel_of(row: asyncpg.Record, credentials: tuple[Credential, ...] = ()) -> Channel:
    """Return the struct of a row with `CHANNEL_COLUMNS`."""
    return Channel(
        name=row["name"],
        dialect=row["dialect"],
        base_url=row["base_url"],
        models=decode_map(row["models"]),
        groups=tuple(row["groups"]),
        priority=row["priority"],
        weight=row["weight"],
        enabled=row["enabled"],
        timeouts=decode_timeouts(row["timeouts"]),
        # jsonb writes with other spaces and another order of names than we do.
        params=normal_rules(_decode_params(row["params"])),
        stream_usage=row["stream_usage"],
        options=_decode_options(row["options"]),
        credentials=credentials,
        drained=row["drained"],
        **routing_fields(row["routing"]),
    )


async def read_costs(connection: Connection, channels: list[str] | None = None) -> list[Cost]:
    """Return what the providers of channels by name ask of us now, of all without a list of names."""
    rows = await connection.fetch(
        "select distinct on (c.name, p.model) c.name as channel, p.model, p.prices"
        " from channel_costs p join channels c on c.id = p.channel_id"
        " where ($1::text[] is null or c.name = any($1)) and p.effective_from <= statement_timestamp()"
        " order by c.name, p.model, p.effective_from desc, p.id desc",
        channels,
    )
    return [Cost(row["channel"], row["model"], decode_prices(row["prices"])) for row in rows]


async def costs_in_force(connection: Connection, channel_ids: list[int] | None) -> dict[int, dict[str, Prices]]:
    """Return what providers ask of us now, by channel and model; of all channels without a list of ids."""
    costs: dict[int, dict[str, Prices]] = {}
    for row in await connection.fetch(
        "select distinct on (channel_id, model) channel_id, model, prices from channel_costs"
        " where ($1::bigint[] is null or channel_id = any($1)) and effective_from <= statement_timestamp()"
        " order by channel_id, model, effective_from desc, id desc",
        channel_ids,
    ):
        costs.setdefault(row["channel_id"], {})[row["model"]] = decode_prices(row["prices"])
    return costs


async def read_trial(connection: Connection) -> FreeTrial:
    """Return what new accounts may have; an amount of zero is nothing."""
    value = await _console_setting(connection, TRIAL_SETTING)
    return FreeTrial() if value is None else _decode_trial(value)


async def read_site_alerts(connection: Connection) -> AlertTerms:
    """Return where the site's operators are told."""
    value = await _console_setting(connection, ALERTS_SETTING)
    return AlertTerms() if value is None else decode_alerts(value)


async def _console_setting(connection: Connection, name: str) -> str | None:
    value: str | None = await connection.fetchval("select value from console_settings where name = $1", name)
    return value
