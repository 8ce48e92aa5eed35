"""What the usage explorer has found, as people see it: with names, and without what is not for them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from trunkline.policy.admin_usage import COMPLETE, Dimension, UsageAttempt, UsagePoint, UsageShare, UsageTotals
from trunkline.store.database import Connection
from trunkline.store.usage_explorer import Group, Sums
from trunkline.store.usage_speeds import Counts, speeds_of


def totals(sums: Sums, *, site: bool) -> UsageTotals:
    """Return sums; what providers are paid is among them only for the site's operators."""
    return UsageTotals(
        attempts=sums.attempts,
        requests=sums.answers,
        errors=sums.errors,
        input_tokens=sums.input,
        cache_read_tokens=sums.cache_read,
        cache_write_tokens=sums.cache_write,
        output_tokens=sums.output,
        reasoning_tokens=sums.reasoning,
        charge_nano=sums.charge_nano,
        first_token_ms=round(sums.first_token_ms / sums.first_tokens) if sums.first_tokens else None,
        duration_ms=round(sums.duration_ms / sums.attempts) if sums.attempts else None,
        cost_nano=sums.cost_nano if site else UNSET,
        margin_nano=sums.charge_nano - sums.cost_nano if site else UNSET,
    )


def points(
    starts: Sequence[dt.datetime], sums: Sequence[Sums], counts: Sequence[Counts], *, site: bool
) -> tuple[UsagePoint, ...]:
    """Return a series; all three arguments have an item for each step."""
    return tuple(
        UsagePoint(at, totals(used, site=site), speeds_of(took))
        for at, used, took in zip(starts, sums, counts, strict=True)
    )


class ShareNames(NamedTuple):
    """Names of what has a number, and of the accounts of keys and users."""

    values: Mapping[int, str]
    accounts: Mapping[int, str]


_TABLES = {
    Dimension.KEY: "keys",
    Dimension.USER: "users",
    Dimension.ACCOUNT: "accounts",
    Dimension.CHANNEL: "channels",
}


async def share_names(connection: Connection, by: Dimension, groups: Sequence[Group]) -> ShareNames:
    """Return the names that a breakdown needs."""

    async def names(table: str, ids: list[int]) -> dict[int, str]:
        rows = await connection.fetch(f"select id, name from {table} where id = any($1::bigint[])", ids)  # noqa: S608 - one of four names
        return {row["id"]: row["name"] for row in rows}

    table = _TABLES.get(by)
    return ShareNames(
        {} if table is None else await names(table, [group.value for group in groups if group.value is not None]),
        await names("accounts", [group.account for group in groups if group.account is not None]),
    )


def shares(groups: Sequence[Group], by: Dimension, names: ShareNames, *, site: bool) -> tuple[UsageShare, ...]:
    """Return the rows of a breakdown."""
    return tuple(
        UsageShare(
            value=_value(group, by, names),
            totals=totals(group.sums, site=site),
            account=names.accounts.get(group.account, f"#{group.account}") if site and group.account else UNSET,
        )
        for group in groups
    )


def _value(group: Group, by: Dimension, names: ShareNames) -> str | None:
    if by is Dimension.OUTCOME:
        return group.value or COMPLETE
    if by not in _TABLES:
        return str(group.value)
    if by is Dimension.USER and not group.value:
        return None
    return names.values.get(group.value, f"#{group.value}")


def for_account(attempt: UsageAttempt) -> UsageAttempt:
    """Return an attempt without what only the site's operators see."""
    return msgspec.structs.replace(
        attempt,
        account=UNSET,
        channel=UNSET,
        credential=UNSET,
        upstream_model=UNSET,
        cost_nano=UNSET,
        cost_version=UNSET,
    )
